//! What the parser has to say about a text.

use crate::ast::Span;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The build goes on.
    Warning,
    /// Nothing can be built from this text.
    Error,
}

/// An error or warning about a place in a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code: `kiln explain CODE` expands it. BuildKit's rule name where it has the rule.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, without final period.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What to do about it ("did you mean `RUN`?"), where that is known.
    pub help: Option<String>,
}
