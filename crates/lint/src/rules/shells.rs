//! Which shell runs what.

use std::collections::HashSet;

use kiln_dockerfile::ast::{Command, Healthcheck, Kind, Span, Word};

use super::{Found, place};
use crate::finding::{Edit, Fix};
use crate::shell::Script;
use crate::view::{Item, View};

pub(super) fn exec_form(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items().filter(|item| !item.onbuild) {
        let (Kind::Cmd(command) | Kind::Entrypoint(command) | Kind::Healthcheck(Healthcheck::Check { command, .. })) =
            item.kind
        else {
            continue;
        };
        let Command::Shell(text) = command else { continue };
        let message = "a shell stands between the program and its signals: give the command as a JSON array";
        *found.say(item, text.span, message) = as_array(view, item, text);
    }
}

/// The words as a JSON array, where the shell does nothing but split them; else the shell by name.
fn as_array(view: &View<'_>, item: &Item<'_>, text: &Word) -> Option<Fix> {
    let plain = |c: char| c.is_ascii_alphanumeric() || " \t_-./:,@%+=".contains(c);
    let same = view.file.source.get(text.span.range()) == Some(text.raw.as_str());
    let shell = item.state.shell;
    let mut words = text.raw.split_ascii_whitespace().peekable();
    let assigns = words.peek().is_some_and(|first| first.contains('='));
    if !same || shell.is_some() || assigns || !text.raw.chars().all(plain) || is_builtin(words.peek()?) {
        return by_shell(view, item, text, shell);
    }
    let words: Vec<String> = words.map(str::to_owned).collect();
    let edit = Edit::replace(text.span, array(&words)?);
    // An entry point gets other arguments then, and a script without `#!` needs its shell.
    Some(Fix::careful("give it as a JSON array", vec![edit]))
}

/// What the image gets anyway, written out. That is certain only where the text itself says which shell.
fn by_shell(view: &View<'_>, item: &Item<'_>, text: &Word, shell: Option<&[String]>) -> Option<Fix> {
    let written = view.file.source.get(text.span.range())?;
    let unclear = text.raw.starts_with('[') || text.raw.contains("<<") || place::has_comment(written);
    if unclear || view.file.escape != '\\' || text.raw.trim() != text.raw {
        return None;
    }
    let default = ["/bin/sh", "-c"].map(str::to_owned);
    let mut words = shell.unwrap_or(&default).to_vec();
    words.push(text.raw.clone());
    let edits = vec![Edit::replace(text.span, array(&words)?)];
    let title = "name the shell in a JSON array";
    // An image says of a check that it is for a shell.
    let certain = shell.is_some() && !matches!(item.kind, Kind::Healthcheck(_));
    Some(if certain {
        Fix::safe(title, edits)
    } else {
        Fix::careful(title, edits)
    })
}

/// A JSON array; `None` for what cannot stand in one line.
fn array(words: &[String]) -> Option<String> {
    let quoted = |word: &String| {
        let text = word.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t");
        (!text.contains(|c: char| c.is_control())).then(|| format!("\"{text}\""))
    };
    let words: Option<Vec<String>> = words.iter().map(quoted).collect();
    Some(format!("[{}]", words?.join(", ")))
}

fn is_builtin(word: &str) -> bool {
    const BUILTINS: &[&str] = &[
        ".", ":", "alias", "cd", "command", "eval", "exec", "exit", "export", "read", "set", "shift", "source", "test",
        "trap", "type", "ulimit", "umask", "unset", "wait",
    ];
    BUILTINS.contains(&word)
}

pub(super) fn pipefail(view: &View<'_>, found: &mut Found<'_>) {
    let mut safe = vec![false; view.file.stages.len()];
    let apks = view
        .runs()
        .filter(|(.., run)| run.script.named(&["apk"]).next().is_some());
    let small: HashSet<Option<usize>> = apks.map(|(item, ..)| item.stage).collect();
    // The SHELL before, and what mends the first RUN since, which mends the others too.
    let mut shell: Option<&Item<'_>> = None;
    let mut fix: Option<Option<Fix>> = None;
    for item in view.items().filter(|item| !item.onbuild) {
        let Some(stage) = item.stage else { continue };
        match item.kind {
            Kind::From(_) => (shell, fix) = (None, None),
            Kind::Shell(words) => {
                safe[stage] = is_safe(words);
                (shell, fix) = (Some(item), None);
            }
            Kind::Run(_) if !safe[stage] => {
                let Some(run) = item.script.as_ref().filter(|run| run.script.pipes) else {
                    continue;
                };
                let place = run.script.pipe_places.first();
                let span = place
                    .and_then(|place| run.place(*place..place + 1))
                    .unwrap_or_else(|| super::first_line(view, item));
                let message = "only the last command of a pipe can fail: set `pipefail` by SHELL before it";
                let mends = || set_pipefail(view, item, shell, small.contains(&item.stage));
                let fix = fix.get_or_insert_with(mends);
                found.say(item, span, message).clone_from(fix);
            }
            _ => {}
        }
    }
}

/// SHELL with `pipefail` above the first RUN that wants it, or in the SHELL that is there. Small images have no bash.
fn set_pipefail(view: &View<'_>, item: &Item<'_>, shell: Option<&Item<'_>>, small: bool) -> Option<Fix> {
    let image = item.state.image?;
    if view.file.escape != '\\' || image == "scratch" || image.contains("distroless") {
        return None;
    }
    let knows = |word: &String| matches!(word.rsplit('/').next(), Some("bash" | "zsh" | "ash"));
    if let Some((Kind::Shell(words), shell)) = shell.map(|shell| (shell.kind, shell))
        && words.first().is_some_and(knows)
    {
        let mut words = words.clone();
        words.splice(1..1, ["-o".to_owned(), "pipefail".to_owned()]);
        let span = Span {
            start: shell.instruction.keyword.span.end,
            end: shell.instruction.span.end,
        };
        let one_line = !view.file.source.get(span.range())?.contains('\n');
        let edit = Edit::replace(span, format!(" {}", array(&words)?));
        return (one_line && is_safe(&words)).then(|| Fix::careful("add `-o pipefail`", vec![edit]));
    }
    let small = small || image.contains("alpine") || image.contains("busybox");
    let program = if small { "ash" } else { "bash" };
    let line = format!("SHELL [\"/bin/{program}\", \"-o\", \"pipefail\", \"-c\"]");
    let title = format!("run the commands by {program} with `pipefail`");
    Some(Fix::careful(title, vec![place::above(view, item, &line)]))
}

/// Whether a shell knows `pipefail` and is told to use it, or is none of those that have it.
fn is_safe(words: &[String]) -> bool {
    let script = Script::parse(&words.join(" "));
    let Some(command) = script.commands.first() else {
        return false;
    };
    let name = command.name.rsplit(['/', '\\']).next().unwrap_or_default();
    match name {
        "pwsh" | "powershell" | "cmd" | "pwsh.exe" | "powershell.exe" | "cmd.exe" => true,
        "bash" | "zsh" | "ash" => command.flags().any(|(flag, place)| {
            flag == "o"
                && command
                    .args
                    .get(place + 1)
                    .is_some_and(|value| value.text == "pipefail")
        }),
        _ => false,
    }
}
