//! JSON arrays of strings: the exec form.
//!
//! What is no JSON falls back to the shell form, and what is JSON but holds no strings is an error; so the whole
//! grammar is read, without recursion.

use std::ops::Range;

/// What a text is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// No complete JSON array: the text is taken as it is.
    Text,
    /// The strings with their places, quotes included.
    Strings(Vec<(String, Range<usize>)>),
    /// An array with something else in it, and where.
    NotStrings(Range<usize>),
}

/// Go's decoder refuses deeper nesting.
const MAX_DEPTH: usize = 10_000;

/// Reads a range of a text.
pub(super) fn read(text: &str, range: Range<usize>) -> Form {
    if !text[range.clone()].trim_start().starts_with('[') {
        return Form::Text;
    }
    let mut reader = Reader {
        bytes: text.as_bytes(),
        at: range.start,
        end: range.end,
    };
    // BuildKit drops more kinds of white space before the bracket than JSON has.
    reader.at += text[range.clone()].len() - text[range].trim_start().len();
    reader.array().unwrap_or(Form::Text)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl Reader<'_> {
    fn array(&mut self) -> Option<Form> {
        self.expect(b'[')?;
        let mut strings = Vec::new();
        let mut other = None;
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
        } else {
            loop {
                self.blanks();
                let start = self.at;
                if self.peek() == Some(b'"') {
                    let string = self.string()?;
                    strings.push((string, start..self.at));
                } else {
                    self.value()?;
                    other.get_or_insert(start..self.at);
                }
                self.blanks();
                match self.next()? {
                    b',' => {}
                    b']' => break,
                    _ => return None,
                }
            }
        }
        self.blanks();
        if self.at != self.end {
            return None;
        }
        Some(other.map_or(Form::Strings(strings), Form::NotStrings))
    }

    /// Any value, its contents forgotten.
    fn value(&mut self) -> Option<()> {
        let mut open: Vec<u8> = Vec::new();
        loop {
            self.blanks();
            let opened = matches!(self.peek()?, b'[' | b'{');
            if opened {
                open.push(self.next()?);
                if open.len() >= MAX_DEPTH {
                    return None;
                }
            } else {
                self.scalar()?;
            }
            if !self.after_value(&mut open, opened)? {
                return Some(());
            }
        }
    }

    /// Closes what ends here; whether another value follows.
    fn after_value(&mut self, open: &mut Vec<u8>, mut just_opened: bool) -> Option<bool> {
        loop {
            let Some(&bracket) = open.last() else {
                return Some(false);
            };
            let close = if bracket == b'[' { b']' } else { b'}' };
            self.blanks();
            let next = self.peek()?;
            if next == close {
                self.at += 1;
                open.pop();
                just_opened = false;
                continue;
            }
            if !just_opened {
                self.expect(b',')?;
                self.blanks();
            }
            if bracket == b'{' {
                self.string()?;
                self.blanks();
                self.expect(b':')?;
            }
            return Some(true);
        }
    }

    fn scalar(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => self.number(),
        }
    }

    fn literal(&mut self, word: &[u8]) -> Option<()> {
        word.iter().try_for_each(|byte| self.expect(*byte))
    }

    fn number(&mut self) -> Option<()> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn string(&mut self) -> Option<String> {
        self.expect(b'"')?;
        let mut out = Vec::new();
        loop {
            match self.next()? {
                b'"' => break,
                b'\\' => self.escape(&mut out)?,
                0..=0x1f => return None,
                byte => out.push(byte),
            }
        }
        // The source is UTF-8 and escapes add whole characters.
        String::from_utf8(out).ok()
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let c = match self.next()? {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.unicode()?,
            plain @ (b'"' | b'\\' | b'/') => char::from(plain),
            _ => return None,
        };
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        Some(())
    }

    /// `XXXX` after `\u`; a surrogate without its partner becomes the replacement character, as in Go.
    fn unicode(&mut self) -> Option<char> {
        let first = self.hex()?;
        if let Some(c) = char::from_u32(first) {
            return Some(c);
        }
        let before = self.at;
        if (0xd800..0xdc00).contains(&first) && self.literal(b"\\u").is_some() {
            let second = self.hex()?;
            if (0xdc00..0xe000).contains(&second) {
                return char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
            }
        }
        self.at = before;
        Some(char::REPLACEMENT_CHARACTER)
    }

    fn hex(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |value, _| Some(value * 16 + char::from(self.next()?).to_digit(16)?))
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        if self.at < self.end {
            self.bytes.get(self.at).copied()
        } else {
            None
        }
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, read};

    fn strings(text: &str) -> Option<Vec<String>> {
        match read(text, 0..text.len()) {
            Form::Strings(found) => Some(found.into_iter().map(|(string, _)| string).collect()),
            _ => None,
        }
    }

    #[test]
    fn arrays_of_strings() {
        let cases: [(&str, &[&str]); 6] = [
            ("[]", &[]),
            (r#"["a","b c"]"#, &["a", "b c"]),
            (r#"  [ "a" , "b" ]  "#, &["a", "b"]),
            (r#"["\n\u0041\\\"\/"]"#, &["\nA\\\"/"]),
            (r#"["\ud83d\ude00","\ud800x"]"#, &["😀", "\u{fffd}x"]),
            (r#"["ü"]"#, &["ü"]),
        ];
        for (text, expected) in cases {
            assert_eq!(
                strings(text).as_deref(),
                Some(&expected.iter().map(ToString::to_string).collect::<Vec<_>>()[..]),
                "{text}"
            );
        }
    }

    #[test]
    fn no_json_is_text() {
        for text in [
            "",
            "a",
            "['a']",
            r#"["a"] b"#,
            r#"["a",]"#,
            r#"["a""#,
            r#"["\x"]"#,
            "[",
            "[-]",
            "[1.]",
            "[{]",
            "[[}",
            "{\"a\":1}",
            r#"["a" "b"]"#,
        ] {
            assert_eq!(read(text, 0..text.len()), Form::Text, "{text}");
        }
    }

    #[test]
    fn other_json_is_an_error() {
        for text in [
            "[1]",
            r#"["a",null]"#,
            "[[]]",
            r#"[{"a":[1,{"b":-0.5e+3}],"c":{}}]"#,
            "[true,false]",
            r#"[["a"]]"#,
        ] {
            assert!(matches!(read(text, 0..text.len()), Form::NotStrings(_)), "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_text() {
        let text = "[".repeat(1_000_000);
        assert_eq!(read(&text, 0..text.len()), Form::Text);
    }
}
