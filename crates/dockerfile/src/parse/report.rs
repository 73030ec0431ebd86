//! Making diagnostics.

use crate::ast::Span;
use crate::code;
use crate::diagnostic::{Diagnostic, Severity};
use crate::extensions::Extensions;

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

/// The error where `what` is the extension of that name, for which the file does not ask.
pub(super) fn not_enabled(asked: Extensions, name: &str, what: &str, span: Span) -> Problem {
    let message = format!("{what} is an extension of Kiln, for which this file does not ask");
    let line = asked.directive_with(name);
    let help = format!("write `{line}` at the top, behind all other directives");
    helped(error(code::NOT_ENABLED, message, span), help)
}
