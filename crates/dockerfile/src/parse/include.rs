//! `INCLUDE PATH…`

use std::ops::Range;

use super::flags::Flags;
use super::instruction::Arguments;
use super::report::{Parsed, error, helped, not_enabled};
use crate::ast::{Span, Word};
use crate::code;
use crate::extensions::INCLUDE;

/// An INCLUDE. No tree holds one: its text is read in before.
#[derive(Debug)]
pub(crate) struct Include {
    pub(crate) keyword: Span,
    pub(crate) paths: Vec<Word>,
    /// First and last line, from 1.
    pub(crate) lines: (u32, u32),
    /// The bytes of these lines, line ends included.
    pub(crate) range: Range<usize>,
}

pub(super) fn paths(arguments: Arguments<'_>) -> Parsed<Vec<Word>> {
    if !arguments.extensions.include {
        let span = arguments.keyword_span;
        return Err(not_enabled(arguments.extensions, INCLUDE, "INCLUDE", span));
    }
    let paths = arguments.json_or_words()?;
    if paths.is_empty() {
        return Err(arguments.at_least_one());
    }
    paths.iter().try_for_each(check)?;
    Flags::none(arguments.flags)?;
    Ok(paths)
}

fn check(path: &Word) -> Parsed<()> {
    let raw = path.raw.as_str();
    let (what, help) = if raw.contains('$') {
        (
            "variable expansion is not supported for INCLUDE",
            "files are read in before anything is expanded",
        )
    } else if raw.contains("://") {
        (
            "INCLUDE takes no URLs",
            "include a file of the context, or build `FROM` an image",
        )
    } else if raw.starts_with('/') || raw.is_empty() {
        (
            "INCLUDE takes relative paths",
            "a path is relative to the file that the INCLUDE is in",
        )
    } else {
        return Ok(());
    };
    Err(helped(
        error(code::BAD_INCLUDE, format!("{what}: `{raw}`"), path.span),
        help,
    ))
}
