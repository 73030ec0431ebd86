//! `tests/rules/RULE/NAME.Dockerfile` with `NAME.expected`: the places, `line:column`, where the rule of the directory
//! finds something, each in a line; empty where it finds nothing.

use std::path::Path;

use kiln_lint::{RULES, lint};

use crate::{config, dockerfiles};

fn found(code: &str, text: &str) -> String {
    let file = kiln_dockerfile::parse(text).0;
    let findings = lint(text, &config(code));
    let places = findings.iter().filter(|finding| finding.code == code).map(|finding| {
        let (line, column) = file.line_and_column(finding.span.start);
        if line == finding.line {
            format!("{line}:{column}\n")
        } else {
            format!("{line}:{column} (of the instruction in line {})\n", finding.line)
        }
    });
    places.collect()
}

/// `UPDATE=1 cargo test` writes what is found: look at it.
#[test]
fn rules_find_what_they_should() {
    let cases = dockerfiles("crates/lint/tests/rules");
    assert!(cases.len() > 150, "{}", cases.len());
    for (path, text) in cases {
        let code = path.parent().and_then(Path::file_name).unwrap().to_str().unwrap();
        let found = found(code, &text);
        let expected = path.with_extension("expected");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&expected, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_else(|_| panic!("{}", expected.display()));
        assert_eq!(found, expected, "{}", path.display());
    }
}

/// Kiln's own, hadolint's and `ShellCheck`'s; BuildKit's checks come on top.
#[test]
fn there_are_many_rules_and_each_has_its_examples() {
    assert!(RULES.len() >= 130, "{}", RULES.len());
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules");
    for rule in RULES {
        let expected = |name: &str| std::fs::read_to_string(directory.join(rule.code).join(name)).unwrap_or_default();
        let there = |name: &str| directory.join(rule.code).join(name).is_file();
        assert!(
            there("bad.Dockerfile") && there("good.Dockerfile"),
            "{} has no examples",
            rule.code
        );
        assert!(!expected("bad.expected").is_empty(), "{} finds nothing", rule.code);
        assert!(expected("good.expected").is_empty(), "{} finds something", rule.code);
    }
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), RULES.len());
}
