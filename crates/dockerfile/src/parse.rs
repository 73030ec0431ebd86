//! Text to tree.

use crate::ast::Dockerfile;
use crate::diagnostic::Diagnostic;

/// Reads a Dockerfile. All errors of the file are reported at once; an instruction with an error is left out of the tree.
pub fn parse(source: &str) -> (Dockerfile, Vec<Diagnostic>) {
    let _ = source;
    unimplemented!()
}

/// The same for bytes that may not be text.
pub fn parse_bytes(source: &[u8]) -> (Dockerfile, Vec<Diagnostic>) {
    let _ = source;
    unimplemented!()
}
