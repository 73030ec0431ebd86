//! One form for Dockerfiles: keywords, blanks, continued lines. What the instructions say stays as it is.

use std::fmt::Write as _;

use kiln_dockerfile::ast::{Instruction, Kind, Span};
use kiln_dockerfile::diagnostic::Severity;
use kiln_dockerfile::{Dockerfile, parse};

/// How far continued lines are indented.
const INDENT: &str = "    ";

/// The text in its canonical form; `None` if it cannot be read, the same text if its form would say something else (an escape
/// that ends the file). Comments and here-documents stay as they are, but for
/// the blanks around comments.
///
/// Keywords are in upper case, one blank follows them, lines have no blanks at their ends, at most one blank line stands
/// between two others, and the lines of an instruction of words are indented alike. The text ends with one line end.
pub fn format(source: &str) -> Option<String> {
    let (file, found) = parse(source);
    if found.iter().any(|each| each.severity == Severity::Error) {
        return None;
    }
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    for instruction in instructions(&file) {
        between(&source[at..instruction.span.start], &mut out);
        one(&file, instruction, &mut out);
        at = instruction.span.end;
    }
    between(&source[at..], &mut out);
    let text = out.trim_end_matches(['\n', '\r']);
    let text = format!("{text}\n");
    // The line end of the file is that of its first line.
    let windows = source.split_once('\n').is_some_and(|(first, _)| first.ends_with('\r'));
    let text = if windows { to_crlf(&text) } else { text };
    Some(if same(&file, &text) { text } else { source.to_owned() })
}

fn instructions(file: &Dockerfile) -> impl Iterator<Item = &Instruction> {
    let stages = file.stages.iter();
    let of_stages = stages.flat_map(|stage| std::iter::once(&stage.instruction).chain(&stage.instructions));
    file.globals.iter().chain(of_stages)
}

/// Whether a text says the same as a file.
fn same(file: &Dockerfile, text: &str) -> bool {
    let (new, found) = parse(text);
    let says = |file: &Dockerfile| -> Vec<String> { instructions(file).map(|each| words(&each.text)).collect() };
    found.iter().all(|each| each.severity != Severity::Error)
        && says(&new) == says(file)
        && comments(&file.source) == comments(text)
}

/// A text whose blanks in a row are one.
fn words(text: &str) -> String {
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

fn comments(text: &str) -> usize {
    text.lines().filter(|line| line.trim_start().starts_with('#')).count()
}

fn to_crlf(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

/// Comments and blank lines.
fn between(text: &str, out: &mut String) {
    let (mark, text) = match text.strip_prefix('\u{feff}') {
        Some(rest) => ("\u{feff}", rest),
        None => ("", text),
    };
    out.push_str(mark);
    // What is behind the last line end stands before the next keyword.
    let lines = text.split('\n').map(str::trim).collect::<Vec<_>>();
    let count = lines.len();
    for (place, line) in lines.into_iter().enumerate() {
        let last = place + 1 == count;
        if line.is_empty() {
            let blank = out.is_empty() || out.ends_with("\n\n") || out == "\u{feff}";
            if !last && !blank {
                out.push('\n');
            }
            continue;
        }
        out.push_str(line);
        if !last {
            out.push('\n');
        }
    }
}

fn one(file: &Dockerfile, instruction: &Instruction, out: &mut String) {
    let keyword = instruction.keyword.span;
    let text = &file.source[keyword.end..instruction.span.end];
    let _ = write!(out, "{}", instruction.keyword.raw.to_ascii_uppercase());
    let documents = first_document(instruction);
    let head_end = documents.map_or(instruction.span.end, |span| span.start);
    let head = &file.source[keyword.end..head_end];
    if head.trim().is_empty() || first_is_continued(head, file.escape) {
        out.push_str(text.trim_end());
        return;
    }
    lines(head, file.escape, re_indents(instruction), out);
    if let Some(span) = documents {
        // As written, to the last byte.
        out.push('\n');
        out.push_str(&file.source[span.start..instruction.span.end]);
    }
}

/// Whether the keyword stands in a line of its own.
fn first_is_continued(head: &str, escape: char) -> bool {
    let first = head.split('\n').next().unwrap_or_default();
    first.trim() == escape.to_string()
}

/// Where the bodies of here-documents begin.
fn first_document(instruction: &Instruction) -> Option<Span> {
    use kiln_dockerfile::ast::SourcePath;
    let sources = |sources: &[SourcePath]| {
        sources.iter().find_map(|source| match source {
            SourcePath::Heredoc(document) => Some(document.body),
            SourcePath::Path(_) => None,
        })
    };
    match &instruction.kind {
        Kind::Run(run) => run.heredocs.first().map(|document| document.body),
        Kind::Copy(copy) => sources(&copy.transfer.sources),
        Kind::Add(add) => sources(&add.transfer.sources),
        Kind::Onbuild(onbuild) => first_document(&onbuild.instruction),
        _ => None,
    }
}

/// Whether blanks at the start of continued lines mean nothing to whoever reads the instruction.
fn re_indents(instruction: &Instruction) -> bool {
    match &instruction.kind {
        Kind::Copy(_) | Kind::Add(_) | Kind::Expose(_) | Kind::From(_) | Kind::Arg(_) => true,
        Kind::Env(pairs) | Kind::Label(pairs) => pairs
            .iter()
            .all(|pair| !pair.legacy && !pair.value.raw.contains([' ', '\t'])),
        _ => false,
    }
}

/// The lines of an instruction behind its keyword: one blank before the first word, none at the ends.
fn lines(head: &str, escape: char, re_indents: bool, out: &mut String) {
    let mut all = head.trim_end_matches(['\n', '\r', ' ', '\t']).split('\n').peekable();
    let mut first = true;
    while let Some(line) = all.next() {
        let line = line.trim_end_matches('\r');
        let last = all.peek().is_none();
        if first {
            out.push(' ');
            out.push_str(ended(line.trim_start(), escape).as_str());
        } else {
            let content = line.trim_start();
            if content.is_empty() {
                // A blank line within an instruction is to become an error.
                continue;
            }
            out.push('\n');
            if content.starts_with('#') {
                out.push_str(line.trim_end());
            } else if re_indents {
                out.push_str(INDENT);
                out.push_str(&ended(content, escape));
            } else {
                out.push_str(&ended(line, escape));
            }
        }
        first = false;
        if last && line.trim_start().is_empty() {
            break;
        }
    }
}

/// A line without blanks at its end, behind the escape that continues it.
fn ended(line: &str, escape: char) -> String {
    let trimmed = line.trim_end_matches([' ', '\t']);
    if trimmed.ends_with(escape) {
        trimmed.to_owned()
    } else {
        line.trim_end_matches([' ', '\t']).to_owned()
    }
}
