//! Text to tree.

mod add_copy;
mod cache_key;
mod directives;
mod document;
mod duration;
mod flags;
mod from;
mod healthcheck;
mod heredoc;
mod if_exists;
mod include;
mod instruction;
mod json;
mod lines;
mod logical;
mod pairs;
mod reader;
mod report;
mod run;
mod scan;
pub mod vocabulary;
mod words;

use crate::ast::{Dockerfile, Instruction, Span};
use crate::code;
use crate::diagnostic::Diagnostic;
pub use logical::Joined;
use report::{error, helped};
pub(crate) use scan::{Cut, Scan, asks_for_includes};

/// Reads a Dockerfile. All errors of the file are reported at once, in the order of their places; an instruction with
/// an error is left out of the tree. Warnings that `# check=` silences are among them, for a build may say otherwise: see
/// [`checks::Config::apply`](crate::checks::Config::apply).
pub fn parse(source: &str) -> (Dockerfile, Vec<Diagnostic>) {
    let Some(place) = source.find('\0') else {
        return document::parse(source);
    };
    let message = format!("the Dockerfile is not text: byte {place} is 0");
    let span = Span {
        start: place,
        end: place + 1,
    };
    (document::empty(source), vec![not_text(message, span, HELP)])
}

/// The same for bytes that may not be text. Where they are not, the tree holds the text before the first bad byte.
pub fn parse_bytes(source: &[u8]) -> (Dockerfile, Vec<Diagnostic>) {
    let bad = match std::str::from_utf8(source) {
        Ok(text) => return parse(text),
        Err(bad) => bad.valid_up_to(),
    };
    let (before, after) = source.split_at(bad);
    let text = std::str::from_utf8(before).unwrap_or_default();
    let byte = after.first().copied().unwrap_or_default();
    let message = format!("the Dockerfile is not UTF-8 text: byte {bad} is {byte:#04x}");
    let help = match source {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "it looks like UTF-16; save it as UTF-8",
        _ => HELP,
    };
    let span = Span {
        start: text.len(),
        end: text.len(),
    };
    (document::empty(text), vec![not_text(message, span, help)])
}

const HELP: &str = "check that the path names a Dockerfile, saved as UTF-8";

fn not_text(message: String, span: Span, help: &str) -> Diagnostic {
    helped(error(code::NOT_TEXT, message, span), help).into_diagnostic()
}

/// Reads one instruction alone: a trigger (ONBUILD) as an image config keeps it, here-documents included. Spans are
/// places in the given text. `None` if there is an error.
pub fn parse_instruction(source: &str) -> (Option<Instruction>, Vec<Diagnostic>) {
    document::parse_instruction(source)
}
