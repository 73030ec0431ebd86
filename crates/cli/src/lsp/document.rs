//! The texts that the editor has open.

use std::cell::OnceCell;
use std::path::PathBuf;

use kiln_dockerfile::ast::Span;
use kiln_dockerfile::{Dockerfile, parse};
use kiln_lint::editor::Names;
use serde::Deserialize;

use super::findings::Found;
use super::position::{Encoding, Lines, Position, Range};
use super::uri;

/// A text that is larger, in bytes, is kept and not looked at: no Dockerfile is.
pub(super) const LARGEST: usize = 4 << 20;

/// An open text and what was found out about it.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) uri: String,
    /// Where it is on this machine; what was never saved is nowhere.
    pub(super) path: Option<PathBuf>,
    pub(super) version: Option<i64>,
    pub(super) text: String,
    pub(super) lines: Lines,
    file: OnceCell<Dockerfile>,
    names: OnceCell<Names>,
    pub(super) found: OnceCell<Found>,
    /// Whether the editor is to be told what was found.
    pub(super) unpublished: bool,
}

/// A change of a text; without a range it is all of it.
#[derive(Debug, Deserialize)]
pub(super) struct Change {
    range: Option<Range>,
    text: String,
}

impl Document {
    pub(super) fn new(uri: String, version: Option<i64>, text: String, encoding: Encoding) -> Self {
        Self {
            path: uri::path(&uri),
            lines: Lines::new(&text, encoding),
            uri,
            version,
            text,
            file: OnceCell::new(),
            names: OnceCell::new(),
            found: OnceCell::new(),
            unpublished: true,
        }
    }

    /// Applies changes, each to what the one before it left.
    pub(super) fn change(&mut self, version: Option<i64>, changes: Vec<Change>, encoding: Encoding) {
        for change in changes {
            match change.range {
                None => self.text = change.text,
                Some(range) => {
                    let span = self.lines.span(&self.text, range);
                    self.text.replace_range(span.range(), &change.text);
                }
            }
            self.lines = Lines::new(&self.text, encoding);
        }
        self.version = version;
        self.file = OnceCell::new();
        self.names = OnceCell::new();
        self.look_again();
    }

    /// Forgets what was found: something that it depends on may have changed.
    pub(super) fn look_again(&mut self) {
        self.found = OnceCell::new();
        self.unpublished = true;
    }

    /// Whether it is looked at.
    pub(super) fn is_small(&self) -> bool {
        self.text.len() <= LARGEST
    }

    /// The tree; empty if the text is too large.
    pub(super) fn file(&self) -> &Dockerfile {
        self.file
            .get_or_init(|| parse(if self.is_small() { &self.text } else { "" }).0)
    }

    /// The names of stages and variables.
    pub(super) fn names(&self) -> &Names {
        self.names.get_or_init(|| Names::new(self.file()))
    }

    /// The byte at a position.
    pub(super) fn offset(&self, position: Position) -> usize {
        self.lines.offset(&self.text, position)
    }

    /// The positions of a piece.
    pub(super) fn range(&self, span: Span) -> Range {
        self.lines.range(&self.text, span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_applied_one_after_the_other() {
        let mut document = Document::new(
            "file:///d".to_owned(),
            Some(1),
            "FROM a\r\nRUN 𝄞x\r\n".to_owned(),
            Encoding::Utf16,
        );
        let change = |line, from, to, text: &str| {
            let at = |character| Position { line, character };
            let range = Some(Range {
                start: at(from),
                end: at(to),
            });
            let text = text.to_owned();
            Change { range, text }
        };
        let changes = vec![
            change(1, 6, 7, "y\nz"),
            change(2, 0, 1, "USER b"),
            change(0, 5, 99, "c"),
        ];
        document.change(Some(2), changes, Encoding::Utf16);
        assert_eq!(document.text, "FROM c\r\nRUN 𝄞y\nUSER b\r\n");
        assert_eq!(document.file().stages[0].instructions.len(), 2);
        // A range whose end lies before its start takes nothing away.
        document.change(Some(3), vec![change(9, 9, 0, "#")], Encoding::Utf16);
        document.change(Some(4), vec![change(0, 4, 2, "")], Encoding::Utf16);
        assert!(document.text.ends_with("\n#"));
        let whole = Change {
            range: None,
            text: "x".repeat(LARGEST + 1),
        };
        document.change(None, vec![whole], Encoding::Utf16);
        assert!(!document.is_small() && document.file().stages.is_empty());
    }
}
