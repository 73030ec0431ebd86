//! What is wrong with a text: `tests/data/errors.txt`, a block per text, then its errors as `line:column: message`.

use std::path::Path;

use kiln_dockerfile::diagnostic::Severity;
use kiln_dockerfile::{parse, parse_bytes};

fn errors(source: &str) -> Vec<String> {
    let (tree, found) = parse(source);
    let errors = found.iter().filter(|each| each.severity == Severity::Error);
    let shown = errors.map(|each| {
        let before = &source[..each.span.start];
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        format!("{}:{column}: {}", tree.line(each.span.start), each.message)
    });
    shown.collect()
}

#[test]
fn messages_and_places() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/errors.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let cases: Vec<_> = text.split("\n=== ").skip(1).collect();
    assert!(cases.len() >= 20);
    for case in cases {
        let (title, rest) = case.split_once('\n').unwrap();
        let (input, expected) = rest.split_once("---\n").unwrap();
        let expected: Vec<_> = expected.trim_end().lines().collect();
        assert_eq!(errors(input), expected, "{title}\n{input}");
    }
}

#[test]
fn all_errors_are_reported_with_help() {
    let source = "FROM a\nCOPPY a b\nRUN --mont=x y\nCOPY --form=x a b\n";
    let (_, found) = parse(source);
    let helps: Vec<_> = found.iter().filter_map(|each| each.help.as_deref()).collect();
    assert_eq!(
        helps,
        [
            "did you mean `COPY`?",
            "did you mean `--mount`?",
            "did you mean `--from`?"
        ]
    );
}

#[test]
fn what_is_no_text_is_one_error() {
    let cases: [(&[u8], &str); 5] = [
        (
            b"FROM a\nRUN \xff\n",
            "the Dockerfile is not UTF-8 text: byte 11 is 0xff",
        ),
        (b"FROM a\nRUN \0\n", "the Dockerfile is not text: byte 11 is 0"),
        (b"\xff\xfeF\0R\0", "the Dockerfile is not UTF-8 text: byte 0 is 0xff"),
        (b"\x7fELF\0", "the Dockerfile is not text: byte 4 is 0"),
        (b"FROM a\xc3", "the Dockerfile is not UTF-8 text: byte 6 is 0xc3"),
    ];
    for (bytes, expected) in cases {
        let (tree, found) = parse_bytes(bytes);
        let messages: Vec<_> = found.iter().map(|each| each.message.as_str()).collect();
        assert_eq!(messages, [expected]);
        assert!(found[0].span.end <= tree.source.len());
        assert!(tree.stages.is_empty());
    }
}

#[test]
fn long_lines_are_an_error_each() {
    let allowed = format!("FROM a\nRUN {}\n", "x".repeat(65535 - 4));
    assert_eq!(errors(&allowed), Vec::<String>::new());
    let long = format!(
        "FROM a\nRUN {}\n# {}\nRUN a \\\n{}\n",
        "x".repeat(65532),
        "c".repeat(70000),
        "y".repeat(70000)
    );
    let message = "dockerfile line greater than max allowed size of 65535";
    assert_eq!(errors(&long), [2, 3, 5].map(|line| format!("{line}:1: {message}")));
}
