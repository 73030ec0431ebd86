//! The crate's face.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod costs;
mod fixes;
mod formatting;
mod limits;
mod mended;
mod pages;
mod rules;
mod twins;

use std::path::{Path, PathBuf};

use kiln_lint::{Config, Context, LabelKind, Severity};

/// The settings for a rule: what it needs to be told to say something.
fn config(code: &str) -> Config {
    let mut config = Config {
        trusted_registries: vec!["docker.io".to_owned()],
        strict_labels: code == "DL3050",
        // A repository lies there.
        context: (code == "K2013").then(|| Context {
            ignore: None,
            names: [".git"].into(),
            ..Context::default()
        }),
        ..Config::default()
    };
    config.severities.insert(code.to_owned(), Severity::Warning);
    let schema = [
        ("DL3049", "version", LabelKind::Text),
        ("DL3050", "version", LabelKind::Text),
        ("DL3051", "version", LabelKind::Text),
        ("DL3052", "url", LabelKind::Url),
        ("DL3053", "created", LabelKind::Rfc3339),
        ("DL3054", "licence", LabelKind::Spdx),
        ("DL3055", "commit", LabelKind::Hash),
        ("DL3056", "semver", LabelKind::Semver),
        ("DL3058", "email", LabelKind::Email),
    ];
    let labels = schema.into_iter().filter(|(rule, ..)| *rule == code);
    config.label_schema = labels.map(|(_, name, kind)| (name.to_owned(), kind)).collect();
    config
}

/// The Dockerfiles below a directory of the repository.
fn dockerfiles(directory: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(directory);
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                open.push(path);
            } else if name.to_ascii_lowercase().contains("dockerfile") {
                let Ok(text) = std::fs::read_to_string(&path) else {
                    continue;
                };
                found.push((path, text));
            } else if path.extension().is_some_and(|ending| ending == "toml") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.extend(in_books(&text).map(|text| (path.clone(), text.to_owned())));
            }
        }
    }
    found.sort();
    found
}

/// The Dockerfiles in a book of cases.
fn in_books(text: &str) -> impl Iterator<Item = &str> {
    let pieces = text.split("dockerfile = '''\n").skip(1);
    pieces.filter_map(|piece| Some(piece.split_once("'''")?.0))
}

/// All of them.
fn everywhere() -> Vec<(PathBuf, String)> {
    let all: Vec<_> = [
        "tests/dockerfiles",
        "tests/cases",
        "examples",
        "crates/lint/tests/rules",
    ]
    .into_iter()
    .flat_map(dockerfiles)
    .collect();
    assert!(all.len() > 500, "{}", all.len());
    all
}
