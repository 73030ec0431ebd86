//! What the answers have in common as JSON: the shapes of `BuildKit`'s.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use kiln_dockerfile::source::{File, Source};
use serde::Serialize;
use serde_json::{Value, json};

/// The version of all methods.
pub(super) const VERSION: &str = "1.0.0";

/// Lines of the text, from 1, as lines of one of its files.
pub(super) fn location(source: &Source, lines: (u32, u32)) -> Value {
    let (file, (first, last)) = source.lines(lines);
    let mut value = json!({"ranges": [{"start": {"line": first}, "end": {"line": last}}]});
    if file > 0 {
        value["sourceIndex"] = json!(file);
    }
    value
}

/// The bytes of all files.
pub(super) fn sources(source: &Source) -> Value {
    source.files().iter().map(bytes).collect()
}

/// A file's bytes.
pub(super) fn bytes(file: &File) -> Value {
    json!(BASE64_STANDARD.encode(file.text.as_bytes()))
}

/// The text as it is printed, with a final line end.
pub(super) fn pretty(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value).expect("values of text and numbers are JSON");
    text + "\n"
}
