//! A line of the view: pieces of text with a style, cut to the terminal's width.

use anstyle::{AnsiColor, Style};

use crate::progress::text;

/// How a piece looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// As everything.
    Plain,
    /// Less important.
    Dim,
    /// More important.
    Bold,
    /// Done well.
    Good,
    /// Failed.
    Bad,
    /// Under way.
    Busy,
    /// To be minded.
    Warning,
}

impl Look {
    fn style(self) -> Style {
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        match self {
            Self::Plain => Style::new(),
            Self::Dim => Style::new().dimmed(),
            Self::Bold => Style::new().bold(),
            Self::Good => colour(AnsiColor::Green),
            Self::Bad => colour(AnsiColor::Red).bold(),
            Self::Busy => colour(AnsiColor::Cyan),
            Self::Warning => colour(AnsiColor::Yellow),
        }
    }
}

/// A line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line(Vec<(Look, String)>);

impl Line {
    /// Adds a piece.
    #[must_use]
    pub(crate) fn with(mut self, look: Look, text: impl Into<String>) -> Self {
        self.0.push((look, text.into()));
        self
    }

    /// Columns.
    pub(crate) fn width(&self) -> usize {
        self.0.iter().map(|(_, piece)| text::width(piece)).sum()
    }

    /// This line cut so that `right` has its place at the end of `columns`.
    #[must_use]
    pub(crate) fn and_right(self, right: Self, columns: usize, mark: char) -> Self {
        let room = columns.saturating_sub(right.width() + 1);
        let mut line = self.cut(room, mark);
        let gap = columns.saturating_sub(line.width() + right.width());
        line.0.push((Look::Plain, " ".repeat(gap)));
        line.0.extend(right.0);
        line.cut(columns, mark)
    }

    /// This line, not wider than `columns`.
    #[must_use]
    pub(crate) fn cut(self, columns: usize, mark: char) -> Self {
        if self.width() <= columns {
            return self;
        }
        // One column is for the mark.
        let mut left = columns.saturating_sub(1);
        let mut kept = Vec::new();
        for (look, piece) in self.0 {
            let wide = text::width(&piece);
            if wide <= left {
                left -= wide;
                kept.push((look, piece));
                continue;
            }
            if columns > 0 {
                kept.push((look, text::cut(&piece, left + 1, mark)));
            }
            break;
        }
        Self(kept)
    }

    /// The bytes for the terminal.
    pub(crate) fn render(&self, colours: bool, out: &mut Vec<u8>) {
        use std::io::Write as _;
        for (look, piece) in &self.0 {
            let style = look.style();
            let written = if colours {
                write!(out, "{style}{piece}{style:#}")
            } else {
                write!(out, "{piece}")
            };
            written.expect("memory takes everything");
        }
    }
}
