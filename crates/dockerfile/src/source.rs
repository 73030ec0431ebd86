//! A Dockerfile's text and the files that it is made of.

use std::sync::Arc;

use crate::ast::Span;
use crate::lines::LineIndex;

/// A text to be parsed. What is found in it has places in all of it; here is the way back to the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    text: String,
    files: Vec<File>,
    parts: Vec<Part>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name in messages.
    pub name: String,
    /// All of it.
    pub text: Arc<str>,
    /// The file that includes it, by its number, and the line there, from 1. The Dockerfile itself has none.
    pub included_from: Option<(usize, u32)>,
    lines: LineIndex,
}

impl File {
    pub(crate) fn new(name: String, text: &str, included_from: Option<(usize, u32)>) -> Self {
        Self {
            name,
            text: Arc::from(text),
            included_from,
            lines: LineIndex::new(text),
        }
    }

    /// The line, from 1, of a byte. Places past the end are the end.
    pub fn line(&self, offset: usize) -> u32 {
        self.lines.line(&self.text, offset)
    }

    /// The text from a line, from 1, to another, both included, as far as it has them.
    pub fn between(&self, first: u32, last: u32) -> &str {
        let start = |line| self.lines.start(&self.text, line);
        &self.text[start(first)..start(last.max(first).saturating_add(1))]
    }
}

/// A piece of a file in the text, up to the next part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    /// Its first byte in the text.
    start: usize,
    /// Its first line in the text, from 1.
    line: u32,
    file: usize,
    /// The same in the file.
    file_start: usize,
    file_line: u32,
}

impl Default for Source {
    fn default() -> Self {
        Self::new("", String::new())
    }
}

impl Source {
    /// A text that is one file.
    pub fn new(name: &str, text: String) -> Self {
        let file = File::new(name.to_owned(), &text, None);
        let mut source = Self::without_text(file);
        source.parts.push(Part {
            start: 0,
            line: 1,
            file: 0,
            file_start: 0,
            file_line: 1,
        });
        source.text = text;
        source
    }

    /// A file of which no part is in the text yet.
    pub(crate) fn without_text(file: File) -> Self {
        Self {
            text: String::new(),
            files: vec![file],
            parts: Vec::new(),
        }
    }

    /// The text that is parsed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All files in the order in which they begin; the first is the Dockerfile itself. One that is included twice is there
    /// twice.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The name of the Dockerfile itself.
    pub fn name(&self) -> &str {
        &self.files[0].name
    }

    /// The file, by its number, and the place in it of a place in the text.
    pub fn place(&self, span: Span) -> (usize, Span) {
        let Some(part) = self.part(|part| part.start <= span.start) else {
            return (0, span);
        };
        let length = self.files[part.file].text.len();
        let into = |at: usize| (part.file_start + at.saturating_sub(part.start)).min(length);
        let span = Span {
            start: into(span.start),
            end: into(span.end),
        };
        (part.file, span)
    }

    /// The file, by its number, and the lines in it of an instruction's lines in the text.
    pub fn lines(&self, (first, last): (u32, u32)) -> (usize, (u32, u32)) {
        let Some(part) = self.part(|part| part.line <= first) else {
            return (0, (first, last));
        };
        let into = |line: u32| part.file_line.saturating_add(line.saturating_sub(part.line));
        (part.file, (into(first), into(last)))
    }

    /// Name and line of the INCLUDEs that led to a file, the nearest first.
    pub fn included_from(&self, file: usize) -> impl Iterator<Item = (&str, u32)> {
        let from = move |file: usize| self.files[file].included_from;
        std::iter::successors(from(file), move |(file, _)| from(*file))
            .map(|(file, line)| (self.files[file].name.as_str(), line))
    }

    /// The last part of which it is true; it is true of the first ones.
    fn part(&self, is_before: impl Fn(&Part) -> bool) -> Option<&Part> {
        let next = self.parts.partition_point(is_before);
        self.parts.get(next.checked_sub(1)?)
    }
}

/// Putting a text together.
impl Source {
    /// Adds a file, and gives its number.
    pub(crate) fn add(&mut self, file: File) -> usize {
        self.files.push(file);
        self.files.len() - 1
    }

    /// Adds a piece of a file, of which the first line has that number, to the text, of which the next line has that
    /// other.
    pub(crate) fn push(&mut self, file: usize, bytes: std::ops::Range<usize>, file_line: u32, line: u32) {
        self.parts.push(Part {
            start: self.text.len(),
            line,
            file,
            file_start: bytes.start,
            file_line,
        });
        self.text.push_str(&self.files[file].text[bytes]);
    }

    /// Ends the last line of the text, if it has no end; whether it had none.
    pub(crate) fn end_line(&mut self) -> bool {
        let open = !self.text.is_empty() && !self.text.ends_with('\n');
        if open {
            self.text.push('\n');
        }
        open
    }

    /// The way from places in the files to those in the text.
    pub(crate) fn places(&self) -> Places {
        let mut parts = self.parts.clone();
        parts.sort_by_key(|part| (part.file, part.file_start));
        Places {
            parts,
            end: self.text.len(),
        }
    }
}

/// The parts of a text in the order of the files.
pub(crate) struct Places {
    parts: Vec<Part>,
    end: usize,
}

impl Places {
    /// The place in the text of a place in a file.
    pub(crate) fn of(&self, file: usize, span: Span) -> Span {
        let next = self
            .parts
            .partition_point(|part| (part.file, part.file_start) <= (file, span.start));
        let part = next.checked_sub(1).map(|last| self.parts[last]);
        let (from, to) = part
            .filter(|part| part.file == file)
            .map_or((0, 0), |part| (part.file_start, part.start));
        let into = |at: usize| (to + at.saturating_sub(from)).min(self.end);
        Span {
            start: into(span.start),
            end: into(span.end),
        }
    }
}
