//! Dockerfiles that are written into files of Compose's and bake's: what is found in them stands in those.

use std::path::PathBuf;
use std::rc::Rc;

use kiln_dockerfile::Dockerfile;
use kiln_dockerfile::ast::Span;
use kiln_lint::Finding;

use super::{Linted, Role};

/// A file around Dockerfiles.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) path: PathBuf,
    /// Read as if it were one itself, for its lines.
    file: Rc<Dockerfile>,
}

impl Host {
    pub(super) fn new(path: PathBuf, text: &str) -> Self {
        let file = Rc::new(kiln_dockerfile::parse(text).0);
        Self { path, file }
    }

    /// A line without the blanks around it, and its place. Lines past the end are empty.
    fn line(&self, number: u32) -> (&str, Span) {
        line(&self.file, number)
    }
}

fn line(file: &Dockerfile, number: u32) -> (&str, Span) {
    let range = file.line_start(number)..file.line_start(number.saturating_add(1));
    let whole = file.source.get(range.clone()).unwrap_or_default();
    let text = whole.trim();
    let start = range.start + (whole.len() - whole.trim_start().len());
    let end = start + text.len();
    (text, Span { start, end })
}

/// A Dockerfile in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inline {
    pub(super) host: Rc<Host>,
    /// The line, from 1, in which it begins: of the text itself, or of the mark before it.
    pub(super) line: u32,
    /// What it stands for.
    pub(super) text: String,
}

impl Inline {
    /// What was found in its text, as it is found in the file around it: in the same line, where that stands there as it is;
    /// else where it begins.
    pub(super) fn place(&self, mut linted: Linted) -> Linted {
        let first = self.first_line();
        for finding in &mut linted.findings {
            self.place_one(finding, &linted.file, first);
        }
        linted
            .findings
            .sort_by_key(|finding| (finding.line, finding.span.start));
        Linted {
            path: Some(self.host.path.clone()),
            file: Rc::clone(&self.host.file),
            role: Role::Host,
            ..linted
        }
    }

    fn place_one(&self, finding: &mut Finding, file: &Dockerfile, first: Option<u32>) {
        let there = |number: u32| first.map_or(self.line, |first| first.saturating_add(number) - 1);
        let number = file.line(finding.span.start);
        let (text, own) = line(file, number);
        let (around, place) = self.host.line(there(number));
        finding.line = there(finding.line);
        // Escapes and variables of the other language move what is behind them.
        if first.is_none() {
            finding.message = format!("line {number} of what begins here: {}", finding.message);
        }
        let at = first
            .and_then(|_| around.find(text))
            .filter(|_| own.start <= finding.span.start);
        finding.span = at.map_or(place, |at| {
            let start = place.start + at + (finding.span.start - own.start);
            let length = finding.span.end.min(own.end).saturating_sub(finding.span.start);
            Span {
                start: start.min(place.end),
                end: (start + length).min(place.end),
            }
        });
        if let Some(fix) = finding.fix.take() {
            finding.unfixed = Some(format!(
                "a Dockerfile inside of another file is mended by hand: {}",
                fix.title
            ));
        }
    }

    /// The line of the file in which the text's first one is, if all its lines are there one by one: in a block of YAML's,
    /// a here-document of HCL's, or behind a key.
    fn first_line(&self) -> Option<u32> {
        let blank = self.text.lines().take_while(|line| line.trim().is_empty()).count();
        let lines: Vec<&str> = self.text.lines().skip(blank).map(str::trim).collect();
        let end = self.host.file.line(self.host.file.source.len());
        let behind = (self.line.saturating_add(1)..=end).find(|number| !self.host.line(*number).0.is_empty());
        let is_there = |start: &u32| {
            let same = |(number, text): (u32, &&str)| is_same(self.host.line(number).0, text);
            (*start..).zip(&lines).all(same)
        };
        let block = || [Some(self.line), behind].into_iter().flatten().find(is_there);
        let first = match &lines[..] {
            [] => return None,
            [only] if self.host.line(self.line).0.contains(only) => self.line,
            _ => block()?,
        };
        first.checked_sub(u32::try_from(blank).ok()?)
    }
}

/// Whether a line became that one: but for variables, and for what stands for a `$`.
fn is_same(written: &str, text: &str) -> bool {
    written == text || written.contains("${") || written.contains("$$") || written.contains("%%{")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::lint::included::Whole;
    use kiln_lint::Config;

    /// Line, column and text of what the linter finds in a Dockerfile that begins in a line of a file.
    fn found(host: &str, line: u32, text: &str) -> Vec<(u32, u32, String)> {
        let config = Config::default();
        let inline = Inline {
            host: Rc::new(Host::new(PathBuf::from("f"), host)),
            line,
            text: text.to_owned(),
        };
        let whole = Whole::read(text, None, None);
        let placed = inline.place(Linted {
            name: "f".to_owned(),
            path: None,
            findings: whole.lint(&config),
            file: Rc::new(kiln_dockerfile::parse(text).0),
            config,
            role: Role::Whole,
        });
        assert!(placed.findings.iter().all(|finding| finding.fix.is_none()));
        let shown = placed
            .findings
            .iter()
            .filter(|finding| matches!(finding.code, "DL3020" | "DL3007"))
            .map(|finding| {
                let (line, column) = placed.file.line_and_column(finding.span.start);
                assert_eq!(line, finding.line, "{host}");
                (line, column, host[finding.span.range()].to_owned())
            });
        shown.collect()
    }

    #[test]
    fn lines_are_found_in_the_file_around() {
        let text = "FROM a\nADD b c\n";
        for (host, line, wanted) in [
            // Where YAML says that a block begins, and where HCL does.
            ("i: |\n    FROM a\n    ADD b c\nx: y\n", 2, (3, 5, "ADD b c")),
            ("i = <<-E\n\n  FROM a\n  ADD b c\nE\n", 1, (4, 3, "ADD b c")),
            // Variables of the other language: the line, but no place in it.
            ("i = <<E\nFROM a\nADD ${x} c\nE\n", 1, (3, 1, "ADD ${x} c")),
            // Not line by line.
            ("i: >\n    FROM a\n\n    ADD b c\n", 2, (2, 5, "FROM a")),
            ("x:\ni: \"FROM a\\nADD b c\"\n", 2, (2, 1, "i: \"FROM a\\nADD b c\"")),
            ("%{ for x in y }\n", 1, (1, 1, "%{ for x in y }")),
        ] {
            let (line_found, column, shown) = wanted;
            assert_eq!(
                found(host, line, text),
                [(line_found, column, shown.to_owned())],
                "{host}"
            );
        }
        // Empty lines before it.
        assert_eq!(found("i: |+\n\n  FROM a\n  ADD b c\n", 3, &format!("\n{text}"))[0].0, 4);
    }

    #[test]
    fn one_line_stands_behind_its_key_or_in_a_block() {
        let shown = |line, column| [(line, column, "a:latest".to_owned())];
        assert_eq!(found("i: 'FROM a:latest'\n", 1, "FROM a:latest"), shown(1, 10));
        assert_eq!(found("i = <<E\nFROM a:latest\nE\n", 1, "FROM a:latest\n"), shown(2, 6));
        assert_eq!(found("i: |\n\n FROM a:latest\n", 3, "\nFROM a:latest\n"), shown(3, 7));
        let variable = found("i = \"FROM a:${B}\"\n", 1, "FROM a:latest");
        assert_eq!(variable, [(1, 1, "i = \"FROM a:${B}\"".to_owned())]);
    }
}
