//! Making diagnostics.

use crate::ast::Span;
use crate::diagnostic::{Diagnostic, Severity};

/// What every parser here returns.
pub(super) type Parsed<T> = Result<T, Problem>;

/// An error about an instruction. Boxed, because diagnostics are large and rare.
#[derive(Debug)]
pub(super) struct Problem(Box<Diagnostic>);

impl Problem {
    pub(super) fn into_diagnostic(self) -> Diagnostic {
        *self.0
    }
}

pub(super) fn error(code: &'static str, message: impl Into<String>, span: Span) -> Problem {
    Problem(Box::new(Diagnostic {
        code,
        severity: Severity::Error,
        message: message.into(),
        span,
        help: None,
    }))
}

/// With what to do about it.
pub(super) fn helped(mut problem: Problem, help: impl Into<String>) -> Problem {
    problem.0.help = Some(help.into());
    problem
}
