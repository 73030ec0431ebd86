//! What steps write, made fit to be shown.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// A line that nobody ends is cut into pieces of this many bytes, so that memory stays bounded.
const LONGEST_LINE: usize = 16 << 10;

/// Puts pieces of output together to lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Takes a piece and gives every line that is whole now, without its end (`\n` or `\r\n`).
    pub(crate) fn push(&mut self, data: &[u8], mut line: impl FnMut(&[u8])) {
        for piece in data.split_inclusive(|&b| b == b'\n') {
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.partial.len() >= LONGEST_LINE {
                line(without_end(&self.partial));
                self.partial.clear();
            }
        }
    }

    /// What is left when nothing more comes.
    pub(crate) fn rest(&mut self) -> Option<Vec<u8>> {
        let rest = std::mem::take(&mut self.partial);
        (!rest.is_empty()).then_some(rest)
    }

    /// The line that is being written.
    pub(crate) fn partial(&self) -> &[u8] {
        &self.partial
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A text as one line for terminals: ends of lines are blanks.
pub(crate) fn one_line(text: &str) -> String {
    sanitise(text.replace(['\n', '\r'], " ").as_bytes())
}

/// A text of several lines for terminals.
pub(crate) fn lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| sanitise(line.as_bytes())).collect();
    lines.join("\n")
}

/// A text with what terminals would not show as it is written in strings: `\n`, `\u{1b}`.
pub(crate) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            shown.extend(c.escape_debug());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Control characters, and those that turn the direction of writing: they could disguise what is shown.
fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A line as a terminal would leave it standing: what a carriage return overwrote is gone, control sequences and
/// control characters are too, tabs are blanks, and bytes that are no text are `U+FFFD`.
pub(crate) fn sanitise(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = line
        .rsplit(|&b| b == b'\r')
        .find(|piece| !piece.is_empty())
        .unwrap_or_default();
    let text = String::from_utf8_lossy(line);
    let mut shown = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => skip_sequence(&mut chars),
            '\u{9b}' => skip_csi(&mut chars),
            '\t' => {
                let column = shown.width();
                shown.extend(std::iter::repeat_n(' ', 8 - column % 8));
            }
            c if is_hidden(c) => {}
            c => shown.push(c),
        }
    }
    shown
}

/// Skips what follows an escape (ECMA-48, 5.3 to 5.6).
fn skip_sequence(chars: &mut std::str::Chars<'_>) {
    match chars.next() {
        Some('[') => skip_csi(chars),
        // Strings (OSC, DCS, SOS, PM, APC) end with BEL or ESC \.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            let mut escape = false;
            for c in chars.by_ref() {
                if c == '\x07' || (escape && c == '\\') {
                    break;
                }
                escape = c == '\x1b';
            }
        }
        // Intermediate characters and a final one.
        Some(' '..='/') => {
            chars.by_ref().find(|c| !(' '..='/').contains(c));
        }
        _ => {}
    }
}

fn skip_csi(chars: &mut std::str::Chars<'_>) {
    chars.by_ref().find(|c| ('\u{40}'..='\u{7e}').contains(c));
}

/// Cuts a text that is wider than `columns`, marking the cut.
pub(crate) fn cut(text: &str, columns: usize, mark: char) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut used = 0;
    for c in text.chars() {
        let width = c.width().unwrap_or(0);
        if used + width + 1 > columns {
            break;
        }
        used += width;
        shown.push(c);
    }
    if columns > 0 {
        shown.push(mark);
    }
    shown
}

/// Columns of a text.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn puts_lines_together() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for piece in ["a", "b\r\nc\n", "\n", "d"] {
            lines.push(piece.as_bytes(), |line| {
                seen.push(String::from_utf8(line.to_vec()).unwrap());
            });
        }
        assert_eq!(seen, ["ab", "c", ""]);
        assert_eq!(lines.rest().as_deref(), Some(&b"d"[..]));
        assert_eq!(lines.rest(), None);
    }

    #[test]
    fn memory_for_a_line_without_end_is_bounded() {
        let mut lines = Lines::default();
        let mut count = 0;
        for _ in 0..1000 {
            lines.push(&[b'x'; 1000], |_| count += 1);
        }
        assert!(lines.partial().len() < LONGEST_LINE + 1000);
        assert!(count > 50);
    }

    #[test]
    fn sanitises() {
        for (line, shown) in [
            (&b"plain"[..], "plain"),
            (b"\x1b[1;31mred\x1b[0m", "red"),
            (b"10%\r50%\r100%", "100%"),
            (b"50%\r", "50%"),
            (b"\x1b]0;title\x07text", "text"),
            (b"\x1b]8;;http://x\x1b\\link", "link"),
            (b"a\tb", "a       b"),
            (b"\xff\xfe!", "\u{fffd}\u{fffd}!"),
            (b"a\x07\x08b\x00", "ab"),
            (b"\x1b(Bx", "x"),
            (b"\x1b[", ""),
            ("\u{202e}abc".as_bytes(), "abc"),
        ] {
            assert_eq!(sanitise(line), shown, "{line:?}");
        }
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(lines("a\x1b[2J\n\n\x07b\n"), "a\n\nb\n");
        assert_eq!(one_line("a\nb\r\n\x1b[1mc"), "a b  c");
        assert_eq!(escaped("a\n\t\x1b[\u{202e}\"ä"), "a\\n\\t\\u{1b}[\\u{202e}\"ä");
    }

    #[test]
    fn cuts_by_columns() {
        assert_eq!(cut("hello", 5, '…'), "hello");
        assert_eq!(cut("hello", 4, '…'), "hel…");
        assert_eq!(cut("漢字漢字", 5, '…'), "漢字…");
        assert_eq!(cut("漢字漢字", 4, '…'), "漢…");
        assert_eq!(cut("hello", 0, '…'), "");
    }
}
