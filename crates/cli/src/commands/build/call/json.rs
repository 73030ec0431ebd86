//! What the answers have in common as JSON: the shapes of `BuildKit`'s.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::SourceFile;

/// The version of all methods.
pub(super) const VERSION: &str = "1.0.0";

/// Lines of the Dockerfile, from 1.
pub(super) fn location((first, last): (u32, u32)) -> Value {
    json!({"ranges": [{"start": {"line": first}, "end": {"line": last}}]})
}

/// The Dockerfile's bytes.
pub(super) fn bytes(source: &SourceFile) -> Value {
    json!(BASE64_STANDARD.encode(&source.text))
}

/// The text as it is printed, with a final line end.
pub(super) fn pretty(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value).expect("values of text and numbers are JSON");
    text + "\n"
}
