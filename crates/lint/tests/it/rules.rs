//! `tests/rules/RULE/NAME.Dockerfile` with `NAME.expected`: the places, `line:column`, where the rule of the directory
//! finds something, each in a line; empty where it finds nothing.

use std::path::Path;

use kiln_lint::{Config, RULES, Severity, lint};

use crate::dockerfiles;

fn found(code: &str, text: &str) -> String {
    let mut config = Config::default();
    if RULES.iter().any(|rule| rule.code == code && rule.off) {
        config.severities.insert(code.to_owned(), Severity::Info);
    }
    let file = kiln_dockerfile::parse(text).0;
    let findings = lint(text, &config);
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
