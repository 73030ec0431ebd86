//! What a terminal sends, as keys and movements of the mouse (ECMA-48, xterm's sequences).

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    /// With the control key: the letter, in lower case.
    Ctrl(char),
    Enter,
    Escape,
    Tab,
    BackTab,
    Backspace,
    Delete,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
}

/// What is done with the mouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Click {
    /// The left button goes down.
    Press,
    /// The wheel turns away from the user.
    Up,
    /// The wheel turns towards the user.
    Down,
}

/// What the user does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    Key(Key),
    /// The place is counted from 0.
    Mouse {
        click: Click,
        column: usize,
        row: usize,
    },
}

/// A sequence that is longer is none.
const LONGEST: usize = 32;

/// Puts bytes together to inputs.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    bytes: Vec<u8>,
}

/// What the first bytes are.
enum Piece {
    Known(Input),
    Unknown,
    Unfinished,
}

impl Decoder {
    /// Takes bytes and gives what they say.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Input> {
        self.bytes.extend_from_slice(bytes);
        let mut inputs = Vec::new();
        while !self.bytes.is_empty() {
            let (length, piece) = piece(&self.bytes);
            match piece {
                Piece::Unfinished => break,
                Piece::Known(input) => inputs.push(input),
                Piece::Unknown => {}
            }
            self.bytes.drain(..length);
        }
        inputs
    }

    /// Whether something has begun: an escape alone is a key if nothing follows it soon.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Nothing followed.
    pub(crate) fn time_out(&mut self) -> Option<Input> {
        let was_escape = self.bytes == [0x1b];
        self.bytes.clear();
        was_escape.then_some(Input::Key(Key::Escape))
    }
}

fn piece(bytes: &[u8]) -> (usize, Piece) {
    let key = |key| Piece::Known(Input::Key(key));
    match bytes[0] {
        0x1b => escape(bytes),
        b'\r' | b'\n' => (1, key(Key::Enter)),
        b'\t' => (1, key(Key::Tab)),
        0x7f | 0x08 => (1, key(Key::Backspace)),
        // Control and space, which has no letter.
        0 => (1, key(Key::Ctrl(' '))),
        control @ 1..=26 => (1, key(Key::Ctrl(char::from(b'a' + control - 1)))),
        28..32 => (1, Piece::Unknown),
        first => character(bytes, first),
    }
}

fn character(bytes: &[u8], first: u8) -> (usize, Piece) {
    let length = match first {
        0..0x80 => 1,
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..0xf8 => 4,
        _ => return (1, Piece::Unknown),
    };
    let Some(bytes) = bytes.get(..length) else {
        return (0, Piece::Unfinished);
    };
    let decoded = std::str::from_utf8(bytes).ok().and_then(|text| text.chars().next());
    let piece = decoded.map_or(Piece::Unknown, |c| Piece::Known(Input::Key(Key::Char(c))));
    (if decoded.is_some() { length } else { 1 }, piece)
}

fn escape(bytes: &[u8]) -> (usize, Piece) {
    let (Some(second), rest) = (bytes.get(1), bytes.get(2..).unwrap_or_default()) else {
        return (0, Piece::Unfinished);
    };
    match second {
        b'[' => {
            let last = rest.iter().position(|byte| (0x40..0x7f).contains(byte));
            match last {
                Some(last) => (last + 3, sequence(&rest[..last], rest[last])),
                None if rest.len() > LONGEST => (bytes.len(), Piece::Unknown),
                None => (0, Piece::Unfinished),
            }
        }
        // Application keys.
        b'O' => match rest.first() {
            Some(last) => (3, sequence(b"", *last)),
            None => (0, Piece::Unfinished),
        },
        0x1b => (1, Piece::Known(Input::Key(Key::Escape))),
        // With Alt: as without it.
        _ => (1, Piece::Unknown),
    }
}

fn sequence(parameters: &[u8], last: u8) -> Piece {
    let key = match (last, parameters) {
        (b'M' | b'm', [b'<', ..]) => return mouse(&parameters[1..], last == b'M'),
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', _) => Key::Right,
        (b'D', _) => Key::Left,
        (b'H', _) | (b'~', b"1" | b"7") => Key::Home,
        (b'F', _) | (b'~', b"4" | b"8") => Key::End,
        (b'Z', _) => Key::BackTab,
        (b'~', b"3") => Key::Delete,
        (b'~', b"5") => Key::PageUp,
        (b'~', b"6") => Key::PageDown,
        _ => return Piece::Unknown,
    };
    Piece::Known(Input::Key(key))
}

/// `button;column;row`, counted from 1 (xterm's mode 1006).
fn mouse(parameters: &[u8], is_press: bool) -> Piece {
    let text = std::str::from_utf8(parameters).unwrap_or_default();
    let mut numbers = text.split(';').map(|number| number.parse::<usize>().ok());
    let (Some(Some(button)), Some(Some(column)), Some(Some(row))) = (numbers.next(), numbers.next(), numbers.next())
    else {
        return Piece::Unknown;
    };
    let click = match button & !0b1_1100 {
        0 if is_press => Click::Press,
        64 => Click::Up,
        65 => Click::Down,
        _ => return Piece::Unknown,
    };
    Piece::Known(Input::Mouse {
        click,
        column: column.saturating_sub(1),
        row: row.saturating_sub(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_terminals_send() {
        let key = |key| vec![Input::Key(key)];
        let mouse = |click, column, row| vec![Input::Mouse { click, column, row }];
        for (bytes, expected) in [
            (&b"a"[..], key(Key::Char('a'))),
            ("ä".as_bytes(), key(Key::Char('ä'))),
            ("漢".as_bytes(), key(Key::Char('漢'))),
            (b"\r", key(Key::Enter)),
            (b"\x7f", key(Key::Backspace)),
            (b"\x01", key(Key::Ctrl('a'))),
            (b"\0", key(Key::Ctrl(' '))),
            (b"\x1b[A", key(Key::Up)),
            (b"\x1bOB", key(Key::Down)),
            (b"\x1b[1;5C", key(Key::Right)),
            (b"\x1b[5~", key(Key::PageUp)),
            (b"\x1b[4~", key(Key::End)),
            (b"\x1b[Z", key(Key::BackTab)),
            (b"\x1b[<0;3;1M", mouse(Click::Press, 2, 0)),
            (b"\x1b[<0;3;1m", vec![]),
            (b"\x1b[<64;10;20M", mouse(Click::Up, 9, 19)),
            (b"\x1b[<65;0;0M", mouse(Click::Down, 0, 0)),
            (b"\x1b[<99999999999999999999;1;1M", vec![]),
            (b"\x1b[200~x", key(Key::Char('x'))),
            (b"\xff\xc3x", key(Key::Char('x'))),
            (b"ab", vec![Input::Key(Key::Char('a')), Input::Key(Key::Char('b'))]),
        ] {
            assert_eq!(Decoder::default().push(bytes), expected, "{bytes:?}");
            // The same byte by byte.
            let mut decoder = Decoder::default();
            let found: Vec<Input> = bytes.iter().flat_map(|byte| decoder.push(&[*byte])).collect();
            assert_eq!(found, expected, "{bytes:?} byte by byte");
        }
    }

    #[test]
    fn an_escape_alone_is_a_key() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.push(b"\x1b"), []);
        assert!(decoder.is_waiting());
        assert_eq!(decoder.time_out(), Some(Input::Key(Key::Escape)));
        assert!(!decoder.is_waiting());
        // A sequence without an end does not wait for ever, nor fill memory.
        decoder.push(b"\x1b[");
        decoder.push(&[b'1'; 100]);
        assert_eq!(decoder.push(b"q"), [Input::Key(Key::Char('q'))]);
    }
}
