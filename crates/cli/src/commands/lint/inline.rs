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
}

/// A line without the blanks around it, and its place. Lines past the end are empty.
fn line(file: &Dockerfile, number: u32) -> (&str, Span) {
    let range = file.line_start(number)..file.line_start(number.saturating_add(1));
    let whole = file.source.get(range.clone()).unwrap_or_default();
    let text = whole.trim();
    let start = range.start + (whole.len() - whole.trim_start().len());
    let end = start + text.len();
    (text, Span { start, end })
}

/// Where a Dockerfile is written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// All that stands for it, in bytes. A block of YAML's begins with its text.
    pub(super) span: Span,
    pub(super) form: Form,
}

/// What a Dockerfile's lines are in the file around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Nobody knows: a string of HCL's or JSON's, an expression.
    String,
    /// Those of a scalar of YAML's: as they are, where it is a block, but for `$$`.
    Scalar,
    /// Those of a here-document of HCL's, which are there, in bytes.
    Heredoc(Span),
}

/// A Dockerfile in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inline {
    pub(super) host: Rc<Host>,
    /// Where it is written, or the name of its target where nobody knows: then it is looked for at the file's beginning.
    pub(super) place: Result<Place, String>,
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
        let begin = self.host.file.line(self.span().start);
        let there = |number: u32| first.map_or(begin, |first| first.saturating_add(number) - 1);
        let number = file.line(finding.span.start);
        let (text, own) = line(file, number);
        let (around, place) = self.line(there(number));
        finding.line = there(finding.line);
        // Escapes and variables of the other language move what is behind them.
        if first.is_none() {
            let whose = match &self.place {
                Ok(_) => "what begins here".to_owned(),
                Err(target) => format!("the Dockerfile of the target `{target}`"),
            };
            finding.message = format!("line {number} of {whose}: {}", finding.message);
        }
        let at = first
            .and_then(|_| starts_with(around, text))
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

    fn span(&self) -> Span {
        self.place
            .as_ref()
            .map_or(Span { start: 0, end: 0 }, |place| place.span)
    }

    /// What is its own of a line of the file, without the blanks around it, and its place.
    fn line(&self, number: u32) -> (&str, Span) {
        let (_, whole) = line(&self.host.file, number);
        let Span { start, end } = self.span();
        let own = whole.start.max(start)..whole.end.min(end);
        let text = self.host.file.source.get(own.clone()).unwrap_or_default().trim_end();
        let end = own.start + text.len();
        (text, Span { start: own.start, end })
    }

    /// The line of the file in which the text's first one is, if all its lines are there one by one.
    fn first_line(&self) -> Option<u32> {
        let place = self.place.as_ref().ok()?;
        let host = &self.host.file;
        let begin = host.line(place.span.start);
        let blank = self.text.lines().take_while(|line| line.trim().is_empty()).count();
        let mut lines = self.text.lines().map(str::trim);
        if let (Some(only), None) = (lines.next(), lines.next())
            && blank == 0
            && starts_with(self.line(begin).0, only).is_some()
        {
            return Some(begin);
        }
        let is_there = |first: u32, is_same: fn(&str, &str) -> bool| {
            let mut lines = (first..).zip(self.text.lines());
            lines.all(|(number, text)| is_same(self.line(number).0, text.trim()))
        };
        match place.form {
            Form::String => None,
            Form::Scalar => {
                let first = begin.checked_sub(u32::try_from(blank).ok()?)?;
                is_there(first, |written, text| written.replace("$$", "$") == text).then_some(first)
            }
            Form::Heredoc(Span { start, end }) => {
                let first = host.line(start);
                let count = host.line(end) - first;
                let is_whole = self.text.lines().count() == count as usize;
                (is_whole && is_there(first, is_same)).then_some(first)
            }
        }
    }
}

/// Where a text stands in a line: at its beginning, or behind a quote.
fn starts_with(line: &str, text: &str) -> Option<usize> {
    let inner = line.strip_prefix(['"', '\'']).unwrap_or(line);
    let inner = inner.trim_start();
    [line, inner]
        .into_iter()
        .find(|rest| rest.starts_with(text))
        .map(|rest| line.len() - rest.len())
}

/// Whether a line of a template of HCL's became that one: what stands before and behind all that is put in, or is no
/// more escaped, must be there.
fn is_same(written: &str, text: &str) -> bool {
    let marks = ["${", "$${", "%%{"];
    let Some(first) = marks.iter().filter_map(|mark| written.find(mark)).min() else {
        return written == text;
    };
    let (before, rest) = written.split_at(first);
    let Some((_, behind)) = rest.rsplit_once('}') else {
        return false;
    };
    let inner = text.strip_prefix(before.trim_end()).map(str::trim_start);
    inner.is_some_and(|inner| inner.ends_with(behind.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::lint::entry::{self, Kind, Written};
    use crate::commands::lint::included::{Files, Whole};
    use crate::settings::Environment;
    use kiln_lint::Config;

    /// All that is found in the Dockerfiles of a file.
    fn linted(name: &str, host: &str) -> Vec<Linted> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, host).unwrap();
        let listed = if entry::kind(&path) == Kind::Compose {
            entry::composed(&path, host)
        } else {
            entry::baked(&[(path, host.to_owned())], &Environment::of(&[]))
        };
        let listed = listed.unwrap();
        assert!(listed.failures.is_empty(), "{:?}", listed.failures);
        let mut files = Files::default();
        for entry in listed.entries {
            let Written::Inline(inline) = entry.dockerfile else {
                panic!("{host}: a Dockerfile elsewhere");
            };
            let config = Config::default();
            let whole = Whole::read(&inline.text, None, None);
            files.add(inline.place(Linted {
                name: name.to_owned(),
                path: None,
                findings: whole.lint(&config),
                file: Rc::new(kiln_dockerfile::parse(&inline.text).0),
                config,
                role: Role::Whole,
            }));
        }
        files.into_linted()
    }

    /// Line, column, text, and the line of the Dockerfile that is said, of each ADD and `latest`.
    fn found(name: &str, host: &str) -> Vec<(u32, u32, String, Option<String>)> {
        let mut shown = Vec::new();
        for file in linted(name, host) {
            for finding in &file.findings {
                assert_eq!(finding.fix, None);
                if !matches!(finding.code, "DL3020" | "DL3007") {
                    continue;
                }
                let (line, column) = file.file.line_and_column(finding.span.start);
                assert_eq!(line, finding.line, "{host}");
                let text = host[finding.span.range()].to_owned();
                let said = finding.message.split_once(" of what begins here: ");
                shown.push((line, column, text, said.map(|(line, _)| line.to_owned())));
            }
        }
        shown
    }

    #[track_caller]
    fn check(name: &str, host: &str, wanted: &[(u32, u32, &str, Option<&str>)]) {
        let owned = |(line, column, text, said): &(u32, u32, &str, Option<&str>)| {
            (*line, *column, (*text).to_owned(), said.map(str::to_owned))
        };
        let wanted: Vec<_> = wanted.iter().map(owned).collect();
        assert_eq!(found(name, host), wanted, "{host}");
    }

    /// A file of Compose's whose only service has that.
    #[track_caller]
    fn yaml(inline: &str, wanted: (u32, u32, &str, Option<&str>)) {
        let host = format!("services:\n a:\n  build:\n   dockerfile_inline: {inline}\n   context: x\n");
        check("c.yaml", &host, &[wanted]);
    }

    #[track_caller]
    fn hcl(inline: &str, wanted: (u32, u32, &str, Option<&str>)) {
        let host =
            format!("X = \"f.py\"\ntarget \"a\" {{\n  dockerfile-inline = {inline}\n  tags = [\"x:${{X}}\"]\n}}\n");
        check("b.hcl", &host, &[wanted]);
    }

    #[test]
    fn lines_are_found_in_the_file_around() {
        let add = |line, column| (line, column, "ADD f.py c", None);
        yaml("|\n    FROM a:1\n    ADD f.py c", add(6, 5));
        yaml("|2- # x\n\n      FROM a:1\n      ADD f.py c", add(7, 7));
        yaml("&x !!str |\n    FROM a:1\n    ENV A=$$B\n    ADD f.py c\n", add(7, 5));
        // Not line by line.
        let said = Some("line 2");
        yaml(">\n    FROM a:1\n\n    ADD f.py c", (5, 5, "FROM a:1", said));
        yaml("FROM a:1\n\n    ADD f.py c", (4, 23, "FROM a:1", said));
        let text = "\"FROM a:1\\nADD f.py c # $$A\"";
        yaml(text, (4, 23, text, said));
        yaml(&format!("{text}\n   # $$A"), (4, 23, text, said));

        hcl("<<E\nFROM a:1\nADD f.py c\nE", add(5, 1));
        hcl(
            "<<-E\n\n    FROM a:1\n    ENV A=$${B} C=%%{D}\n    ADD f.py c\n  E",
            add(7, 5),
        );
        // Variables of the other language: the line, but no place in it.
        hcl("<<E\nFROM a:1\nADD ${X} c\nE", (5, 1, "ADD ${X} c", None));
        hcl("<<E\nFROM a:1\nADD ${X} $${c}\nE", (5, 1, "ADD ${X} $${c}", None));
        for text in [
            "\"FROM a:1\\nADD ${X} c\"",
            "\"FROM a:1\\nADD f.py c\"",
            "join(\"\\n\", [\"FROM a:1\", \"ADD ${X} c\"])",
        ] {
            hcl(text, (3, 23, text, said));
        }
        // What is put in has lines, or takes some.
        hcl(
            "<<E\n${\"FROM a:1\\nARG A\"}\nADD ${X} c\nE",
            (3, 23, "<<E", Some("line 3")),
        );
        for text in [
            "${\"\" ~}\nFROM a:1\nADD ${X} c",
            "FROM ${\"a:1\" ~}\nADD ${X} c\nENV ${X}=1",
        ] {
            let shown = found(
                "b.hcl",
                &format!("X = \"f.py\"\ntarget \"a\" {{\n  dockerfile-inline = <<E\n{text}\nE\n}}\n"),
            );
            assert!(
                shown.iter().all(|(line, .., said)| *line == 3 && said.is_some()),
                "{text}: {shown:?}"
            );
        }
    }

    #[test]
    fn another_line_with_a_variable_is_not_blamed() {
        let one = "{build: {dockerfile_inline: \"FROM a:1\\nADD f.py c # $$V\"}}";
        let other = "{build: {dockerfile_inline: \"FROM a:1\\nENV A=\\\"$$V\\\"\"}}";
        let host = format!("services:\n  a: {one}\n  b: {other}\n");
        let text = "\"FROM a:1\\nADD f.py c # $$V\"";
        check("c.yaml", &host, &[(2, 34, text, Some("line 2"))]);
        let text = "\"FROM a:${T}\\nADD f.py c\"";
        let host = format!(
            "{{\"target\": {{\"a\": {{\n\"dockerfile-inline\": {text},\n\"tags\": [\"x:${{T}}\"]\n}}}}, \"T\": \"1\"}}"
        );
        check("b.json", &host, &[(2, 22, text, Some("line 2"))]);
    }

    #[test]
    fn one_line_stands_behind_its_key_or_in_a_block() {
        let shown = |line, column| (line, column, "a:latest", None);
        yaml("'FROM a:latest'", shown(4, 29));
        yaml("FROM a:latest", shown(4, 28));
        yaml("|\n\n    FROM a:latest", shown(6, 10));
        hcl("\"FROM a:latest\"", shown(3, 29));
        hcl("<<E\nFROM a:latest\nE", shown(4, 6));
        hcl(
            "\"FROM a:${\"latest\"}\"",
            (3, 23, "\"FROM a:${\"latest\"}\"", Some("line 1")),
        );
        hcl("\"\\nFROM a:latest\"", (3, 23, "\"\\nFROM a:latest\"", Some("line 2")));
    }

    #[test]
    fn of_keys_that_are_there_twice_the_last_counts() {
        let text = "\"FROM a:1\\nADD f.py c\"";
        let host = format!(
            "{{\"X\": 1, \"X\": 2, \"target\": {{\"a\": {{\"dockerfile-inline\": \"FROM b\"}}, \"a\": {{\n\
             \"dockerfile-inline\": \"FROM b\",\n\"dockerfile-inline\": {text}}}}}}}"
        );
        check("b.json", &host, &[(3, 22, text, Some("line 2"))]);
    }

    /// YAML's reader takes no such keys.
    #[test]
    fn where_no_place_is_known_the_target_is_named() {
        let key = "k".repeat(3000);
        let host =
            format!("{{\"{key}\": 1, \"target\": {{\"a\": {{\"dockerfile-inline\": \"FROM a:1\\nADD f.py c\"}}}}}}");
        let files = linted("b.json", &host);
        let found = files[0]
            .findings
            .iter()
            .find(|finding| finding.code == "DL3020")
            .unwrap();
        let start = "line 2 of the Dockerfile of the target `a`: ";
        assert!(found.message.starts_with(start), "{}", found.message);
        assert_eq!((found.line, found.span.range()), (1, 0..0));
    }

    #[test]
    fn dockerfiles_in_one_line_are_told_apart() {
        let (one, two) = ("\"FROM a:1\\nADD f.py c\"", "\"FROM b:2\\nADD f.py d\"");
        let host = format!(
            "{{\"target\":{{\"a\":{{\"dockerfile-inline\":{one}}},\"b\":{{\"dockerfile-inline\":{two}}},\
             \"c\":{{\"inherits\":[\"b\"]}},\"d\":{{\"dockerfile-inline\":\"FROM a:latest\"}},\
             \"e\":{{\"dockerfile-inline\":\"FROM a:latest\"}}}}}}"
        );
        let said = Some("line 2");
        let (latest, column) = ("a:latest", |text: &str, from: usize| {
            u32::try_from(host[from..].find(text).unwrap() + from + 1).unwrap()
        });
        let first = column(latest, 0);
        let second = column(latest, first as usize);
        check(
            "b.json",
            &host,
            &[
                (1, column(one, 0), one, said),
                (1, column(two, 0), two, said),
                (1, first, latest, None),
                (1, second, latest, None),
            ],
        );
        // One that is used twice is one.
        let host = format!(
            "services:\n  a: {{build: {{dockerfile_inline: &x {one}}}}}\n  b: {{build: {{context: x, dockerfile_inline: *x}}}}\n"
        );
        check("c.yaml", &host, &[(2, 37, one, said)]);
    }
}
