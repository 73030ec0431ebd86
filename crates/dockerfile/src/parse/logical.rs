//! Logical lines: continuations joined, with the way back to the places in the source.

use std::ops::Range;

use super::lines::{Line, Lines};
use crate::ast::{Span, Word};

/// A logical line.
#[derive(Debug, Default)]
pub(super) struct Logical {
    pub(super) text: String,
    pieces: Vec<Piece>,
    /// First and last physical line, from 1.
    pub(super) lines: (u32, u32),
    /// Where its last physical line ends in the source, without line end.
    pub(super) end: usize,
    /// Whether the source ended where it was to go on.
    pub(super) unfinished: bool,
    /// The first blank line within.
    pub(super) empty_line: Option<Span>,
    /// The physical lines that are longer than allowed.
    pub(super) too_long: Vec<Span>,
}

/// From here on, the text stands there in the source.
#[derive(Debug)]
struct Piece {
    at: usize,
    source: usize,
}

impl Logical {
    /// Reads on from a first physical line that is neither comment nor blank.
    pub(super) fn read(first: Line<'_>, lines: &mut Lines<'_>, escape: char) -> Self {
        let mut logical = Self {
            lines: (lines.number(), lines.number()),
            ..Self::default()
        };
        let content = first.text.trim_start();
        let mut open = logical.append(first, content, escape);
        while open {
            let Some(line) = lines.next() else { break };
            let stripped = line.text.trim_start();
            logical.lines.1 = lines.number();
            logical.end = line.end();
            if stripped.starts_with('#') {
                logical.check_length(line);
            } else if stripped.is_empty() {
                logical.empty_line.get_or_insert(Span {
                    start: line.start,
                    end: line.end(),
                });
            } else {
                open = logical.append(line, line.text, escape);
            }
        }
        logical.unfinished = open;
        logical
    }

    /// Adds what a line holds; whether the instruction goes on.
    fn append(&mut self, line: Line<'_>, content: &str, escape: char) -> bool {
        self.check_length(line);
        self.end = line.end();
        let continued = without_continuation(content, escape);
        self.pieces.push(Piece {
            at: self.text.len(),
            source: line.end() - content.len(),
        });
        self.text.push_str(continued.unwrap_or(content));
        continued.is_some()
    }

    fn check_length(&mut self, line: Line<'_>) {
        if line.too_long() {
            self.too_long.push(Span {
                start: line.start,
                end: line.end(),
            });
        }
    }

    /// The place in the source of a byte of the text.
    fn source(&self, at: usize) -> usize {
        let after = self.pieces.partition_point(|piece| piece.at <= at);
        let piece = after.checked_sub(1).and_then(|index| self.pieces.get(index));
        piece.map_or(self.end, |piece| piece.source + (at - piece.at))
    }

    /// The place in the source of a range of the text.
    pub(super) fn span(&self, range: Range<usize>) -> Span {
        if range.is_empty() {
            let place = self.source(range.start);
            return Span {
                start: place,
                end: place,
            };
        }
        // The last piece may be another one than that of the end, which belongs to what follows.
        Span {
            start: self.source(range.start),
            end: self.source(range.end - 1) + 1,
        }
    }

    /// A range of the text as a word.
    pub(super) fn word(&self, range: Range<usize>) -> Word {
        Word {
            raw: self.text[range.clone()].to_owned(),
            span: self.span(range),
        }
    }

    /// The part of a range that is left without the blanks around it.
    pub(super) fn trimmed(&self, range: Range<usize>) -> Range<usize> {
        let text = &self.text[range.clone()];
        let start = range.start + (text.len() - text.trim_start().len());
        start..(start + text.trim().len())
    }
}

/// A piece of a Dockerfile with its continued lines joined, and the way back to where they stand.
#[derive(Debug)]
pub struct Joined {
    logical: Logical,
    /// Where the piece starts in the source.
    start: usize,
}

impl Joined {
    /// Joins the lines of a piece of an instruction, here-documents not included.
    pub(crate) fn new(source: &str, span: Span, escape: char) -> Self {
        let mut lines = Lines::new(source.get(span.range()).unwrap_or_default());
        let logical = lines
            .next()
            .map(|first| Logical::read(first, &mut lines, escape))
            .unwrap_or_default();
        Self {
            logical,
            start: span.start,
        }
    }

    /// The text as the shell gets it.
    pub fn text(&self) -> &str {
        &self.logical.text
    }

    /// Where a range of the text stands in the source; it must lie within the text.
    pub fn span(&self, range: Range<usize>) -> Span {
        let span = self.logical.span(range);
        Span {
            start: self.start + span.start,
            end: self.start + span.end,
        }
    }
}

/// The content before the escape character at its end; `None` if the line is not continued. The escape counts with
/// blanks behind it, and not when it is escaped itself.
fn without_continuation(content: &str, escape: char) -> Option<&str> {
    let before = content.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!before.ends_with(escape)).then_some(before)
}
