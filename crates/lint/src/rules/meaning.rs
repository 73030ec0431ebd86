//! Instructions that do not do what they seem to.

use kiln_dockerfile::ast::{Command, Healthcheck, Kind, Span};

use super::Found;
use crate::shell;
use crate::view::{RunScript, View};

/// What a shell forgets when it ends.
const FORGOTTEN: &[&str] = &[
    "cd", "export", "umask", "ulimit", "alias", "unset", "pushd", "source", ".",
];

/// Files that only set something.
const SETTINGS: &[&str] = &[
    "activate",
    ".bashrc",
    ".profile",
    "/etc/profile",
    "nvm.sh",
    ".cargo/env",
    "setup.bash",
    "setup.sh",
];

/// A RUN that changes nothing but its own shell.
pub(super) fn forgotten(view: &View<'_>, found: &mut Found<'_>) {
    for (item, run, script) in view.runs() {
        let commands = &script.script.commands;
        let sets = |command: &shell::Command| {
            let reads = ["source", "."].contains(&command.name.as_str());
            let settings = |word: &shell::Word| SETTINGS.iter().any(|end| word.text.ends_with(end));
            FORGOTTEN.contains(&command.name.as_str()) && (!reads || command.args.first().is_some_and(settings))
        };
        let writes = script.text().is_none_or(|text| text.contains('>'));
        if !commands.is_empty() && commands.iter().all(sets) && !writes && run.heredocs.is_empty() {
            let message = "its shell forgets this at the end of the RUN: ENV and WORKDIR last";
            found.word((item, script), &commands[0], None, message);
        }
    }
}

/// `npm ci --omit=dev` and then a build with what was left out.
pub(super) fn no_build_tools(view: &View<'_>, found: &mut Found<'_>) {
    for stage in 0..view.file.stages.len() {
        let mut production = None;
        for item in view.stage(stage).filter(|item| !item.onbuild) {
            let Some(run) = &item.script else { continue };
            for command in run.script.named(&["npm"]) {
                let without = ["--omit=dev", "--production", "--only=production", "--only=prod"];
                let installs = command
                    .args
                    .first()
                    .is_some_and(|word| matches!(word.text.as_str(), "ci" | "install" | "i"));
                let builds = command
                    .args
                    .first()
                    .is_some_and(|word| word.text == "run" || word.text == "run-script");
                if installs {
                    production = command.has_arg(&without).then_some((item, run, command));
                } else if let (true, Some((item, run, install))) = (builds && command.has_arg(&["build"]), production) {
                    let message = "the build that follows needs what this leaves out: install all, build, then `npm prune --omit=dev`";
                    found.word((item, run), install, None, message);
                    production = None;
                }
            }
        }
    }
}

const SHELLS: &[&str] = &["sh", "bash", "ash", "dash", "zsh", "ksh", "cmd", "powershell", "pwsh"];

fn program(word: &str) -> &str {
    word.rsplit(['/', '\\']).next().unwrap_or(word)
}

/// `CMD ["echo", "$HOME"]`
pub(super) fn no_expansion(view: &View<'_>, found: &mut Found<'_>) {
    let mut reads = vec![false; view.file.stages.len()];
    for item in view.items().filter(|item| !item.onbuild) {
        let (words, stage) = match (item.kind, item.stage) {
            (Kind::Entrypoint(Command::Exec(words)), Some(stage)) => {
                reads[stage] = words.iter().any(|word| SHELLS.contains(&program(word)));
                (words, stage)
            }
            (
                Kind::Cmd(Command::Exec(words))
                | Kind::Healthcheck(Healthcheck::Check {
                    command: Command::Exec(words),
                    ..
                }),
                Some(stage),
            ) => (words, stage),
            _ => continue,
        };
        let shell = words
            .iter()
            .any(|word| SHELLS.contains(&program(word)) || word.contains("envsubst"));
        if shell || reads[stage] {
            continue;
        }
        if let Some(word) = words.iter().find(|word| has_variable(word)) {
            let message = format!("no shell reads `{word}`: the program gets it with its `$`");
            found.whole(item, message);
        }
    }
}

/// `$NAME` or `${NAME}`, and no pattern of a regular expression.
fn has_variable(text: &str) -> bool {
    text.match_indices('$').any(|(at, _)| {
        let rest = &text[at + 1..];
        let name = rest.strip_prefix('{').unwrap_or(rest);
        name.starts_with(|first: char| first.is_ascii_uppercase() || first == '_') && !text[..at].ends_with('\\')
    })
}

/// `CMD ['a', 'b']` is a shell's command.
pub(super) fn wrong_quotes(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items() {
        let text = match item.kind {
            Kind::Cmd(Command::Shell(text)) | Kind::Entrypoint(Command::Shell(text)) => text,
            Kind::Volume(words) => match words.first() {
                Some(first) => first,
                None => continue,
            },
            Kind::Run(run) => match &run.command {
                Command::Shell(text) => text,
                Command::Exec(_) => continue,
            },
            _ => continue,
        };
        let inner = text.raw.trim().strip_prefix('[').map(str::trim_start);
        if inner.is_some_and(|inner| inner.starts_with(['\'', '‘', '“'])) {
            let message = "JSON has double quotes: this is no array, but a text with brackets";
            found.say(item, first_of(view, text.span), message);
        }
    }
}

fn first_of(view: &View<'_>, span: Span) -> Span {
    let text = view.file.source.get(span.range()).unwrap_or_default();
    let length = text.find(['\n', '\r']).unwrap_or(text.len());
    Span {
        start: span.start,
        end: span.start + length,
    }
}

const APT: &[&str] = &["apt-get", "apt", "aptitude"];

/// The step from one release to the next.
pub(super) fn release_upgrade(view: &View<'_>, found: &mut Found<'_>) {
    for (item, _, run) in view.runs() {
        let mut commands = run.script.named(APT);
        if let Some(command) = commands.find(|command| command.has_arg(&["dist-upgrade", "full-upgrade"])) {
            let message = "this may replace half of the base image, another half each month: take a newer base image";
            found.word((item, run), command, None, message);
        }
    }
}

/// Lists that are fetched in one step and used in another.
pub(super) fn update_alone(view: &View<'_>, found: &mut Found<'_>) {
    const USES: &[&str] = &[
        "install",
        "upgrade",
        "dist-upgrade",
        "full-upgrade",
        "build-dep",
        "source",
        "download",
        "reinstall",
        "satisfy",
    ];
    let has = |run: &RunScript, actions: &[&str]| run.script.named(APT).any(|command| command.has_arg(actions));
    for stage in 0..view.file.stages.len() {
        let mut alone = None;
        for item in view.stage(stage).filter(|item| !item.onbuild) {
            let Some(run) = &item.script else { continue };
            if has(run, &["update"]) {
                alone = (!has(run, USES)).then_some((item, run));
            } else if has(run, &["install"])
                && let Some((item, run)) = alone.take()
                && let Some(command) = run.script.named(APT).find(|command| command.has_arg(&["update"]))
            {
                let message = "from the cache this gives old lists, and the installation that follows fails one day: \
                               both in one RUN";
                found.word((item, run), command, None, message);
            }
        }
    }
}

/// Directories that are the kernel's while something runs.
const KERNEL: &[&str] = &["/proc", "/sys", "/dev"];

pub(super) fn kernel_directories(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items().filter(|item| !item.onbuild) {
        let words = match item.kind {
            Kind::Workdir(word) => std::slice::from_ref(word),
            Kind::Volume(words) => words,
            _ => continue,
        };
        let below = |path: &str| {
            KERNEL
                .iter()
                .any(|directory| path == *directory || path.starts_with(&format!("{directory}/")))
        };
        if let Some(word) = words
            .iter()
            .find(|word| below(&word.raw) && !word.raw.starts_with("/dev/shm"))
        {
            let message = format!(
                "`{}` is the kernel's while a container runs: nothing of an image is seen there",
                word.raw
            );
            found.say(item, word.span, message);
        }
    }
}

pub(super) fn no_stop(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items().filter(|item| !item.onbuild) {
        let Kind::Stopsignal(word) = item.kind else { continue };
        let name = word.raw.to_ascii_uppercase();
        let name = name.strip_prefix("SIG").unwrap_or(&name);
        if ["KILL", "9", "STOP", "19"].contains(&name) {
            let message = "no program can handle this signal: it cannot finish what it does, nor say goodbye";
            found.say(item, word.span, message);
        }
    }
}

/// `ENV PATH=/app/bin`: no command is found any more.
pub(super) fn path_replaced(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items().filter(|item| !item.onbuild) {
        let Kind::Env(pairs) = item.kind else { continue };
        let scratch = item
            .stage
            .is_some_and(|stage| view.ancestors(stage).any(|stage| stage.from.image.raw == "scratch"));
        let loses = |value: &str| {
            let value = value.trim_matches(['"', '\'']);
            let keeps = value
                .split(':')
                .any(|directory| matches!(directory.trim_end_matches('/'), "/bin" | "/usr/bin"));
            !value.contains('$') && !keeps && value.starts_with('/')
        };
        let wrong = pairs
            .iter()
            .find(|pair| pair.key.raw == "PATH" && loses(&pair.value.raw));
        if let Some(pair) = wrong.filter(|_| !scratch) {
            let message = "no command is found any more but those there: put `:$PATH` behind it";
            found.say(item, pair.value.span, message);
        }
    }
}

pub(super) fn apt_key(view: &View<'_>, found: &mut Found<'_>) {
    for (item, _, run) in view.runs() {
        if let Some(command) = run.script.named(&["apt-key"]).next() {
            let message = "Debian 13 has no `apt-key` any more, and a key of its is good for every repository: put the \
                           key into a file, and `signed-by` into the source";
            found.word((item, run), command, None, message);
        }
    }
}

/// Services that are gone for good.
const CLOSED: &[(&str, &str)] = &[
    (
        "sks-keyservers.net",
        "keys are at keyserver.ubuntu.com and keys.openpgp.org",
    ),
    ("bintray.com", "it was closed in 2021"),
    ("dockerproject.org", "packages are at download.docker.com"),
    ("npm.taobao.org", "the mirror is registry.npmmirror.com"),
    ("googlecode.com", "it was closed in 2016"),
    ("codehaus.org", "it was closed in 2015"),
];

pub(super) fn closed_services(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items() {
        let text = view.file.source.get(item.instruction.span.range()).unwrap_or_default();
        if matches!(item.kind, Kind::Label(_) | Kind::Maintainer(_)) {
            continue;
        }
        for (host, instead) in CLOSED {
            let is_host = |at: usize| {
                let before = text[..at].chars().next_back();
                let after = text[at + host.len()..].chars().next();
                before.is_some_and(|before| "./@\"'= ".contains(before))
                    && after.is_none_or(|after| !after.is_alphanumeric() && after != '.')
            };
            if let Some((at, _)) = text.match_indices(host).find(|(at, _)| is_host(*at)) {
                let start = item.instruction.span.start + at;
                let span = Span {
                    start,
                    end: start + host.len(),
                };
                found.say(item, span, format!("nobody answers at `{host}`: {instead}"));
            }
        }
    }
}

/// Tags, by their beginning, of images that get no updates.
const ENDED: &[(&str, &[&str])] = &[
    (
        "alpine",
        &[
            "2.", "3.0", "3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13",
            "3.14", "3.15",
        ],
    ),
    ("centos", &[""]),
    (
        "debian",
        &["7", "8", "9", "wheezy", "jessie", "stretch", "oldoldstable"],
    ),
    (
        "node",
        &[
            "0.", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17",
        ],
    ),
    ("openjdk", &[""]),
    ("python", &["2", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7"]),
    (
        "ubuntu",
        &["12.", "14.", "16.", "precise", "trusty", "xenial", "artful"],
    ),
];

pub(super) fn no_updates(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items().filter(|item| !item.onbuild) {
        let (Kind::From(from), Some(stage)) = (item.kind, item.stage) else {
            continue;
        };
        let image = from.image.raw.strip_prefix("docker.io/").unwrap_or(&from.image.raw);
        let image = image.strip_prefix("library/").unwrap_or(image);
        let (name, tag) = image
            .split('@')
            .next()
            .unwrap_or_default()
            .split_once(':')
            .unwrap_or((image, ""));
        let ended = |begin: &str| {
            let rest = tag.strip_prefix(begin);
            let whole = |rest: &str| {
                begin.is_empty() || begin.ends_with('.') || !rest.starts_with(|next: char| next.is_ascii_digit())
            };
            rest.is_some_and(whole)
        };
        let known = ENDED.iter().find(|(ended, _)| *ended == name);
        if view.parents[stage].is_none() && known.is_some_and(|(_, tags)| tags.iter().any(|begin| ended(begin))) {
            let message = format!("`{image}` gets no updates any more: take one that is kept up");
            found.say(item, from.image.span, message);
        }
    }
}
