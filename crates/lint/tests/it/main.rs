//! The crate's face.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod fixes;
mod formatting;
mod limits;
mod mended;
mod pages;
mod rules;
mod twins;

use std::path::{Path, PathBuf};

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
