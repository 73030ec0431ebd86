//! INCLUDE: the text of other files, read in place of the instruction.
//!
//! It is done before anything is parsed, and knows no variables. Files end with their last instruction; their directives
//! are left out, for they count only at the top of the whole.

use std::sync::Arc;

use crate::ast::{Span, Word};
use crate::code;
use crate::diagnostic::{Diagnostic, Severity};
use crate::parse::{Cut, Scan, asks_for_includes};
use crate::source::{File, Source};

/// How deep files may include one another.
pub const DEEPEST: usize = 16;
/// How many may be included, those that are so again and again among them.
pub const MOST: usize = 1000;
/// Text that is larger, in bytes, is no Dockerfile.
pub const LARGEST: usize = 64 << 20;

/// Where files are that a Dockerfile includes.
pub trait Files {
    /// The text of a file. The path is relative to the directory that no INCLUDE leads out of, and has no `.` or `..`.
    fn read(&mut self, path: &str) -> Result<String, Unreadable>;

    /// Its name in messages.
    fn name(&self, path: &str) -> String;

    /// What the directory is, in messages: `the build context`.
    fn directory(&self) -> &'static str;
}

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong, with its name.
    pub message: String,
    /// What to do about it, where that is known.
    pub help: Option<String>,
}

/// A text that could not be put together.
#[derive(Debug)]
pub struct Failed {
    /// As far as it could.
    pub source: Source,
    /// All errors, those of the text itself among them, in the order of their places in it.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads in what a Dockerfile includes. One that does not ask for the extension stays as it is. `path` is its own place
/// below the directory of the files, empty where it has none.
pub fn read_in(name: &str, path: &str, text: String, files: &mut dyn Files) -> Result<Source, Box<Failed>> {
    if !asks_for_includes(&text) {
        return Ok(Source::new(name, text));
    }
    let scan = Scan::of(&text);
    let root = File::new(name.to_owned(), &text, None);
    let mut merge = Merge {
        files,
        source: Source::without_text(root),
        line: 1,
        read: 0,
        size: 0,
        way: vec![path.to_owned()],
        found: Vec::new(),
    };
    merge.put(0, &scan);
    merge.finish()
}

struct Merge<'a> {
    files: &'a mut dyn Files,
    source: Source,
    /// The number of the text's next line.
    line: u32,
    /// How many files were asked for.
    read: usize,
    /// Their bytes.
    size: usize,
    /// The paths of the files that are being read in, each included by the one before.
    way: Vec<String>,
    /// What is wrong, by files and with places in them.
    found: Vec<(usize, Diagnostic)>,
}

/// A file's path and text.
type Found = (String, String);

impl Merge<'_> {
    /// Adds a file with all that it includes.
    fn put(&mut self, file: usize, scan: &Scan) {
        let text = Arc::clone(&self.source.files()[file].text);
        let included = file > 0;
        // A byte order mark is no text in the middle of one.
        let mut at = if included && text.starts_with('\u{feff}') { 3 } else { 0 };
        let mut line = 1;
        for cut in &scan.cuts {
            self.piece(file, at..cut.range.start, (line, cut.lines.0));
            self.cut(file, cut, scan);
            (at, line) = (cut.range.end, cut.lines.1.saturating_add(1));
        }
        let lines = text[at..].bytes().filter(|byte| *byte == b'\n').count();
        self.piece(file, at..text.len(), (line, line.saturating_add(count(lines))));
        if included {
            self.end_line();
        }
        let found = scan.problems.iter().map(|each| (file, each.clone()));
        self.found.extend(found);
    }

    /// Adds a piece of a file, the lines from the first up to the second.
    fn piece(&mut self, file: usize, bytes: std::ops::Range<usize>, lines: (u32, u32)) {
        if !bytes.is_empty() {
            self.source.push(file, bytes, lines.0, self.line);
            self.line = self.line.saturating_add(lines.1 - lines.0);
        }
    }

    fn end_line(&mut self) {
        if self.source.end_line() {
            self.line = self.line.saturating_add(1);
        }
    }

    /// What stands in place of lines that are not taken over. Where something is wrong with them they stay, so that it has
    /// a place.
    fn cut(&mut self, file: usize, cut: &Cut, scan: &Scan) {
        let wrong = self.found.len();
        let mut read = Vec::new();
        for word in &cut.paths {
            match self.find(word) {
                Ok(found) => read.extend(found),
                Err(diagnostic) => self.found.push((file, *diagnostic)),
            }
        }
        // Both are in the order of the text.
        let problem = scan.problems.partition_point(|each| each.span.start < cut.range.start);
        let problem = scan.problems.get(problem);
        let bad_directive = problem.is_some_and(|each| each.span.start < cut.range.end);
        if self.found.len() > wrong || bad_directive {
            self.piece(file, cut.range.clone(), (cut.lines.0, cut.lines.1.saturating_add(1)));
            self.end_line();
        }
        for (path, text) in read {
            let inner = Scan::of_included(&text, scan.common);
            let included = File::new(self.files.name(&path), &text, Some((file, cut.lines.0)));
            let number = self.source.add(included);
            self.way.push(path);
            self.put(number, &inner);
            self.way.pop();
        }
    }

    /// The file that a word names; none where so much was read already that an error was reported.
    fn find(&mut self, word: &Word) -> Result<Option<Found>, Box<Diagnostic>> {
        if self.read > MOST || self.size > LARGEST {
            return Ok(None);
        }
        let directory = self.files.directory();
        let own = self.way.last().map_or("", String::as_str);
        let Some(path) = below(own, &word.raw) else {
            let message = format!("`{}` leads out of {directory}", word.raw);
            let help = format!("INCLUDE reads what is in {directory}");
            return Err(problem(word.span, message, Some(help)).into());
        };
        if let Some(first) = self.way.iter().position(|known| *known == path) {
            let names = self.way[first..]
                .iter()
                .chain([&path])
                .map(|path| self.files.name(path));
            let way = names.collect::<Vec<_>>().join(" → ");
            return Err(problem(word.span, format!("files include one another in a circle: {way}"), None).into());
        }
        if self.way.len() > DEEPEST {
            let message = format!("files include one another more than {DEEPEST} deep");
            return Err(problem(word.span, message, None).into());
        }
        self.read += 1;
        if self.read > MOST {
            let message = format!("more than {MOST} files are included; the rest was not read");
            return Err(problem(word.span, message, None).into());
        }
        let text = self.files.read(&path);
        let text = text.map_err(|unreadable| problem(word.span, unreadable.message, unreadable.help))?;
        self.size += text.len();
        if self.size > LARGEST {
            let message = format!(
                "what is included is larger than {} MiB; the rest was not read",
                LARGEST >> 20
            );
            return Err(problem(word.span, message, None).into());
        }
        Ok(Some((path, text)))
    }

    fn finish(self) -> Result<Source, Box<Failed>> {
        let source = self.source;
        if self.found.is_empty() {
            return Ok(source);
        }
        let places = source.places();
        let (_, mut diagnostics) = crate::parse(source.text());
        diagnostics.retain(|each| each.severity == Severity::Error && each.code != code::NOT_READ_IN);
        diagnostics.extend(self.found.into_iter().map(|(file, each)| Diagnostic {
            span: places.of(file, each.span),
            ..each
        }));
        diagnostics.sort_by_key(|each| each.span.start);
        diagnostics.dedup();
        Err(Box::new(Failed { source, diagnostics }))
    }
}

fn problem(span: Span, message: String, help: Option<String>) -> Diagnostic {
    Diagnostic {
        code: code::BAD_INCLUDE,
        severity: Severity::Error,
        message,
        span,
        help,
    }
}

fn count(lines: usize) -> u32 {
    u32::try_from(lines).unwrap_or(u32::MAX)
}

/// A path relative to a file's, without `.` and `..`; `None` where it leads out of all directories.
fn below(file: &str, path: &str) -> Option<String> {
    let directory = file.rsplit_once('/').map_or("", |(directory, _)| directory);
    let mut parts = Vec::new();
    for part in directory.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_file() {
        for (file, path, expected) in [
            ("Dockerfile", "a", Some("a")),
            ("x/y/Dockerfile", "./a//b", Some("x/y/a/b")),
            ("x/y/Dockerfile", "../a/../b", Some("x/b")),
            ("x/Dockerfile", "../../a", None),
            ("", "../a", None),
            ("", "a/..", Some("")),
        ] {
            assert_eq!(below(file, path).as_deref(), expected, "{file} {path}");
        }
    }
}
