//! Which findings builds can say a cost of, and which of their figures that is: the table of `docs/lint.md`.

use std::collections::BTreeSet;
use std::path::Path;

use kiln_lint::Measure::{self, Announced, Bytes, EmulatedTime, Time};
use kiln_lint::{Finding, Severity, announced, lint};

use crate::{config, dockerfiles, everywhere};

const LAYER: &str = "its layer has {}";
const CACHE: &str = "that is {} of its layer";

/// The rule, a Dockerfile in which it finds something, what is added up, of the instructions in which lines, and what is said.
type Row = (&'static str, &'static str, Measure, &'static [u32], &'static str);

const TABLE: &[Row] = &[
    (
        "K2001",
        "FROM node\nCOPY . .\nRUN npm ci\nRUN make\nRUN apt-get install -y curl\n",
        Time,
        &[3, 5],
        "each edit of the sources repeats {} of installing",
    ),
    (
        "K2001",
        "FROM node\nCOPY . .\nRUN npm ci && make\n",
        Time,
        &[3],
        "each edit of the sources repeats {} of installing and what the same RUN does",
    ),
    (
        "K2002",
        "FROM a\nCOPY b /data/b\nRUN chmod -R 0700 /data\n",
        Bytes,
        &[3],
        "it stores {} again",
    ),
    (
        "K2002",
        "FROM a\nCOPY b /data/b\nRUN make &&\\\n chown -R b /data\n",
        Bytes,
        &[3],
        LAYER,
    ),
    (
        "K2003",
        "FROM a\nCOPY b /data/b\nADD c /data/c\nCOPY d /d\nRUN rm -r /data\n",
        Bytes,
        &[2, 3],
        "what brought it has {}, which everybody who pulls the image gets",
    ),
    (
        "K2004",
        "FROM a AS b\nRUN make\nFROM c\nRUN apt-get install -y gcc\nCOPY --from=b /d /d\n",
        Bytes,
        &[4],
        LAYER,
    ),
    (
        "K2005",
        "FROM golang\nWORKDIR /a\nCOPY . .\nRUN go build -o /b\nCMD [\"/b\"]\n",
        Bytes,
        &[3, 4],
        "all its steps together added {}",
    ),
    ("K2006", "FROM golang\nRUN go build\n", Time, &[2], "it took {}"),
    ("K2007", "FROM node\nRUN true\nRUN npm ci\n", Time, &[3], "it took {}"),
    (
        "K2008",
        "FROM a AS b\nRUN apt-get install -y c d\nFROM a\nRUN apt-get install -y c d\nCOPY --from=b e e\n",
        Time,
        &[4],
        "doing it again took {}",
    ),
    (
        "K2009",
        "FROM golang\nARG TARGETARCH\nCOPY . .\nRUN GOARCH=$TARGETARCH go build\n",
        EmulatedTime,
        &[3, 4],
        "emulated, this stage took {}",
    ),
    ("K2010", "FROM node\nRUN npm ci\n", Announced, &[2], CACHE),
    (
        "K2011",
        "FROM a\nRUN curl -o b.tar https://c/b.tar && tar -xf b.tar\n",
        Bytes,
        &[2],
        LAYER,
    ),
    (
        "DL3009",
        "FROM a\nRUN apt-get update && apt-get install -y b\n",
        Announced,
        &[2],
        CACHE,
    ),
    ("DL3019", "FROM a\nRUN apk add b\n", Announced, &[2], CACHE),
    ("DL3032", "FROM a\nRUN yum install -y b\n", Announced, &[2], CACHE),
    ("DL3036", "FROM a\nRUN zypper install -y b\n", Announced, &[2], CACHE),
    ("DL3040", "FROM a\nRUN dnf install -y b\n", Announced, &[2], CACHE),
    ("DL3042", "FROM a\nRUN pip install b\n", Announced, &[2], CACHE),
    ("DL3060", "FROM a\nRUN yarn install\n", Announced, &[2], CACHE),
];

fn found(code: &str, text: &str) -> Vec<Finding> {
    let mut findings = lint(text, &config(code));
    findings.retain(|finding| finding.code == code);
    findings
}

#[test]
fn each_rule_says_which_steps_count() {
    for (code, text, measure, lines, what) in TABLE {
        let findings = found(code, text);
        let [finding] = &findings[..] else {
            panic!("{code}: {text}: {findings:?}")
        };
        let cost = finding
            .cost
            .as_ref()
            .unwrap_or_else(|| panic!("{code}: {text}: no cost"));
        assert_eq!(
            (cost.measure, &cost.lines[..], cost.what),
            (*measure, *lines, *what),
            "{code}: {text}"
        );
        assert_eq!(cost.measured, None, "{code}: nobody asked a build");
        // What an index of the layer's files is asked for.
        let asked = !announced(code).files.is_empty();
        assert_eq!(asked, *measure == Announced, "{code}");
    }
}

#[test]
fn no_other_rule_does() {
    let known: BTreeSet<&str> = TABLE.iter().map(|(code, ..)| *code).collect();
    let mut config = config("");
    config.severities = known
        .iter()
        .map(|code| ((*code).to_owned(), Severity::Warning))
        .collect();
    let texts = everywhere().into_iter().chain(dockerfiles("crates/lint/tests/corpus"));
    let findings = texts.flat_map(|(_, text)| lint(&text, &config));
    let with = findings
        .filter(|finding| finding.cost.is_some())
        .map(|finding| finding.code);
    assert_eq!(with.collect::<BTreeSet<_>>(), known);
}

#[test]
fn the_page_names_all_of_them() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/lint.md");
    let page = std::fs::read_to_string(page).unwrap();
    let table = page.split_once("| rules | what is measured |").unwrap().1;
    let rows = table
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with('|'));
    let mut named = Vec::new();
    for row in rows.filter(|row| row.starts_with("| `")) {
        let (codes, what) = row.trim_matches('|').split_once('|').unwrap();
        let is_time = what.contains("time");
        for code in codes.split(',').map(|code| code.trim().trim_matches('`')) {
            let measures = TABLE.iter().filter(|row| row.0 == code);
            let said = |measure: Measure| matches!(measure, Time | EmulatedTime) == is_time;
            assert!(
                measures.clone().count() > 0 && measures.clone().all(|row| said(row.2)),
                "{code}: {what}"
            );
            named.push(code.to_owned());
        }
    }
    let known: BTreeSet<String> = TABLE.iter().map(|row| row.0.to_owned()).collect();
    assert_eq!(named.iter().cloned().collect::<BTreeSet<_>>(), known);
    assert_eq!(named.len(), known.len(), "each once");
}
