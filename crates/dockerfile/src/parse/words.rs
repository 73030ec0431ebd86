//! Words of a logical line.

use std::ops::Range;

/// BuildKit's blank: the classic white space, no Unicode.
pub(super) const fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ')
}

/// Parts a range of the text at blanks, quotes or not.
pub(super) fn by_blanks(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = range.start;
    for piece in text[range].split(is_blank) {
        let end = start + piece.len();
        if !piece.is_empty() {
            words.push(start..end);
        }
        // Blanks are one byte long.
        start = end + 1;
    }
    words
}

/// Parts a range at unquoted white space; quotes and escapes stay in the words. An escape hides the next character,
/// but not within single quotes.
pub(super) fn quoted(text: &str, range: Range<usize>, escape: char) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    let mut chars = text[range.clone()].char_indices();
    while let Some((index, c)) = chars.next() {
        let place = range.start + index;
        if quote.is_none() && c.is_whitespace() {
            words.extend(start.take().map(|start| start..place));
            continue;
        }
        start.get_or_insert(place);
        if quote == Some(c) {
            quote = None;
        } else if c == escape && quote != Some('\'') {
            chars.next();
        } else if quote.is_none() && (c == '\'' || c == '"') {
            quote = Some(c);
        }
    }
    words.extend(start.map(|start| start..range.end));
    words
}
