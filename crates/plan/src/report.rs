//! Collects what there is to say about a Dockerfile.

use std::collections::HashSet;

use kiln_dockerfile::ast::Span;
use kiln_dockerfile::diagnostic::{Diagnostic, Severity};

/// Bytes of a message that are kept: many instructions may each have the same large value in theirs.
const LONGEST: usize = 1000;

/// The errors and warnings so far.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Diagnostic>);

/// An error about a place, not yet reported. Of a message that is too long the beginning is kept.
pub(crate) fn error(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic {
        code,
        severity: Severity::Error,
        message: shortened(message.into()),
        span,
        help: None,
    }
}

impl Report {
    /// Adds an error or warning, of the linter's too.
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(Diagnostic {
            message: shortened(diagnostic.message),
            ..diagnostic
        });
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

fn shortened(message: String) -> String {
    if message.len() <= LONGEST {
        return message;
    }
    let end = (0..=LONGEST).rev().find(|at| message.is_char_boundary(*at));
    format!("{}…", &message[..end.unwrap_or(0)])
}
