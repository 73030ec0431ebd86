//! A screen in memory: cells that are drawn on, and sent to the terminal as far as they changed.

use std::io::Write as _;

use anstyle::Style;
use unicode_width::UnicodeWidthChar as _;

/// A place for a character. What is wide leaves the cell behind it empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    text: Option<char>,
    style: Style,
}

const BLANK: Cell = Cell {
    text: Some(' '),
    style: Style::new(),
};

/// A part of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Area {
    pub(crate) row: usize,
    pub(crate) column: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl Area {
    /// Whether a place is in it.
    pub(crate) const fn has(&self, row: usize, column: usize) -> bool {
        row >= self.row && row < self.row + self.rows && column >= self.column && column < self.column + self.columns
    }

    /// Without its first rows.
    #[must_use]
    pub(crate) fn below(self, rows: usize) -> Self {
        let rows = rows.min(self.rows);
        Self {
            row: self.row + rows,
            rows: self.rows - rows,
            ..self
        }
    }

    /// Its first rows.
    #[must_use]
    pub(crate) fn top(self, rows: usize) -> Self {
        Self {
            rows: rows.min(self.rows),
            ..self
        }
    }
}

/// The cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Canvas {
    columns: usize,
    cells: Vec<Cell>,
}

impl Canvas {
    /// An empty screen.
    pub(crate) fn new(columns: usize, rows: usize) -> Self {
        Self {
            columns,
            cells: vec![BLANK; columns * rows],
        }
    }

    /// All of it.
    pub(crate) fn area(&self) -> Area {
        Area {
            row: 0,
            column: 0,
            rows: self.cells.len().checked_div(self.columns).unwrap_or(0),
            columns: self.columns,
        }
    }

    /// Writes into a row of an area from a column of it on, as far as it goes; gives the column behind. The text is fit to
    /// be shown: without control characters.
    pub(crate) fn write(&mut self, area: Area, row: usize, column: usize, text: &str, style: Style) -> usize {
        let mut at = column;
        if row >= area.rows {
            return at;
        }
        let start = (area.row + row) * self.columns + area.column;
        for c in text.chars() {
            let width = c.width().unwrap_or(0);
            if width == 0 {
                continue;
            }
            if at + width > area.columns {
                break;
            }
            self.cells[start + at] = Cell { text: Some(c), style };
            for behind in 1..width {
                self.cells[start + at + behind] = Cell { text: None, style };
            }
            at += width;
        }
        at
    }

    /// Gives a row of an area a style, whatever stands there: its colours stay unless the style has some.
    pub(crate) fn paint(&mut self, area: Area, row: usize, style: Style) {
        if row >= area.rows {
            return;
        }
        let start = (area.row + row) * self.columns + area.column;
        for cell in &mut self.cells[start..start + area.columns] {
            cell.style |= style.get_effects();
            if style.get_fg_color().is_some() {
                cell.style = cell.style.fg_color(style.get_fg_color());
            }
            if style.get_bg_color().is_some() {
                cell.style = cell.style.bg_color(style.get_bg_color());
            }
        }
    }

    /// Makes an area empty.
    pub(crate) fn clear(&mut self, area: Area) {
        for row in area.row..area.row + area.rows {
            let start = row * self.columns + area.column;
            self.cells[start..start + area.columns].fill(BLANK);
        }
    }

    /// What a terminal that shows `before` must be sent to show this.
    pub(crate) fn since(&self, before: Option<&Self>) -> Vec<u8> {
        let before = before.filter(|before| before.columns == self.columns && before.cells.len() == self.cells.len());
        // In one piece where the terminal knows how (private mode 2026).
        let mut bytes = b"\x1b[?2026h".to_vec();
        if before.is_none() {
            bytes.extend_from_slice(b"\x1b[0m\x1b[2J");
        }
        let columns = self.columns.max(1);
        for (row, cells) in self.cells.chunks(columns).enumerate() {
            let old = before.map(|before| &before.cells[row * columns..][..columns]);
            if old != Some(cells) {
                let first = old.map_or(0, |old| (0..columns).find(|at| old[*at] != cells[*at]).unwrap_or(0));
                // Not from the middle of a character.
                let first = (0..=first).rev().find(|at| cells[*at].text.is_some()).unwrap_or(0);
                write!(bytes, "\x1b[{};{}H", row + 1, first + 1).expect("memory takes everything");
                run(&cells[first..], &mut bytes);
            }
        }
        bytes.extend_from_slice(b"\x1b[?2026l");
        bytes
    }

    /// What is written, without styles, one line for each row and no blanks at their ends.
    #[cfg(test)]
    pub(crate) fn text(&self) -> String {
        let rows = self.cells.chunks(self.columns.max(1)).map(|row| {
            let row: String = row.iter().filter_map(|cell| cell.text).collect();
            row.trim_end().to_owned()
        });
        rows.collect::<Vec<_>>().join("\n")
    }

    /// The style of a cell.
    #[cfg(test)]
    pub(crate) fn style(&self, row: usize, column: usize) -> Style {
        self.cells[row * self.columns + column].style
    }
}

/// Cells one behind the other, to the end of a row.
fn run(cells: &[Cell], bytes: &mut Vec<u8>) {
    let used = cells.iter().rposition(|cell| *cell != BLANK).map_or(0, |last| last + 1);
    let mut style = Style::new();
    for cell in &cells[..used] {
        if cell.style != style {
            write!(bytes, "\x1b[0m{}", cell.style).expect("memory takes everything");
            style = cell.style;
        }
        if let Some(c) = cell.text {
            write!(bytes, "{c}").expect("memory takes everything");
        }
    }
    if style != Style::new() {
        bytes.extend_from_slice(b"\x1b[0m");
    }
    if used < cells.len() {
        bytes.extend_from_slice(b"\x1b[K");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_sent() {
        let mut before = Canvas::new(6, 2);
        before.write(before.area(), 0, 0, "ab漢d", Style::new());
        assert_eq!(before.text(), "ab漢d\n");
        assert_eq!(
            before.since(None),
            "\x1b[?2026h\x1b[0m\x1b[2J\x1b[1;1Hab漢d\x1b[K\x1b[2;1H\x1b[K\x1b[?2026l".as_bytes()
        );
        let mut after = before.clone();
        after.write(after.area(), 0, 4, "x", Style::new().bold());
        assert_eq!(
            after.since(Some(&before)),
            b"\x1b[?2026h\x1b[1;5H\x1b[0m\x1b[1mx\x1b[0m\x1b[K\x1b[?2026l"
        );
        assert_eq!(after.since(Some(&after)), b"\x1b[?2026h\x1b[?2026l");
    }

    #[test]
    fn nothing_is_written_outside() {
        let mut canvas = Canvas::new(4, 2);
        let area = Area {
            row: 1,
            column: 1,
            rows: 1,
            columns: 2,
        };
        // The second wide character does not fit.
        canvas.write(area, 0, 0, "漢漢", Style::new());
        canvas.write(area, 1, 0, "no", Style::new());
        canvas.write(area, 0, 5, "no", Style::new());
        assert_eq!(canvas.text(), "\n 漢");
        let none = Canvas::new(0, 0);
        assert_eq!(none.since(None), b"\x1b[?2026h\x1b[0m\x1b[2J\x1b[?2026l");
    }
}
