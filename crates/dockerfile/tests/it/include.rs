//! INCLUDE: texts of several files, and the places in them.

use kiln_dockerfile::ast::Span;
use kiln_dockerfile::include::{self, DEEPEST, Failed, Files, LARGEST, MOST, Unreadable};
use kiln_dockerfile::parse;
use kiln_dockerfile::source::Source;

/// Files by their paths.
struct Disk<'a>(&'a [(&'a str, &'a str)]);

impl Files for Disk<'_> {
    fn read(&mut self, path: &str) -> Result<String, Unreadable> {
        let found = self.0.iter().find(|(name, _)| *name == path);
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| Unreadable {
            message: format!("{path} is not there"),
            help: None,
        })
    }

    fn name(&self, path: &str) -> String {
        format!("./{path}")
    }

    fn directory(&self) -> &'static str {
        "the disk"
    }
}

pub(crate) fn read_in(text: &str, files: &[(&str, &str)]) -> Result<Source, Box<Failed>> {
    include::read_in("./Dockerfile", "Dockerfile", text.to_owned(), &mut Disk(files))
}

/// `file:line: message` of everything that is wrong.
fn errors(text: &str, files: &[(&str, &str)]) -> Vec<String> {
    let failed = read_in(text, files).unwrap_err();
    let shown = failed.diagnostics.iter().map(|each| {
        let (file, span) = failed.source.place(each.span);
        let file = &failed.source.files()[file];
        let line = file.text[..span.start].matches('\n').count() + 1;
        format!("{}:{line}: {}", file.name, each.message)
    });
    shown.collect()
}

fn text(text: &str, files: &[(&str, &str)]) -> String {
    read_in(text, files).unwrap().text().to_owned()
}

#[test]
fn files_are_read_in_place() {
    let files = [
        (
            "base",
            "\u{feff}# escape=\\\n# syntax=x\n#check=skip=all\n# about\nFROM a AS base",
        ),
        ("x/tail", "RUN b\n  INCLUDE more \\\n # c\n   ../base\nRUN c\r\n"),
        ("x/more", "COPY <<E /y\nINCLUDE nothing\nE\n"),
        ("empty", ""),
    ];
    for (written, expected) in [
        (
            "# kiln=include\nINCLUDE base\nRUN a\n",
            "# kiln=include\n# about\nFROM a AS base\nRUN a\n",
        ),
        (
            "# kiln=include\ninclude [\"base\", \"./x/../base\"]",
            "# kiln=include\n# about\nFROM a AS base\n# about\nFROM a AS base\n",
        ),
        (
            "# kiln=include\nFROM z\nINCLUDE x/tail\nRUN d",
            "# kiln=include\nFROM z\nRUN b\nCOPY <<E /y\nINCLUDE nothing\nE\n# about\nFROM a AS base\nRUN c\r\nRUN d",
        ),
        (
            "# kiln=include\nFROM z\nINCLUDE empty empty\nRUN a \\\nINCLUDE base\n",
            "# kiln=include\nFROM z\nRUN a \\\nINCLUDE base\n",
        ),
        // Without the directive nothing is read.
        ("FROM z\nINCLUDE base\n", "FROM z\nINCLUDE base\n"),
        (
            "# c\n# kiln=include\nINCLUDE base\n",
            "# c\n# kiln=include\nINCLUDE base\n",
        ),
    ] {
        assert_eq!(text(written, &files), expected);
    }
}

#[test]
fn places_lead_back() {
    let files = [
        ("d/one", "# syntax=x\nRUN 1\n\nINCLUDE two\nRUN 2"),
        ("d/two", "RUN 3\n"),
    ];
    let source = read_in("# kiln=include\nFROM a\nINCLUDE d/one\nRUN 4\n", &files).unwrap();
    assert_eq!(source.text(), "# kiln=include\nFROM a\nRUN 1\n\nRUN 3\nRUN 2\nRUN 4\n");
    let (tree, found) = parse(source.text());
    assert_eq!(found, []);
    let mut places = Vec::new();
    for instruction in &tree.stages[0].instructions {
        let (file, lines) = source.lines(instruction.lines);
        assert_eq!(source.place(instruction.span).0, file);
        let from: Vec<_> = source.included_from(file).collect();
        let span = source.place(instruction.span).1;
        let file = &source.files()[file];
        places.push((file.name.as_str(), lines.0, &file.text[span.range()], from));
    }
    let expected = [
        ("./d/one", 2, "RUN 1", vec![("./Dockerfile", 3)]),
        ("./d/two", 1, "RUN 3", vec![("./d/one", 4), ("./Dockerfile", 3)]),
        ("./d/one", 5, "RUN 2", vec![("./Dockerfile", 3)]),
        ("./Dockerfile", 4, "RUN 4", vec![]),
    ];
    assert_eq!(places, expected);
}

#[test]
fn all_errors_have_their_places() {
    let files = [
        ("self", "INCLUDE other\n"),
        ("other", "RUN ok\nINCLUDE self\n"),
        ("open", "RUN x \\\n\n"),
        ("heredoc", "COPY <<E /x\ntext\n"),
        ("tick", "# escape=`\nRUN x\n"),
        ("twice", "# check=skip=all\n# check=skip=all\nRUN x\n"),
        ("wrong", "RUNN x\n"),
    ];
    let text = "# kiln=include\nFROM a\nINCLUDE ../out self\nINCLUDE open wrong missing\nINCLUDE Dockerfile\nRUNN y\n";
    let found = errors(text, &files);
    let expected = [
        "./Dockerfile:3: `../out` leads out of the disk",
        "./other:2: files include one another in a circle: ./self → ./other → ./self",
        "./Dockerfile:4: missing is not there",
        "./open:1: the instruction does not end with its file",
        "./Dockerfile:5: files include one another in a circle: ./Dockerfile → ./Dockerfile",
        "./Dockerfile:6: unknown instruction: RUNN (did you mean RUN?)",
    ];
    assert_eq!(found, expected);
    for (file, expected) in [
        ("heredoc", "./heredoc:1: unterminated heredoc"),
        (
            "tick",
            "./tick:1: the escape character is \\ in the file that includes this one",
        ),
        ("twice", "./twice:2: only one check parser directive can be used"),
    ] {
        // The end that a here-document misses is no other file's.
        let text = format!("# kiln=include\nFROM a\nINCLUDE {file}\nE\n");
        let found = errors(&text, &files);
        assert!(found.contains(&expected.to_owned()), "{found:?}");
    }
}

#[test]
fn what_is_missing_may_have_been_a_stage() {
    let found = errors("# kiln=include\nINCLUDE base\nRUN x\nFROM b\n", &[]);
    assert_eq!(found, ["./Dockerfile:2: base is not there"]);
}

#[test]
fn reading_in_ends() {
    let once = "INCLUDE a a a a a a a a\n";
    let names: Vec<String> = (0..=DEEPEST).map(|level| format!("f{level}")).collect();
    let texts: Vec<String> = (1..=DEEPEST + 1)
        .map(|level| format!("RUN x\nINCLUDE f{level} f{level}\n"))
        .collect();
    let nested: Vec<_> = names
        .iter()
        .zip(&texts)
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let start = "# kiln=include\nFROM a\nINCLUDE f0\n";
    // All of them twice is more than there is time for.
    let found = errors(start, &nested);
    assert!(
        found.iter().any(|each| each.contains("more than 16 deep")),
        "{}",
        found.len()
    );
    assert!(
        found
            .iter()
            .any(|each| each.contains(&format!("more than {MOST} files"))),
        "{}",
        found.len()
    );
    // Each but the last once.
    let texts: Vec<String> = (1..=DEEPEST).map(|level| format!("INCLUDE f{level}\n")).collect();
    let mut chain: Vec<_> = names
        .iter()
        .zip(&texts)
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    chain[DEEPEST - 1].1 = "RUN x\n";
    assert!(read_in(start, &chain).is_ok());
    let empty: Vec<_> = std::iter::repeat_n(once, 200).collect();
    let found = errors(&format!("# kiln=include\nFROM a\n{}", empty.concat()), &[("a", "")]);
    assert_eq!(found.len(), 1, "{found:?}");
    let large = format!("# {}\n", "x".repeat(60_000)).repeat(LARGEST / 100_000);
    let found = errors("# kiln=include\nFROM a\nINCLUDE a a a a\nINCLUDE a\n", &[("a", &large)]);
    assert_eq!(
        found,
        ["./Dockerfile:3: what is included is larger than 64 MiB; the rest was not read"]
    );
}

#[test]
fn any_place_is_survived() {
    let files = [("one", "# check=skip=all\nRUN x"), ("two", "")];
    let source = read_in("# kiln=include\nFROM a\nINCLUDE two one\nINCLUDE one", &files).unwrap();
    for start in 0..80 {
        for end in start..80 {
            let (file, span) = source.place(Span { start, end });
            assert!(source.files()[file].text.get(span.range()).is_some());
            let (first, last) = (u32::try_from(start).unwrap(), u32::try_from(end).unwrap());
            let (file, (first, last)) = source.lines((first, last));
            assert!(first <= last && file < source.files().len());
        }
    }
}
