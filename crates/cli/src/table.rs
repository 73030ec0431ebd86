//! Tables as docker prints them: columns separated by blanks, mostly three.

use std::fmt::Write as _;

use crate::progress::text::{one_line, width};

/// Lines of a table. Cells are made fit to be shown: much of them others wrote. An empty `header` gives rows only.
pub(crate) fn render<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    render_apart(3, header, rows)
}

/// The same with another number of blanks between columns.
pub(crate) fn render_apart<const N: usize>(apart: usize, header: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| one_line(cell)))
        .collect();
    let mut widths = header.map(width);
    for row in &rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(width(cell));
        }
    }
    let mut text = String::new();
    line(&mut text, apart, &header.map(ToOwned::to_owned), &widths);
    for row in &rows {
        line(&mut text, apart, row, &widths);
    }
    text
}

fn line<const N: usize>(text: &mut String, apart: usize, cells: &[String; N], widths: &[usize; N]) {
    let start = text.len();
    for (cell, widest) in cells.iter().zip(widths) {
        let gap = widest - width(cell) + apart;
        let _ = write!(text, "{cell}{:gap$}", "");
    }
    let end = text[start..].trim_end().len();
    text.truncate(start + end);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligns_columns() {
        let rows = [["debian".to_owned(), "12".to_owned()], ["a".to_owned(), "1".to_owned()]];
        assert_eq!(
            render(["NAME", "TAG"], &rows),
            "NAME     TAG\ndebian   12\na        1\n"
        );
    }

    #[test]
    fn cells_stay_in_their_lines() {
        let rows = [["\x1b[2Ja\nb".to_owned(), "\x1b]0;title\x07c\r".to_owned()]];
        assert_eq!(render(["", ""], &rows)[1..], *"a b   c\n");
    }
}
