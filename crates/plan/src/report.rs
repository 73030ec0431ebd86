//! Collects what there is to say about a Dockerfile.

use std::collections::HashSet;

use kiln_dockerfile::ast::Span;
use kiln_dockerfile::diagnostic::{Diagnostic, Severity};

/// The errors and warnings so far.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Diagnostic>);

/// An error about a place, not yet reported.
pub(crate) fn error(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic {
        code,
        severity: Severity::Error,
        message: message.into(),
        span,
        help: None,
    }
}

impl Report {
    /// Adds an error or warning.
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Adds a warning.
    pub(crate) fn warn(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.0.push(Diagnostic {
            severity: Severity::Warning,
            ..error(code, span, message)
        });
    }

    /// The value, or `None` with the error kept.
    pub(crate) fn take<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|diagnostic| self.push(diagnostic)).ok()
    }

    /// Whether nothing can be built.
    pub(crate) fn failed(&self) -> bool {
        self.0.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// All of it in the order of the text, each once.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.0
            .sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
        let mut said = HashSet::new();
        self.0.retain(|each| {
            let place = (each.span.start, each.span.end);
            said.insert((place, each.code, each.message.clone()))
        });
        self.0
    }
}
