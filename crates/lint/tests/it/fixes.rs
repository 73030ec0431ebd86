//! Fixes leave comments alone, and files that build.

use kiln_dockerfile::diagnostic::Severity as Level;
use kiln_dockerfile::parse;
use kiln_lint::{Config, Safety, fix, lint};

use crate::everywhere;

fn comments(text: &str) -> Vec<String> {
    let file = parse(text).0;
    let in_document = |line: usize| {
        let place = file.line_start(u32::try_from(line).unwrap() + 1);
        let instruction = file.instruction_at(place);
        instruction.is_some_and(|each| file.source[each.span.range()].contains("<<"))
    };
    let lines = text.lines().enumerate();
    lines
        .filter(|(place, line)| line.trim_start().starts_with('#') && !in_document(*place))
        .map(|(_, line)| line.to_owned())
        .collect()
}

fn builds(text: &str) -> bool {
    parse(text).1.iter().all(|found| found.severity != Level::Error)
}

#[test]
fn every_dockerfile_of_the_repository_stays_whole() {
    let config = Config::default();
    let mut applied = [0; 2];
    for (path, text) in everywhere() {
        for (count, safety) in applied.iter_mut().zip([Safety::Safe, Safety::Unsafe]) {
            let fixed = fix(&text, &config, safety);
            assert_eq!(fixed.dropped, [""; 0], "{}\n{text}", path.display());
            assert_eq!(comments(&text), comments(&fixed.text), "{}", path.display());
            assert!(
                builds(&fixed.text) || !builds(&text),
                "{}\n{}",
                path.display(),
                fixed.text
            );
            let again = fix(&fixed.text, &config, safety);
            assert_eq!(again.text, fixed.text, "{}", path.display());
            *count += fixed.applied;
        }
    }
    assert!(applied[0] > 300 && applied[1] > applied[0], "{applied:?}");
}

fn check(before: &str, after: &str) {
    let fixed = fix(before, &Config::default(), Safety::Unsafe);
    assert_eq!(fixed.text, after);
}

#[test]
fn what_fixes_write() {
    check(
        "FROM debian:12\nRUN apt-get update && \\\n    # why\n    apt-get install curl=1\n",
        "FROM debian:12\nRUN apt-get update && \\\n    # why\n    \
         apt-get install --no-install-recommends -y curl=1 && rm -rf /var/lib/apt/lists/*\n",
    );
    check(
        "FROM a:1\nADD a.py /x/\nCMD a b\n",
        "FROM a:1\nCOPY a.py /x/\nCMD [\"a\", \"b\"]\n",
    );
    check(
        "FROM a:1\nMAINTAINER me\n",
        "FROM a:1\nLABEL org.opencontainers.image.authors=\"me\"\n",
    );
    check("FROM a:1 as B\nENV A b c\n", "FROM a:1 AS b\nENV A=\"b c\"\n");
    check("FROM a:1\nRUN a \\\n\n  b\n", "FROM a:1\nRUN a \\\n  b\n");
    check("FROM a:1\nCOPY a b /c\n", "FROM a:1\nCOPY a b /c/\n");
    // The lists are needed by what follows, which is not for the same shell.
    let text = "FROM debian:12\nRUN apt-get update\nRUN [\"apt-get\", \"install\", \"-y\", \
                \"--no-install-recommends\", \"curl=1\"]\n";
    check(text, text);
    // Nothing is known about these.
    let text = "FROM a:1\nADD $x /x\n";
    check(text, text);
}

#[test]
fn a_silenced_rule_fixes_nothing() {
    let text = "FROM a:1\n# hadolint ignore=DL3020\nADD a.py /x/\n";
    check(text, text);
    assert!(
        lint(text, &Config::default())
            .iter()
            .all(|finding| finding.code != "DL3020")
    );
}
