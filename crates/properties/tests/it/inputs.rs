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
