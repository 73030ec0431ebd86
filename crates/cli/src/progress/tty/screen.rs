//! Drawing with plain ANSI: the rows of the last frame are taken back, then the next one is written.

use std::io::Write;

use super::line::Line;

/// Lines that stay, and lines that the next frame replaces.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    /// To scroll away above.
    pub(crate) finished: Vec<Line>,
    /// At the bottom.
    pub(crate) live: Vec<Line>,
}

/// A terminal's bottom.
#[derive(Debug)]
pub(crate) struct Screen<W> {
    out: W,
    colours: bool,
    /// The columns of every row of the last frame.
    rows: Vec<usize>,
    hidden: bool,
}

impl<W: Write> Screen<W> {
    /// A screen on which nothing is drawn yet.
    pub(crate) const fn new(out: W, colours: bool) -> Self {
        Self {
            out,
            colours,
            rows: Vec::new(),
            hidden: false,
        }
    }

    /// Draws a frame on a terminal of so many columns.
    pub(crate) fn draw(&mut self, frame: &Frame, columns: usize) {
        // In one piece where the terminal knows how (private mode 2026), and without wrapping (7): a terminal may think
        // otherwise than Kiln of how wide a character is.
        let mut bytes = b"\x1b[?2026h\x1b[?7l".to_vec();
        if !self.hidden {
            bytes.extend_from_slice(b"\x1b[?25l");
            self.hidden = true;
        }
        self.take_back(columns, &mut bytes);
        for line in frame.finished.iter().chain(&frame.live) {
            line.render(self.colours, &mut bytes);
            bytes.extend_from_slice(b"\x1b[K\n");
        }
        bytes.extend_from_slice(b"\x1b[J\x1b[?7h\x1b[?2026l");
        self.rows = frame.live.iter().map(Line::width).collect();
        self.write(&bytes);
    }

    /// Moves to the first row of the last frame. A terminal that became narrower has wrapped its rows.
    fn take_back(&self, columns: usize, bytes: &mut Vec<u8>) {
        let rows: usize = self
            .rows
            .iter()
            .map(|width| width.div_ceil(columns.max(1)).max(1))
            .sum();
        if rows > 0 {
            bytes.extend_from_slice(format!("\x1b[{rows}A").as_bytes());
        }
        bytes.push(b'\r');
    }

    /// Gives the cursor back.
    pub(crate) fn end(&mut self) {
        self.rows.clear();
        if self.hidden {
            self.hidden = false;
            self.write(b"\x1b[?25h");
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        // Nobody can be told that telling failed.
        let _nobody_looks = self.out.write_all(bytes).and_then(|()| self.out.flush());
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::line::Look;
    use super::*;

    /// A small terminal: enough of one to see what a frame leaves on it.
    #[derive(Debug)]
    pub(crate) struct Terminal {
        pub(crate) columns: usize,
        pub(crate) rows: Vec<Vec<char>>,
        pub(crate) cursor_shown: bool,
        wraps: bool,
        row: usize,
        column: usize,
    }

    impl Terminal {
        pub(crate) fn new(columns: usize) -> Self {
            Self {
                columns,
                rows: vec![Vec::new()],
                cursor_shown: true,
                wraps: true,
                row: 0,
                column: 0,
            }
        }

        pub(crate) fn feed(&mut self, bytes: &[u8]) {
            let text = std::str::from_utf8(bytes).unwrap();
            let mut chars = text.chars();
            while let Some(c) = chars.next() {
                match c {
                    '\r' => self.column = 0,
                    '\n' => self.line_feed(),
                    '\x1b' => self.sequence(&mut chars),
                    c => self.put(c),
                }
            }
        }

        fn line_feed(&mut self) {
            self.row += 1;
            self.column = 0;
            if self.row == self.rows.len() {
                self.rows.push(Vec::new());
            }
        }

        fn put(&mut self, c: char) {
            if self.column == self.columns {
                if self.wraps {
                    self.line_feed();
                } else {
                    self.column -= 1;
                }
            }
            let row = &mut self.rows[self.row];
            if row.len() <= self.column {
                row.resize(self.column + 1, ' ');
            }
            row[self.column] = c;
            self.column += 1;
        }

        fn sequence(&mut self, chars: &mut std::str::Chars<'_>) {
            assert_eq!(chars.next(), Some('['));
            let mut parameters = String::new();
            let last = chars
                .by_ref()
                .find(|c| {
                    if c.is_ascii_alphabetic() {
                        return true;
                    }
                    parameters.push(*c);
                    false
                })
                .unwrap();
            match (last, parameters.as_str()) {
                ('A', count) => {
                    let count: usize = count.parse().unwrap();
                    self.row = self.row.checked_sub(count).expect("moved above the top");
                }
                ('K', "") => self.rows[self.row].truncate(self.column),
                ('J', "") => {
                    self.rows[self.row].truncate(self.column);
                    self.rows.truncate(self.row + 1);
                }
                ('l', "?25") => self.cursor_shown = false,
                ('h', "?25") => self.cursor_shown = true,
                ('m', _) | ('h' | 'l', "?2026") => {}
                ('l', "?7") => self.wraps = false,
                ('h', "?7") => self.wraps = true,
                other => panic!("unknown sequence {other:?}"),
            }
        }

        /// Makes it narrower, wrapping what is there, as terminals do.
        pub(crate) fn narrow(&mut self, columns: usize) {
            self.columns = columns;
            let mut rows = Vec::new();
            for row in std::mem::take(&mut self.rows) {
                if row.is_empty() {
                    rows.push(row);
                } else {
                    rows.extend(row.chunks(columns).map(<[char]>::to_vec));
                }
            }
            self.rows = rows;
            self.row = self.rows.len() - 1;
        }

        pub(crate) fn text(&self) -> String {
            let rows = self
                .rows
                .iter()
                .map(|row| row.iter().collect::<String>().trim_end().to_owned());
            rows.collect::<Vec<_>>().join("\n")
        }
    }

    fn lines(texts: &[&str]) -> Vec<Line> {
        texts
            .iter()
            .map(|text| Line::default().with(Look::Good, *text))
            .collect()
    }

    fn frame(finished: &[&str], live: &[&str]) -> Frame {
        Frame {
            finished: lines(finished),
            live: lines(live),
        }
    }

    #[test]
    fn replaces_what_is_live() {
        let mut screen = Screen::new(Vec::new(), true);
        let mut terminal = Terminal::new(20);
        screen.draw(&frame(&[], &["one", "two", "three"]), 20);
        screen.draw(&frame(&["done one"], &["two"]), 20);
        terminal.feed(&std::mem::take(&mut screen.out));
        assert_eq!(terminal.text(), "done one\ntwo\n");
        assert!(!terminal.cursor_shown);
        screen.draw(&frame(&["done two"], &[]), 20);
        screen.end();
        terminal.feed(&std::mem::take(&mut screen.out));
        assert_eq!(terminal.text(), "done one\ndone two\n");
        assert!(terminal.cursor_shown);
    }

    #[test]
    fn survives_a_terminal_that_shrinks() {
        let mut screen = Screen::new(Vec::new(), false);
        let mut terminal = Terminal::new(20);
        screen.draw(&frame(&["kept"], &["0123456789abcdef", "short"]), 20);
        terminal.feed(&std::mem::take(&mut screen.out));
        terminal.narrow(8);
        screen.draw(&frame(&[], &["new"]), 8);
        terminal.feed(&std::mem::take(&mut screen.out));
        assert_eq!(terminal.text(), "kept\nnew\n");
    }
}
