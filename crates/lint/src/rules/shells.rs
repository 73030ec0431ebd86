//! Which shell runs what.

use kiln_dockerfile::ast::{Command, Healthcheck, Kind, Word};

use super::Found;
use crate::finding::{Edit, Fix};
use crate::shell::Script;
use crate::view::{Item, View};

pub(super) fn exec_form(view: &View<'_>, found: &mut Found<'_>) {
    for item in view.items.iter().filter(|item| !item.onbuild) {
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

/// The words as a JSON array, where the shell does nothing but split them.
fn as_array(view: &View<'_>, item: &Item<'_>, text: &Word) -> Option<Fix> {
    let plain = |c: char| c.is_ascii_alphanumeric() || " \t_-./:,@%+=".contains(c);
    let same = view.file.source.get(text.span.range()) == Some(text.raw.as_str());
    let has_shell = view
        .items
        .iter()
        .any(|other| other.stage == item.stage && matches!(other.kind, Kind::Shell(_)));
    let mut words = text.raw.split_ascii_whitespace().peekable();
    let assigns = words.peek().is_some_and(|first| first.contains('='));
    if !same || has_shell || assigns || !text.raw.chars().all(plain) || is_builtin(words.peek()?) {
        return None;
    }
    let array: Vec<String> = words.map(|word| format!("\"{word}\"")).collect();
    let edit = Edit::replace(text.span, format!("[{}]", array.join(", ")));
    // An entry point gets other arguments then, and a script without `#!` needs its shell.
    Some(Fix::careful("give it as a JSON array", vec![edit]))
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
    for item in view.items.iter().filter(|item| !item.onbuild) {
        let Some(stage) = item.stage else { continue };
        match item.kind {
            Kind::Shell(words) => safe[stage] = is_safe(words),
            Kind::Run(_) if !safe[stage] => {
                let Some(run) = item.script.as_ref().filter(|run| run.script.pipes) else {
                    continue;
                };
                let place = run.script.pipe_places.first();
                let span = place
                    .and_then(|place| run.place(*place..place + 1))
                    .unwrap_or_else(|| super::first_line(view, item));
                let message = "only the last command of a pipe can fail: set `pipefail` by SHELL before it";
                found.say(item, span, message);
            }
            _ => {}
        }
    }
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
