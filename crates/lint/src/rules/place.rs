//! What holds where an instruction stands, and edits of whole instructions.

use kiln_dockerfile::ast::{Kind, Span, Word};

use crate::finding::Edit;
use crate::known::Base;
use crate::state::{is_plain, join};
use crate::view::{Item, View};

/// What is known of the image that an item's stage is built on in the end.
pub(super) fn base<'v>(view: &'v View<'_>, item: &Item<'_>) -> Option<&'v Base> {
    view.config.known.bases.get(item.state.image?)
}

/// Makes a relative path one below a directory, in the quotes that it has.
pub(super) fn below_directory(view: &View<'_>, path: &Word, directory: &str) -> Option<Edit> {
    let written = view.file.source.get(path.span.range())?;
    let quote = written
        .get(..1)
        .filter(|quote| matches!(*quote, "\"" | "'"))
        .unwrap_or_default();
    let inner = written.strip_prefix(quote)?.strip_suffix(quote)?;
    if !is_plain(inner) || inner.starts_with('/') {
        return None;
    }
    let is_directory = inner.ends_with('/') || inner == "." || inner.ends_with("/.");
    let mut joined = join(directory, inner);
    if is_directory && joined != "/" {
        joined.push('/');
    }
    Some(Edit::replace(path.span, format!("{quote}{joined}{quote}")))
}

/// Who runs the commands, where that is somebody else than root, or a variable.
pub(super) fn other_than_root<'a>(item: &Item<'a>) -> Option<&'a str> {
    item.state.user.filter(|user| !is_root(user))
}

/// Whether USER means root by this.
fn is_root(user: &str) -> bool {
    matches!(user.split(':').next(), Some("root" | "0" | ""))
}

/// Whether a shell that knows `&&` runs the commands, and goes on as it does by itself after one that fails.
pub(super) fn by_plain_shell(view: &View<'_>, item: &Item<'_>) -> bool {
    let is_plain = |words: &[String]| {
        let name = words.first().map_or("", |word| word.rsplit('/').next().unwrap_or(word));
        let stops = |word: &String| word.starts_with('-') && !word.starts_with("--") && word.contains('e');
        matches!(name, "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh") && !words.iter().skip(1).any(stops)
    };
    view.file.escape == '\\' && item.state.shell.is_none_or(is_plain)
}

/// What the instruction after an item does, in the same stage.
pub(super) fn next<'a>(view: &View<'a>, item: &Item<'_>) -> Option<&'a Kind> {
    let stage = view.file.stages.get(item.stage?)?;
    let start = item.instruction.span.start;
    let after = stage.instructions.partition_point(|each| each.span.start <= start);
    stage.instructions.get(after).map(|each| &each.kind)
}

/// How the file ends its lines.
pub(super) fn newline(view: &View<'_>) -> &'static str {
    let windows = |(first, _): (&str, &str)| first.ends_with('\r');
    if view.file.source.split_once('\n').is_some_and(windows) {
        "\r\n"
    } else {
        "\n"
    }
}

/// Inserts lines above an item and the comments that stand directly above it.
pub(super) fn above(view: &View<'_>, item: &Item<'_>, lines: &str) -> Edit {
    let mut line = view.file.line(item.instruction.span.start);
    while line > 1 && line_above(view, line).is_some_and(|text| text.trim_start().starts_with('#')) {
        line -= 1;
    }
    Edit::insert(view.file.line_start(line), format!("{lines}{}", newline(view)))
}

/// The line above a line.
fn line_above<'a>(view: &View<'a>, line: u32) -> Option<&'a str> {
    let before = line.checked_sub(1).filter(|before| *before > 0)?;
    view.file
        .source
        .get(view.file.line_start(before)..view.file.line_start(line))
}

/// Inserts lines below an item.
pub(super) fn below(view: &View<'_>, item: &Item<'_>, lines: &str) -> Edit {
    Edit::insert(item.instruction.span.end, format!("{}{lines}", newline(view)))
}

/// Takes an instruction away with its lines; `None` if a comment would go with it, or would mean what follows then.
pub(super) fn without(view: &View<'_>, item: &Item<'_>) -> Option<Edit> {
    let Span { start, end } = item.instruction.span;
    let line = view.file.line(start);
    let text = view.file.source.get(start..end)?;
    let silences = |text: &str| text.trim_start().starts_with('#') && text.contains("hadolint");
    if has_comment(text) || line_above(view, line).is_some_and(silences) {
        return None;
    }
    let start = view.file.line_start(line);
    let rest = view.file.source.get(end..)?;
    let blanks = rest.find('\n').map_or(rest.len(), |place| place + 1);
    let alone = rest[..blanks].trim().is_empty()
        && view
            .file
            .source
            .get(start..item.instruction.span.start)?
            .trim()
            .is_empty();
    let span = Span {
        start,
        end: end + blanks,
    };
    alone.then(|| Edit::replace(span, ""))
}

/// Whether a line of a text is a comment.
pub(super) fn has_comment(text: &str) -> bool {
    text.lines().any(|line| line.trim_start().starts_with('#'))
}
