//! Places as editors count them: lines, and in a line what their encoding says.

use kiln_dockerfile::ast::Span;
use serde::{Deserialize, Serialize};

/// What a character of a position is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Encoding {
    /// A byte.
    Utf8,
    /// A code unit of UTF-16, which every client knows.
    #[default]
    Utf16,
}

impl Encoding {
    /// Its name in the protocol.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Utf16 => "utf-16",
        }
    }

    const fn length(self, c: char) -> usize {
        match self {
            Self::Utf8 => c.len_utf8(),
            Self::Utf16 => c.len_utf16(),
        }
    }
}

/// A place, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub(super) struct Position {
    pub(super) line: u32,
    pub(super) character: u32,
}

/// From one place up to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Range {
    pub(super) start: Position,
    pub(super) end: Position,
}

impl Range {
    /// Whether two have a place in common, their ends included.
    pub(super) fn touches(&self, other: &Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

/// Where the lines of a text begin. They end with `\n`, `\r\n` or `\r`.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    starts: Vec<usize>,
    encoding: Encoding,
}

impl Lines {
    pub(super) fn new(text: &str, encoding: Encoding) -> Self {
        let bytes = text.as_bytes();
        let ends = bytes.iter().enumerate().filter(|(place, byte)| match byte {
            b'\n' => true,
            b'\r' => bytes.get(place + 1) != Some(&b'\n'),
            _ => false,
        });
        Self {
            starts: std::iter::once(0).chain(ends.map(|(place, _)| place + 1)).collect(),
            encoding,
        }
    }

    /// The byte at a position. Positions past the end of a line or of the text are that end.
    pub(super) fn offset(&self, text: &str, position: Position) -> usize {
        let line = position.line as usize;
        let Some(&start) = self.starts.get(line) else {
            return text.len();
        };
        let end = self.starts.get(line + 1).copied().unwrap_or(text.len());
        let content = text[start..end].trim_end_matches(['\r', '\n']);
        let mut left = position.character as usize;
        for (place, c) in content.char_indices() {
            let length = self.encoding.length(c);
            if left < length {
                return start + place;
            }
            left -= length;
        }
        start + content.len()
    }

    /// The position of a byte.
    pub(super) fn position(&self, text: &str, offset: usize) -> Position {
        let offset = offset.min(text.len());
        let line = self.starts.partition_point(|start| *start <= offset).saturating_sub(1);
        let start = self.starts.get(line).copied().unwrap_or_default();
        let chars = text[start..].char_indices();
        let before = chars.take_while(|(place, _)| start + place < offset);
        let character = before.map(|(_, c)| self.encoding.length(c)).sum::<usize>();
        let number = |value| u32::try_from(value).unwrap_or(u32::MAX);
        Position {
            line: number(line),
            character: number(character),
        }
    }

    /// The positions of a piece.
    pub(super) fn range(&self, text: &str, span: Span) -> Range {
        Range {
            start: self.position(text, span.start),
            end: self.position(text, span.end),
        }
    }

    /// The piece between two positions.
    pub(super) fn span(&self, text: &str, range: Range) -> Span {
        let start = self.offset(text, range.start);
        let end = self.offset(text, range.end).max(start);
        Span { start, end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "aé𝄞z\r\n\rb\n";

    #[test]
    fn every_byte_has_a_position_and_back() {
        for encoding in [Encoding::Utf8, Encoding::Utf16] {
            let lines = Lines::new(TEXT, encoding);
            for (offset, c) in TEXT.char_indices() {
                // Between the two bytes of one line end there is no position.
                if c == '\n' && TEXT[..offset].ends_with('\r') {
                    continue;
                }
                let position = lines.position(TEXT, offset);
                assert_eq!(lines.offset(TEXT, position), offset, "{position:?}");
            }
        }
    }

    #[test]
    fn positions_are_counted_as_the_client_does() {
        let at = |line, character| Position { line, character };
        let (utf8, utf16) = (Lines::new(TEXT, Encoding::Utf8), Lines::new(TEXT, Encoding::Utf16));
        let z = TEXT.find('z').unwrap();
        assert_eq!(utf8.position(TEXT, z), at(0, 7));
        assert_eq!(utf16.position(TEXT, z), at(0, 4));
        assert_eq!(utf16.position(TEXT, TEXT.find('b').unwrap()), at(2, 0));
        // In the middle of a character is at its start, past an end is that end.
        assert_eq!(utf16.offset(TEXT, at(0, 3)), 3);
        assert_eq!(utf16.offset(TEXT, at(0, 99)), z + 1);
        assert_eq!(utf16.offset(TEXT, at(1, 5)), z + 3);
        assert_eq!(utf16.offset(TEXT, at(3, 0)), TEXT.len());
        assert_eq!(utf16.offset(TEXT, at(u32::MAX, u32::MAX)), TEXT.len());
        assert_eq!(utf8.position(TEXT, usize::MAX), at(3, 0));
    }
}
