//! Two RUNs in one.

use kiln_dockerfile::ast::{Command, Kind, Run, Span};

use super::place::{by_plain_shell, newline};
use crate::finding::{Edit, Fix};
use crate::shell::Script;
use crate::view::{Item, View};

/// What changes the shell that runs it, or ends it: what follows in the same shell would notice.
const LASTING: &[&str] = &[
    ".", "alias", "bg", "break", "cd", "continue", "declare", "disown", "enable", "eval", "exec", "exit", "export",
    "getopts", "hash", "local", "mapfile", "popd", "pushd", "read", "readonly", "return", "set", "setopt", "shift",
    "shopt", "source", "trap", "typeset", "ulimit", "umask", "unalias", "unset", "wait",
];

/// Ties a RUN to the one before it by `&&`; both have the same flags. `None` where the two would not do the same then.
pub(super) fn fix(view: &View<'_>, earlier: &Item<'_>, item: &Item<'_>) -> Option<Fix> {
    let (first, second) = (earlier.script.as_ref()?, item.script.as_ref()?);
    let (before, after) = (first.line()?.trim_end(), second.line()?.trim());
    if !by_plain_shell(view, item) || lasts(before, &first.script, after) {
        return None;
    }
    let (open, close) = if second.script.chain { ("", "") } else { ("{ ", "; }") };
    let both = Script::parse(&format!("{before} && {open}{after}{close}"));
    let counted = first.script.commands.len() + second.script.commands.len();
    if !both.valid || both.commands.len() != counted || after.is_empty() || after.starts_with('#') {
        return None;
    }
    let start = written(earlier.kind)?.start + trimmed(view, written(earlier.kind)?)?.len();
    let text = written(item.kind)?;
    let leading = view.file.source.get(text.range())?;
    let begin = text.start + leading.len() - leading.trim_start().len();
    let between = view.file.source.get(start..begin)?;
    let comments: Vec<&str> = between
        .split_inclusive('\n')
        .filter(|line| line.trim_start().starts_with('#'))
        .collect();
    if comments.iter().any(|comment| is_order(comment)) || is_ordered(view, earlier) {
        return None;
    }
    let newline = newline(view);
    let mut tie = format!(" {}{newline}", view.file.escape);
    for comment in comments {
        tie.push_str(comment);
    }
    tie.push_str("    && ");
    tie.push_str(open);
    let mut edits = vec![Edit::replace(Span { start, end: begin }, tie)];
    if !close.is_empty() {
        edits.push(Edit::insert(text.start + trimmed(view, text)?.len(), close));
    }
    Some(Fix::safe("run it in the RUN before", edits))
}

/// Where the text of a RUN stands.
fn written(kind: &Kind) -> Option<Span> {
    match kind {
        Kind::Run(Run {
            command: Command::Shell(word),
            ..
        }) => Some(word.span),
        _ => None,
    }
}

/// A piece of the file without blanks at its end.
fn trimmed<'a>(view: &View<'a>, span: Span) -> Option<&'a str> {
    view.file.source.get(span.range()).map(str::trim_end)
}

/// Whether a comment tells a linter something of the line below it.
fn is_order(comment: &str) -> bool {
    let text = comment.trim_start().trim_start_matches('#').trim_start();
    ["hadolint", "check=", "shellcheck"]
        .iter()
        .any(|word| text.starts_with(word))
}

/// Whether such a comment stands above an item: it would count for what is tied to it too.
fn is_ordered(view: &View<'_>, item: &Item<'_>) -> bool {
    let line = view.file.line(item.instruction.span.start);
    let above = view.file.source.get(..view.file.line_start(line)).unwrap_or_default();
    above
        .lines()
        .next_back()
        .is_some_and(|line| line.trim_start().starts_with('#') && is_order(line))
}

/// Whether a script leaves something in its shell that another would notice, or never comes to its end.
fn lasts(text: &str, script: &Script, after: &str) -> bool {
    let mut words = text.split(|c: char| c.is_whitespace() || ";&|(){}`\"'\\".contains(c));
    let lasting = words.any(|word| LASTING.contains(&word)) || text.contains("()") || text.contains(":=");
    // What does not begin with its command may set a variable.
    let plain = script.commands.first().is_some_and(|command| command.range.start == 0);
    let reads = after.contains(['$', '`']);
    lasting || reads && !(plain && script.chain)
}
