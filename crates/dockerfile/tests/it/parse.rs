//! Texts and their trees: `tests/data/parse/*.txt`, cases parted by `=== name`, text and tree by `---`. In the texts
//! `␍` stands for a carriage return, `␣` for a blank at the end of a line, `␉` for a tab and `␀` for nothing (a line
//! that would otherwise end the text).

use std::path::Path;

use kiln_dockerfile::ast::{Kind, SourcePath, Span};
use kiln_dockerfile::diagnostic::Severity;
use kiln_dockerfile::{parse, parse_instruction};

use crate::dump;

fn cases(name: &str) -> Vec<(String, String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/parse")
        .join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut cases = Vec::new();
    for case in text.split("\n=== ").skip(1) {
        let (title, rest) = case.split_once('\n').unwrap();
        let (input, expected) = rest
            .split_once("\n---\n")
            .unwrap_or_else(|| panic!("{name}: {title}: no ---"));
        let input = input
            .replace('␍', "\r")
            .replace('␣', " ")
            .replace('␉', "\t")
            .replace('␀', "");
        cases.push((title.to_owned(), input, expected.trim_end().to_owned()));
    }
    assert!(!cases.is_empty(), "{name} has cases");
    cases
}

fn check(name: &str) {
    for (title, input, expected) in cases(name) {
        let (tree, found) = parse(&input);
        let errors: Vec<_> = found.iter().filter(|each| each.severity == Severity::Error).collect();
        assert!(errors.is_empty(), "{name}: {title}: {errors:?}");
        assert_eq!(dump::dockerfile(&tree).trim_end(), expected, "{name}: {title}\n{input}");
    }
}

#[test]
fn lines() {
    check("lines.txt");
}

#[test]
fn instructions() {
    check("instructions.txt");
}

#[test]
fn heredocs() {
    check("heredocs.txt");
}

#[test]
fn a_byte_order_mark_is_dropped() {
    let (tree, found) = parse("\u{feff}FROM scratch\n");
    assert_eq!(found, []);
    assert_eq!(tree.stages[0].instruction.span, Span { start: 3, end: 15 });
}

#[test]
fn text_is_the_logical_line() {
    let source = "from alpine\nrun echo a \\\n  # no\n\n  b <<E \\\n c\nbody\nE\n";
    let (tree, _) = parse(source);
    let stage = &tree.stages[0];
    assert_eq!(stage.instruction.text, "FROM alpine");
    assert_eq!(stage.instructions[0].text, "RUN echo a   b <<E  c");
    assert_eq!(stage.instructions[0].lines, (2, 8));
    assert_eq!(
        &source[stage.instructions[0].span.range()],
        &source[12..source.len() - 1]
    );
}

#[test]
fn words_know_their_places_across_continuations() {
    let source = "FROM a\nENV x=1 \\\n    yy=2\\\n3 \\\n# c\n z=\"a b\"\n";
    let (tree, _) = parse(source);
    let Kind::Env(pairs) = &tree.stages[0].instructions[0].kind else {
        panic!("ENV")
    };
    let places: Vec<_> = pairs
        .iter()
        .map(|pair| (&source[pair.key.span.range()], &source[pair.value.span.range()]))
        .collect();
    assert_eq!(places, [("x", "1"), ("yy", "2\\\n3"), ("z", "\"a b\"")]);
    assert_eq!(pairs[1].value.raw, "23");
}

#[test]
fn flags_and_heredocs_know_their_places() {
    let source = "FROM a\nCOPY --chown=\"a\" --link <<X <<'Y' /d\n1\nX\n2\nY\n";
    let (tree, _) = parse(source);
    let Kind::Copy(copy) = &tree.stages[0].instructions[0].kind else {
        panic!("COPY")
    };
    let chown = copy.transfer.chown.as_ref().unwrap();
    assert_eq!((chown.raw.as_str(), &source[chown.span.range()]), ("a", "\"a\""));
    let SourcePath::Heredoc(second) = &copy.transfer.sources[1] else {
        panic!("heredoc")
    };
    assert_eq!(&source[second.operator.span.range()], "<<'Y'");
    assert_eq!(&source[second.body.range()], "2\nY");
}

#[test]
fn lines_count_from_one() {
    let (tree, _) = parse("FROM a\nRUN ü x\n");
    assert_eq!([0, 6, 7, 9999].map(|place| tree.line(place)), [1, 1, 2, 3]);
}

#[test]
fn stages_by_name() {
    let (tree, _) = parse("FROM a AS X\nFROM b AS y\nFROM c AS x\nFROM d\n");
    assert_eq!(tree.stage_by_name("X", 3).map(|stage| stage.index), Some(2));
    assert_eq!(tree.stage_by_name("x", 2).map(|stage| stage.index), Some(0));
    assert_eq!(tree.stage_by_name("y", 1).map(|stage| stage.index), None);
}

#[test]
fn triggers_are_parsed_alone() {
    let (instruction, found) = parse_instruction("COPY <<E /x\nbody\nE");
    assert_eq!(found, []);
    assert_eq!(
        dump::instruction(&instruction.unwrap()),
        "1-3 COPY <<E \"body\\n\" -> \"/x\""
    );
    assert!(parse_instruction("RUN a\nRUN b").0.is_none());
    assert!(parse_instruction("").0.is_none());
    assert!(parse_instruction("RUNN a").0.is_none());
}
