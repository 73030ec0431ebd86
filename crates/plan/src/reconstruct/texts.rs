//! The texts of history entries, of several builders, as instructions.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use kiln_image::{Config, Empty, Healthcheck};

/// What an entry is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// An instruction that says all.
    Is(Instruction),
    /// Files of a context that are known by a digest alone, or by names.
    Files {
        keyword: &'static str,
        source: String,
        target: String,
    },
    /// Anything else.
    Unknown(String),
}

/// An instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Instruction {
    Run(String),
    Env(Vec<(String, String)>),
    Label(Vec<(String, String)>),
    Expose(Vec<String>),
    Volume(Vec<String>),
    Workdir(String),
    User(String),
    StopSignal(String),
    Shell(Vec<String>),
    Entrypoint(Vec<String>),
    Cmd(Vec<String>),
    Healthcheck(Healthcheck),
    OnBuild(String),
    Arg(String, Option<String>),
    Maintainer(String),
}

/// What the classic builder writes before instructions that run nothing.
const NOP: &str = "/bin/sh -c #(nop) ";
/// What BuildKit writes after those that do.
const BUILDKIT: &str = " # buildkit";

/// The finished image's config: of what is not clear by itself it shows what came of it.
#[derive(Debug)]
pub(super) struct Known<'i> {
    pub(super) config: &'i Config,
    env: HashSet<&'i str>,
}

impl<'i> Known<'i> {
    pub(super) fn new(config: &'i Config) -> Self {
        Self {
            config,
            env: config.env.iter().map(String::as_str).collect(),
        }
    }
}

/// What instructions made of a config so far.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) config: Config,
    env: BTreeMap<String, String>,
}

impl State {
    pub(super) fn new(config: Config) -> Self {
        let pair = |pair: &String| {
            pair.split_once('=')
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        Self {
            env: config.env.iter().filter_map(pair).collect(),
            config,
        }
    }
}

/// Understands an entry.
pub(super) fn read(created_by: &str, shell: &[String], config: &Known<'_>) -> Step {
    let text = created_by.strip_suffix(BUILDKIT).unwrap_or(created_by);
    if let Some(instruction) = text.strip_prefix(NOP) {
        return instruction_of(instruction.trim(), shell, config)
            .unwrap_or_else(|| Step::Unknown(created_by.to_owned()));
    }
    let shells = [shell.join(" ") + " ", "/bin/sh -c ".to_owned()];
    if let Some(command) = shells.iter().find_map(|shell| command_of(text, shell)) {
        return Step::Is(Instruction::Run(command.to_owned()));
    }
    instruction_of(text, shell, config).unwrap_or_else(|| Step::Unknown(created_by.to_owned()))
}

/// The command of the classic builder's entries: `[|N ARGS…] SHELL COMMAND`.
fn command_of<'t>(text: &'t str, shell: &str) -> Option<&'t str> {
    if let Some(command) = text.strip_prefix(shell) {
        return Some(command);
    }
    let rest = text.strip_prefix('|')?;
    rest.starts_with(|first: char| first.is_ascii_digit())
        .then(|| rest.split_once(shell).map(|(_, command)| command))?
}

fn instruction_of(text: &str, shell: &[String], known: &Known<'_>) -> Option<Step> {
    let (keyword, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim_start_matches(' ');
    let list = || go_list(rest);
    Some(Step::Is(match keyword {
        "RUN" => {
            let shells = [shell.join(" ") + " ", "/bin/sh -c ".to_owned()];
            let command = shells.iter().find_map(|shell| command_of(rest, shell));
            Instruction::Run(command.unwrap_or(rest).to_owned())
        }
        "COPY" | "ADD" => {
            let keyword = if keyword == "COPY" { "COPY" } else { "ADD" };
            return files(keyword, rest);
        }
        "ENV" => Instruction::Env(pairs(rest, |pair| known.env.contains(pair))?),
        "LABEL" => {
            let is_label = |pair: &str| {
                pair.split_once('=')
                    .is_some_and(|(name, value)| known.config.labels.get(name).is_some_and(|label| label == value))
            };
            Instruction::Label(pairs(rest, is_label)?)
        }
        "EXPOSE" => Instruction::Expose(words(rest)),
        "VOLUME" => Instruction::Volume(words(rest)),
        "WORKDIR" if !rest.is_empty() => Instruction::Workdir(rest.to_owned()),
        "USER" if !rest.is_empty() => Instruction::User(rest.to_owned()),
        "STOPSIGNAL" if !rest.is_empty() => Instruction::StopSignal(rest.to_owned()),
        "SHELL" => Instruction::Shell(list().unwrap_or_else(|| words(rest))),
        "ENTRYPOINT" => Instruction::Entrypoint(list()?),
        "CMD" => Instruction::Cmd(list()?),
        // What the image has in the end; it says more than the entry.
        "HEALTHCHECK" => Instruction::Healthcheck(known.config.healthcheck.clone()?),
        "ONBUILD" if !rest.is_empty() => Instruction::OnBuild(rest.to_owned()),
        "ARG" => match rest.split_once('=') {
            Some((name, value)) => Instruction::Arg(name.to_owned(), Some(value.to_owned())),
            None => Instruction::Arg(rest.to_owned(), None),
        },
        "MAINTAINER" if !rest.is_empty() => Instruction::Maintainer(rest.to_owned()),
        _ => return None,
    }))
}

/// `file:DIGEST in /target`, as the classic builder writes, or `a b /target`.
fn files(keyword: &'static str, rest: &str) -> Option<Step> {
    if rest.contains(['\n', '\r']) {
        return None;
    }
    if let Some((source, target)) = rest.split_once(" in ") {
        return Some(Step::Files {
            keyword,
            source: source.replace(':', "-"),
            target: target.trim().to_owned(),
        });
    }
    let (source, target) = rest.trim().rsplit_once(' ')?;
    Some(Step::Files {
        keyword,
        source: source.to_owned(),
        target: target.to_owned(),
    })
}

/// `A=1 B=2 3`: where a word with `=` begins, so does a pair, unless `is_known` says that the whole is one. Some builders
/// quote values, and some do not.
fn pairs(text: &str, is_known: impl Fn(&str) -> bool) -> Option<Vec<(String, String)>> {
    let split = |pair: &str| {
        pair.split_once('=')
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    if is_known(text) {
        return Some(vec![split(text)?]);
    }
    let mut found: Vec<(String, String)> = Vec::new();
    for word in text.split(' ') {
        let begins = split(word).filter(|(name, _)| is_name(name));
        match (begins, found.last_mut()) {
            (Some(pair), _) => found.push(pair),
            (None, Some((_, value))) => {
                value.push(' ');
                value.push_str(word);
            }
            (None, None) => return None,
        }
    }
    for (name, value) in &mut found {
        if let Some((inner, "")) = go_text(value)
            && is_known(&format!("{name}={inner}"))
        {
            *value = inner;
        }
    }
    Some(found)
}

fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|each| each.is_ascii_alphanumeric() || "_.-/".contains(each))
}

/// `[a b]`, or `map[a:{} b:{}]`.
fn words(text: &str) -> Vec<String> {
    let inner = text.strip_prefix("map").unwrap_or(text);
    let inner = inner
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(inner);
    let words = inner
        .split_whitespace()
        .map(|word| word.strip_suffix(":{}").unwrap_or(word));
    words.map(ToOwned::to_owned).collect()
}

/// `["a" "b"]`: texts as Go quotes them, with blanks or commas between them.
fn go_list(text: &str) -> Option<Vec<String>> {
    let mut rest = text.strip_prefix('[')?.strip_suffix(']')?.trim();
    let mut list = Vec::new();
    while !rest.is_empty() {
        let (one, after) = go_text(rest)?;
        list.push(one);
        rest = after.trim_start_matches([' ', ',']);
    }
    Some(list)
}

fn go_text(text: &str) -> Option<(String, &str)> {
    let mut letters = text.strip_prefix('"')?.char_indices();
    let mut found = String::new();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((found, &text[at + 2..])),
            '\\' => found.push(go_escape(&mut letters)?),
            letter => found.push(letter),
        }
    }
    None
}

fn go_escape(letters: &mut std::str::CharIndices<'_>) -> Option<char> {
    match letters.next()?.1 {
        kind @ ('x' | 'u' | 'U') => {
            let digits = match kind {
                'x' => 2,
                'u' => 4,
                _ => 8,
            };
            let hex: String = letters.by_ref().take(digits).map(|(_, digit)| digit).collect();
            char::from_u32(u32::from_str_radix(&hex, 16).ok()?)
        }
        'a' => Some('\x07'),
        'b' => Some('\x08'),
        'f' => Some('\x0c'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\x0b'),
        other => Some(other),
    }
}

impl Instruction {
    /// As a Dockerfile has it, if one can.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Run(command) => run(command),
            Self::Env(pairs) => format!("ENV {}", quoted_pairs(pairs)),
            Self::Label(pairs) => format!("LABEL {}", quoted_pairs(pairs)),
            Self::Expose(ports) => format!("EXPOSE {}", ports.join(" ")),
            Self::Volume(paths) => format!("VOLUME {}", json(paths)),
            Self::Workdir(path) => format!("WORKDIR {}", escaped(path)),
            Self::User(user) => format!("USER {}", escaped(user)),
            Self::StopSignal(signal) => format!("STOPSIGNAL {}", escaped(signal)),
            Self::Shell(words) => format!("SHELL {}", json(words)),
            Self::Entrypoint(words) => format!("ENTRYPOINT {}", json(words)),
            Self::Cmd(words) => format!("CMD {}", json(words)),
            Self::Healthcheck(check) => healthcheck(check),
            Self::OnBuild(inner) => format!("ONBUILD {inner}"),
            Self::Arg(name, Some(value)) => format!("ARG {name}={}", quoted(value)),
            Self::Arg(name, None) => format!("ARG {name}"),
            Self::Maintainer(name) => format!("MAINTAINER {name}"),
        }
    }

    /// What it does to a config.
    pub(super) fn apply(&self, state: &mut State) {
        let config = &mut state.config;
        match self {
            Self::Env(pairs) => state.env.extend(pairs.iter().cloned()),
            Self::Label(pairs) => config.labels.extend(pairs.iter().cloned()),
            Self::Expose(ports) => config
                .exposed_ports
                .extend(ports.iter().map(|port| (port.clone(), Empty {}))),
            Self::Volume(paths) => config.volumes.extend(paths.iter().map(|path| (path.clone(), Empty {}))),
            Self::Workdir(path) => config.working_dir.clone_from(path),
            Self::User(user) => config.user.clone_from(user),
            Self::StopSignal(signal) => config.stop_signal.clone_from(signal),
            Self::Shell(words) => config.shell = Some(words.clone()),
            Self::Entrypoint(words) => {
                config.entrypoint = Some(words.clone());
                config.cmd = None;
            }
            Self::Cmd(words) => config.cmd = Some(words.clone()),
            Self::Healthcheck(check) => config.healthcheck = Some(check.clone()),
            Self::OnBuild(inner) => config.on_build.push(inner.clone()),
            Self::Run(_) | Self::Arg(..) | Self::Maintainer(_) => {}
        }
    }
}

/// The instructions that make the config of what there is.
pub(super) fn missing(state: &State, wanted: &Config) -> Vec<Instruction> {
    let (env, state) = (&state.env, &state.config);
    let mut all = Vec::new();
    let pair = |pair: &String| {
        let (name, value) = pair.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    let env: Vec<_> = wanted
        .env
        .iter()
        .filter_map(pair)
        .filter(|(name, value)| env.get(name) != Some(value))
        .collect();
    if !env.is_empty() {
        all.push(Instruction::Env(env));
    }
    let labels = wanted
        .labels
        .iter()
        .filter(|(name, value)| state.labels.get(*name) != Some(value));
    let labels: Vec<_> = labels.map(|(name, value)| (name.clone(), value.clone())).collect();
    if !labels.is_empty() {
        all.push(Instruction::Label(labels));
    }
    let more = |state: &BTreeMap<String, Empty>, wanted: &BTreeMap<String, Empty>| -> Vec<String> {
        wanted
            .keys()
            .filter(|name| !state.contains_key(*name))
            .cloned()
            .collect()
    };
    let ports = more(&state.exposed_ports, &wanted.exposed_ports);
    if !ports.is_empty() {
        all.push(Instruction::Expose(ports));
    }
    let volumes = more(&state.volumes, &wanted.volumes);
    if !volumes.is_empty() {
        all.push(Instruction::Volume(volumes));
    }
    if state.working_dir != wanted.working_dir && !wanted.working_dir.is_empty() {
        all.push(Instruction::Workdir(wanted.working_dir.clone()));
    }
    if state.user != wanted.user && !wanted.user.is_empty() {
        all.push(Instruction::User(wanted.user.clone()));
    }
    if state.stop_signal != wanted.stop_signal && !wanted.stop_signal.is_empty() {
        all.push(Instruction::StopSignal(wanted.stop_signal.clone()));
    }
    if let Some(words) = wanted
        .shell
        .as_ref()
        .filter(|words| state.shell.as_ref() != Some(words))
    {
        all.push(Instruction::Shell(words.clone()));
    }
    let mut cmd = state.cmd.clone();
    if let Some(words) = wanted
        .entrypoint
        .as_ref()
        .filter(|words| state.entrypoint.as_ref() != Some(words))
    {
        all.push(Instruction::Entrypoint(words.clone()));
        cmd = None;
    }
    if let Some(words) = wanted.cmd.as_ref().filter(|words| cmd.as_ref() != Some(words)) {
        all.push(Instruction::Cmd(words.clone()));
    }
    if let Some(check) = wanted
        .healthcheck
        .as_ref()
        .filter(|check| state.healthcheck.as_ref() != Some(check))
    {
        all.push(Instruction::Healthcheck(check.clone()));
    }
    let triggers: HashSet<&String> = state.on_build.iter().collect();
    let triggers = wanted.on_build.iter().filter(|trigger| !triggers.contains(trigger));
    all.extend(triggers.map(|trigger| Instruction::OnBuild(trigger.clone())));
    all
}

/// In a line where that can be: not what has several, or what would mean something else to the parser.
fn run(command: &str) -> String {
    let means_more = command.contains(['\n', '\r'])
        || command.contains("<<")
        || command.starts_with("--")
        || command.trim_start().starts_with('[')
        || command.trim_end().ends_with('\\');
    if !means_more {
        return format!("RUN {command}");
    }
    let mut end = "KILN".to_owned();
    let lines: HashSet<&str> = command.lines().collect();
    while lines.contains(&end[..]) {
        end.push('_');
    }
    let line_break = if command.ends_with('\n') { "" } else { "\n" };
    format!("RUN <<{end}\n{command}{line_break}{end}")
}

fn quoted_pairs(pairs: &[(String, String)]) -> String {
    let quoted = pairs.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
    quoted.collect::<Vec<_>>().join(" ")
}

fn quoted(value: &str) -> String {
    format!(
        "\"{}\"",
        value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$")
    )
}

/// A text that is a value by itself, in which variables would be replaced.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('$', "\\$")
}

fn json(words: &[String]) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|word| serde_json::Value::from(word.as_str()).to_string())
        .collect();
    format!("[{}]", words.join(", "))
}

fn healthcheck(check: &Healthcheck) -> String {
    let mut text = "HEALTHCHECK".to_owned();
    for (flag, nanoseconds) in [
        ("interval", check.interval),
        ("timeout", check.timeout),
        ("start-period", check.start_period),
        ("start-interval", check.start_interval),
    ] {
        if nanoseconds > 0 {
            let _ = write!(text, " --{flag}={nanoseconds}ns");
        }
    }
    if check.retries > 0 {
        let _ = write!(text, " --retries={}", check.retries);
    }
    match &check.test[..] {
        [kind, command @ ..] if kind == "CMD" => text + " CMD " + &json(command),
        [kind, command] if kind == "CMD-SHELL" => text + " CMD " + command,
        _ => "HEALTHCHECK NONE".to_owned(),
    }
}
