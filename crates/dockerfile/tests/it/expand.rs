//! Expansion: `tests/data/expand.txt`.

use std::collections::BTreeMap;
use std::path::Path;

use kiln_dockerfile::expand::{self, Effort, ExpandError, Lookup};

fn env() -> BTreeMap<String, String> {
    let pairs = [
        ("A", "hello"),
        ("EMPTY", ""),
        ("PATHS", "/usr/local/bin:/usr/bin"),
        ("FILE", "archive.tar.gz"),
        ("DOTS", "a.b.c"),
        ("BLANKS", "x  y z"),
        ("STARS", "a*b?c\\d/e}f"),
        ("LINES", "one\ntwo\nthree"),
        ("GROUP", "[$0]"),
        ("NAME", "A"),
        ("ünï", "unicode"),
    ];
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn cases() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/expand.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let mut count = 0;
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (input, expected) = line.split_once(" => ").unwrap_or_else(|| panic!("{line}: no =>"));
        let result = match expand::word(input, '\\', &env(), &Effort::default()) {
            Ok(expanded) => format!("[{}]", expanded.value.replace('\n', "⏎")),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(result, expected, "{input}");
        count += 1;
    }
    assert!(count > 90, "{count}");
}

#[test]
fn words_are_split_after_expansion_unless_quoted() {
    let cases: [(&str, &[&str]); 8] = [
        ("80 443", &["80", "443"]),
        ("$BLANKS", &["x", "y", "z"]),
        ("\"$BLANKS\"", &["x  y z"]),
        ("a$BLANKS", &["ax", "y", "z"]),
        ("a\\ b", &["a b"]),
        ("'a b'c", &["a bc"]),
        ("  ", &[]),
        ("$EMPTY a", &["a"]),
    ];
    for (input, expected) in cases {
        assert_eq!(
            expand::words(input, '\\', &env(), &Effort::default()).unwrap().values,
            expected,
            "{input}"
        );
    }
}

#[test]
fn bodies_keep_their_quotes() {
    let cases = [
        ("it's \"$A\"\n", "it's \"hello\"\n"),
        ("\\$A \\\\ \\n", "$A \\ n"),
        ("'${A}' ${EMPTY:-'x'}", "'hello' 'x'"),
    ];
    for (input, expected) in cases {
        assert_eq!(
            expand::heredoc(input, &env(), &Effort::default()).unwrap().value,
            expected,
            "{input}"
        );
    }
}

#[test]
fn display_keeps_quotes_escapes_and_the_unset() {
    let cases = [
        ("\"$A\" '$A' $UNSET ${UNSET}", "\"hello\" '$A' $UNSET ${UNSET}"),
        (
            "a\\ b ${UNSET:-x} ${UNSET-y} ${UNSET:+z}",
            "a\\ b ${UNSET:-x} ${UNSET-y} ${UNSET:+z}",
        ),
        (
            "${UNSET:?m} ${UNSET#p} ${UNSET%%p} ${UNSET/a/b}",
            "${UNSET:?m} ${UNSET#p} ${UNSET%%p} ${UNSET/a/b}",
        ),
    ];
    for (input, expected) in cases {
        assert_eq!(
            expand::display(input, '\\', &env(), &Effort::default()).unwrap().value,
            expected,
            "{input}"
        );
    }
}

#[test]
fn undefined_variables_are_named_once_and_not_where_there_is_a_default() {
    let expanded = expand::word(
        "$A $B ${C} $B ${D:-x} ${E+x} ${F#a} '$G'",
        '\\',
        &env(),
        &Effort::default(),
    )
    .unwrap();
    assert_eq!(expanded.undefined, ["B", "C", "F"]);
}

#[test]
fn the_other_escape() {
    assert_eq!(
        expand::word("`$A \\$A", '`', &env(), &Effort::default()).unwrap().value,
        "$A \\hello"
    );
}

#[test]
fn a_closure_is_an_environment() {
    let lookup = Lookup::new(|name: &str| (name == "X").then_some("1"));
    assert_eq!(
        expand::word("$X$Y", '\\', &lookup, &Effort::default()).unwrap().value,
        "1"
    );
}

#[test]
fn hostile_texts_are_refused() {
    for nested in ["${A:-", "${A:-\"", "${A/", "${A//x/\""] {
        assert_eq!(
            expand::word(&nested.repeat(100_000), '\\', &env(), &Effort::default()),
            Err(ExpandError::TooDeep),
            "{nested}"
        );
    }
    let big: BTreeMap<String, String> = [("X".to_owned(), "x".repeat(1 << 20))].into();
    assert_eq!(
        expand::word(&"$X".repeat(1000), '\\', &big, &Effort::default()),
        Err(ExpandError::TooLong)
    );
    assert_eq!(
        expand::word(
            &format!("${{X#*{}a}}", "?".repeat(1 << 18)),
            '\\',
            &big,
            &Effort::default()
        ),
        Err(ExpandError::TooCostly)
    );
    // Each is not too much, and what fails counts.
    let one = format!("${{X#*{}a}}", "?".repeat(100));
    let effort = Effort::default();
    let word = |text: &str| expand::word(text, '\\', &big, &effort);
    assert_eq!(word(&format!("{one}${{")), Err(ExpandError::MissingBrace));
    assert_eq!(word(&one), Err(ExpandError::TooCostly));
    assert!(effort.is_spent());
    assert_eq!(word("$X"), Err(ExpandError::TooCostly));
}
