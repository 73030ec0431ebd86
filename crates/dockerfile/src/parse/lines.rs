//! Physical lines.

/// The longest line that BuildKit reads, in bytes.
pub(super) const MAX_LINE: usize = 65535;

/// A physical line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// Without its end, which may be `\n` or `\r\n`.
    pub(super) text: &'a str,
    /// Where it starts in the source.
    pub(super) start: usize,
}

impl Line<'_> {
    pub(super) const fn end(&self) -> usize {
        self.start + self.text.len()
    }

    pub(super) const fn too_long(&self) -> bool {
        self.text.len() > MAX_LINE
    }
}

/// The lines of a source, one after the other.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    source: &'a str,
    offset: usize,
    /// How many lines were given out.
    count: u32,
}

impl<'a> Lines<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        // A byte order mark is no part of the first line.
        let offset = if source.starts_with('\u{feff}') {
            '\u{feff}'.len_utf8()
        } else {
            0
        };
        Self {
            source,
            offset,
            count: 0,
        }
    }

    /// The number of the last line given out, from 1.
    pub(super) const fn number(&self) -> u32 {
        self.count
    }

    /// Where the next line starts in the source.
    pub(super) const fn offset(&self) -> usize {
        self.offset
    }

    pub(super) fn next(&mut self) -> Option<Line<'a>> {
        let start = self.offset;
        let rest = self.source.get(start..).filter(|rest| !rest.is_empty())?;
        let length = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
        self.offset = start + length;
        self.count = self.count.saturating_add(1);
        Some(Line {
            text: rest[..length].trim_end_matches(['\r', '\n']),
            start,
        })
    }
}
