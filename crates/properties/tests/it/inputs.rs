//! What there is to begin with.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// All Dockerfiles of `tests/`, with their paths.
pub(crate) fn dockerfiles() -> Vec<(PathBuf, Vec<u8>)> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
    let mut found = Vec::new();
    collect(&tests.join("dockerfiles"), &mut found);
    collect(&tests.join("cases"), &mut found);
    assert!(found.len() > 100, "{} Dockerfiles in {}", found.len(), tests.display());
    found
}

/// All Dockerfiles of the repository: the examples, what the linter's rules are tried on, and those in books of cases too.
pub(crate) fn every_dockerfile() -> Vec<(PathBuf, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = dockerfiles();
    collect(&root.join("examples"), &mut found);
    collect(&root.join("crates/lint/tests"), &mut found);
    books(&root.join("tests/cases"), &mut found);
    assert!(found.len() > 1000, "{} Dockerfiles", found.len());
    found
}

/// The Dockerfiles in the books of cases below a directory.
fn books(directory: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            books(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "toml") {
            let text = fs::read_to_string(&path).unwrap();
            let pieces = text.split("dockerfile = '''\n").skip(1);
            let texts = pieces.filter_map(|piece| Some(piece.split_once("'''")?.0));
            found.extend(texts.map(|text| (path.clone(), text.as_bytes().to_vec())));
        }
    }
}

fn collect(directory: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    let mut entries: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() && !path.is_symlink() {
            collect(&path, found);
        } else if path.file_name().unwrap().to_string_lossy().contains("Dockerfile")
            && let Ok(text) = fs::read(&path)
        {
            found.push((path, text));
        }
    }
}

/// One of some texts, a few times cut, doubled, or with something put in.
pub(crate) fn damaged(texts: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..4),
        select(vec![
            "\n", "\\\n", "\r\n", "`", "\\", "\"", "'", "<<EOF", "EOF\n", "$", "${a:-", "}", "[", "]", ",", "=", "#",
            "ONBUILD ", "--", " ", "\t", "\0", "*", "!", "**/",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    let change = (any::<Index>(), any::<Index>(), prop::option::of(piece));
    (select(texts), prop::collection::vec(change, 0..6)).prop_map(|(mut text, changes)| {
        for (from, to, piece) in changes {
            let (from, to) = (from.index(text.len() + 1), to.index(text.len() + 1));
            match piece {
                Some(piece) => drop(text.splice(from..from, piece)),
                None if from <= to => drop(text.drain(from..to.min(from + 40))),
                None => {
                    let again = text[to..from.min(to + 40)].to_vec();
                    drop(text.splice(from..from, again));
                }
            }
        }
        text
    })
}
