//! What a file says to who puts it together with others: its directives, its INCLUDEs, and whether it ends well.

use std::ops::Range;

use super::directives::Directives;
use super::include::Include;
use super::lines::Lines;
use super::reader::{Read, Reader};
use super::report::{error, helped};
use crate::ast::Word;
use crate::code;
use crate::diagnostic::Diagnostic;
use crate::extensions::Extensions;

/// What a text that includes files and the files themselves have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Common {
    pub(crate) escape: char,
    pub(crate) extensions: Extensions,
}

/// Whole lines that are not taken over as they are.
#[derive(Debug)]
pub(crate) struct Cut {
    /// Their bytes, line ends included.
    pub(crate) range: Range<usize>,
    /// The first and the last, from 1.
    pub(crate) lines: (u32, u32),
    /// What stands there instead.
    pub(crate) paths: Vec<Word>,
}

/// A file.
#[derive(Debug)]
pub(crate) struct Scan {
    /// What holds in the files that it includes.
    pub(crate) common: Common,
    /// In the order of the text.
    pub(crate) cuts: Vec<Cut>,
    /// What nobody would see any longer once it is put together.
    pub(crate) problems: Vec<Diagnostic>,
}

/// Whether a Dockerfile may include others.
pub(crate) fn asks_for_includes(source: &str) -> bool {
    let mut directives = Directives::new();
    let mut lines = Lines::new(source);
    while let Some(line) = lines.next() {
        if matches!(directives.take(line), Ok(false)) {
            break;
        }
    }
    directives.extensions.include
}

impl Scan {
    /// The Dockerfile itself. What is wrong with it is found where all of the text is parsed.
    pub(crate) fn of(source: &str) -> Self {
        let mut scan = Self::with(source, Directives::new());
        scan.problems.clear();
        scan
    }

    /// A file that is included. Directives are of no account in the middle of a text, so they are left out; that one
    /// would change how the text is read is an error.
    pub(crate) fn of_included(source: &str, common: Common) -> Self {
        Self::with(source, Directives::included(common))
    }

    fn with(source: &str, directives: Directives) -> Self {
        let included = directives.is_included();
        let mut reader = Reader::new(source, directives);
        let mut cuts = Vec::new();
        let mut problems = Vec::new();
        while let Some(line) = reader.lines.next() {
            let (number, before) = (reader.lines.number(), reader.directives.found.len());
            match reader.line(line) {
                Some(Read::Include(include)) => cuts.push(Cut::of(include)),
                None if included && reader.directives.found.len() > before => cuts.push(Cut {
                    range: line.start..reader.lines.offset(),
                    lines: (number, number),
                    paths: Vec::new(),
                }),
                _ => {}
            }
            // The others are seen again where the whole is parsed.
            let lost = |found: &Diagnostic| found.code == code::BAD_DIRECTIVE || found.code == code::BAD_HEREDOC;
            problems.extend(reader.diagnostics.drain(..).filter(lost));
        }
        if let Some(keyword) = reader.unfinished {
            let found = error(code::BAD_INCLUDE, "the instruction does not end with its file", keyword);
            let help = "take away the sign of continuation at the end of the file";
            problems.push(helped(found, help).into_diagnostic());
        }
        Self {
            common: Common {
                escape: reader.directives.escape,
                extensions: reader.directives.extensions,
            },
            cuts,
            problems,
        }
    }
}

impl Cut {
    fn of(include: Include) -> Self {
        Self {
            range: include.range,
            lines: include.lines,
            paths: include.paths,
        }
    }
}
