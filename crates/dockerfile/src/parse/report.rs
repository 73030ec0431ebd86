//! Making diagnostics.

use crate::ast::Span;
use crate::diagnostic::{Diagnostic, Severity};

/// What every parser here returns. Boxed, because diagnostics are large and rare.
pub(super) type Parsed<T> = Result<T, Box<Diagnostic>>;

pub(super) fn error(code: &'static str, message: impl Into<String>, span: Span) -> Box<Diagnostic> {
    Box::new(Diagnostic {
        code,
        severity: Severity::Error,
        message: message.into(),
        span,
        help: None,
    })
}

pub(super) fn warning(code: &'static str, message: impl Into<String>, span: Span) -> Diagnostic {
    Diagnostic {
        code,
        severity: Severity::Warning,
        message: message.into(),
        span,
        help: None,
    }
}

/// With what to do about it.
pub(super) fn helped(mut diagnostic: Box<Diagnostic>, help: impl Into<String>) -> Box<Diagnostic> {
    diagnostic.help = Some(help.into());
    diagnostic
}
