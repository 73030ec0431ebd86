//! Every rule has a page, and the examples on it are true.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use kiln_lint::{Config, RULES, lint, page, pages};

use crate::config;

#[test]
fn every_rule_has_a_page() {
    let codes: Vec<&str> = pages().map(|page| page.code).collect();
    let rules: Vec<&str> = RULES.iter().map(|rule| rule.code).collect();
    assert_eq!(codes, rules);
    assert!(pages().all(|page| !page.why.is_empty() && !page.summary.is_empty()));
}

#[test]
fn examples_are_true() {
    for page in pages() {
        let found = |text: &str| {
            let findings = lint(text, &config(page.code));
            findings.iter().any(|finding| finding.code == page.code)
        };
        assert!(found(&page.bad()), "{}: nothing is found in\n{}", page.code, page.bad());
        assert!(!found(&page.good()), "{}: it is found in\n{}", page.code, page.good());
        let readable = lint(&page.good(), &Config::default());
        assert!(readable.iter().all(|finding| finding.code != "DL1000"), "{}", page.code);
    }
}

/// `UPDATE=1 cargo test` writes them.
#[test]
fn the_documentation_is_up_to_date() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules");
    let mut wanted: Vec<(PathBuf, String)> = pages()
        .map(|page| (directory.join(format!("{}.md", page.code)), page.markdown()))
        .collect();
    wanted.push((directory.join("README.md"), index()));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(&directory).unwrap();
        for (path, text) in &wanted {
            std::fs::write(path, text).unwrap();
        }
    }
    for (path, text) in &wanted {
        let there = std::fs::read_to_string(path).unwrap_or_default();
        assert!(there == *text, "{} is not what pages.md says: UPDATE=1", path.display());
    }
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), wanted.len());
}

fn index() -> String {
    let mut text =
        "# Rules of `kiln lint`\n\n`DL` are hadolint's, `SC` ShellCheck's, `K` Kiln's own; BuildKit's checks have their names and \
                    pages there (`kiln explain` has one for each). What is found by a rule that is off is shown where \
                    a severity is given to it.\n\n| rule | severity | asks that |\n|---|---|---|\n"
            .to_owned();
    for rule in RULES {
        let page = page(rule.code).unwrap();
        let severity = if rule.off { "off" } else { rule.severity.name() };
        let _ = writeln!(text, "| [{0}]({0}.md) | {severity} | {1} |", rule.code, page.summary);
    }
    text
}
