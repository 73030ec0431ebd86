//! What is in a file, as text or in hexadecimal digits.

use std::fmt::Write as _;

use crate::progress::text::sanitise;

/// How much of a file is read.
pub(crate) const MOST: u64 = 256 << 10;

/// Bytes in a line of hexadecimal digits.
const ACROSS: usize = 16;

/// The beginning of a file.
#[derive(Debug, Clone)]
pub(crate) struct Preview {
    /// Whose it is.
    pub(crate) title: String,
    bytes: Vec<u8>,
    size: u64,
    /// Where lines of text begin.
    starts: Vec<usize>,
    /// Whether it is shown as hexadecimal digits.
    pub(crate) is_hex: bool,
    /// The first line that is shown.
    pub(crate) top: usize,
    /// The first column that is shown.
    pub(crate) left: usize,
    /// A line to point at, from 0.
    pub(crate) mark: Option<(usize, usize)>,
}

impl Preview {
    /// Of a file of that size that begins so.
    pub(crate) fn new(title: String, bytes: Vec<u8>, size: u64) -> Self {
        let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let mut starts: Vec<usize> = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        if starts.len() > 1 && starts.last() == Some(&bytes.len()) {
            starts.pop();
        }
        Self {
            title,
            is_hex: is_binary(&bytes),
            bytes,
            size,
            starts,
            top: 0,
            left: 0,
            mark: None,
        }
    }

    /// The same with lines that are pointed at, counted from 1.
    pub(crate) fn at_lines(mut self, first: u32, last: u32) -> Self {
        let place = |line: u32| (line.max(1) - 1) as usize;
        self.mark = Some((place(first), place(last)));
        self.top = place(first).saturating_sub(3);
        self
    }

    /// How many lines there are.
    pub(crate) fn lines(&self) -> usize {
        if self.is_hex {
            self.bytes.len().div_ceil(ACROSS)
        } else {
            self.starts.len()
        }
    }

    /// A line, fit to be shown.
    pub(crate) fn line(&self, number: usize) -> String {
        if self.is_hex {
            return self.digits(number);
        }
        let Some(start) = self.starts.get(number) else {
            return String::new();
        };
        let end = self.starts.get(number + 1).copied().unwrap_or(self.bytes.len());
        let line = &self.bytes[*start..end];
        let line = sanitise(line.strip_suffix(b"\n").unwrap_or(line));
        line.chars().skip(self.left).collect()
    }

    fn digits(&self, number: usize) -> String {
        let start = (number * ACROSS).min(self.bytes.len());
        let bytes = &self.bytes[start..self.bytes.len().min(start + ACROSS)];
        let mut line = format!("{start:08x} ");
        for at in 0..ACROSS {
            let gap = if at % 8 == 0 { " " } else { "" };
            let _ = match bytes.get(at) {
                Some(byte) => write!(line, "{gap}{byte:02x} "),
                None => write!(line, "{gap}   "),
            };
        }
        line.push(' ');
        line.extend(bytes.iter().map(|byte| {
            if byte.is_ascii_graphic() || *byte == b' ' {
                char::from(*byte)
            } else {
                '.'
            }
        }));
        line
    }

    /// Whether there is more of the file than was read.
    pub(crate) fn is_cut(&self) -> bool {
        self.size > self.bytes.len() as u64
    }

    /// Shows other lines, as far as there are any.
    pub(crate) fn scroll(&mut self, by: isize, height: usize) {
        let most = self.lines().saturating_sub(height.max(1));
        self.top = self.top.saturating_add_signed(by).min(most);
    }

    /// Text or digits.
    pub(crate) fn toggle(&mut self) {
        self.is_hex = !self.is_hex;
        (self.top, self.left) = (0, 0);
    }
}

/// Text has no zeros, and is mostly readable.
fn is_binary(bytes: &[u8]) -> bool {
    let beginning = &bytes[..bytes.len().min(8192)];
    let odd = String::from_utf8_lossy(beginning)
        .chars()
        .filter(|c| *c == '\u{fffd}' || (c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\x1b' | '\x0c')))
        .count();
    beginning.contains(&0) || odd * 10 > beginning.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(preview: &Preview) -> Vec<String> {
        (0..preview.lines()).map(|number| preview.line(number)).collect()
    }

    #[test]
    fn text_and_digits() {
        let mut preview = Preview::new("t".to_owned(), b"one\r\n\x1b[2Jtwo\n\tthree".to_vec(), 99);
        assert_eq!(lines(&preview), ["one", "two", "        three"]);
        assert!(preview.is_cut());
        preview.toggle();
        assert_eq!(
            lines(&preview),
            [
                "00000000  6f 6e 65 0d 0a 1b 5b 32  4a 74 77 6f 0a 09 74 68  one...[2Jtwo..th",
                "00000010  72 65 65                                          ree",
            ]
        );
        assert!(Preview::new(String::new(), b"\x7fELF\0\0".to_vec(), 6).is_hex);
        assert_eq!(Preview::new(String::new(), Vec::new(), 0).lines(), 1);
        assert_eq!(Preview::new(String::new(), b"a\n".to_vec(), 2).lines(), 1);
    }

    #[test]
    fn scrolls_no_further_than_to_the_end() {
        let mut preview = Preview::new(String::new(), b"1\n2\n3\n4\n".to_vec(), 8);
        preview.scroll(9, 3);
        assert_eq!(preview.top, 1);
        preview.scroll(-9, 3);
        assert_eq!(preview.top, 0);
    }
}
