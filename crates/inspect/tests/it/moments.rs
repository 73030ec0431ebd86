//! What a tree was at several moments.

use kiln_inspect::{Change, Moments};

use super::support::{Tar, layers};

fn changes(moments: &Moments<'_>, from: u32, to: u32) -> Vec<(String, Change)> {
    let nodes = (1..).take(moments.len() - 1);
    let mut found: Vec<(String, Change)> = nodes
        .map(|node| {
            let path = String::from_utf8(moments.path(node)).unwrap();
            (path, moments.change(node, from, to))
        })
        .filter(|(_, change)| *change != Change::None)
        .collect();
    found.sort();
    found
}

fn row(path: &str, change: Change) -> (String, Change) {
    (path.to_owned(), change)
}

#[test]
fn what_layers_do() {
    let layers = layers([
        Tar::default()
            .directory("d")
            .file("d/same", "same")
            .file("d/other", "one")
            .file("d/gone", "12345")
            .directory("quiet")
            .file("quiet/f", "f"),
        Tar::default()
            .directory("d")
            .file("d/same", "same")
            .file("d/other", "other")
            .mark("d/.wh.gone")
            .file("d/new", "1234567"),
        Tar::default().mark("d/.wh.new").file_as("quiet/f", "f", 0o600, 0),
    ]);
    let moments = Moments::of_layers(&layers);
    assert_eq!(
        changes(&moments, 0, 1),
        [
            row("d", Change::Modified),
            row("d/gone", Change::Removed),
            row("d/new", Change::Added),
            row("d/other", Change::Modified),
            row("d/same", Change::Rewritten),
        ]
    );
    // What came and went in between was never there.
    assert_eq!(
        changes(&moments, 0, 2),
        [
            row("d", Change::Modified),
            row("d/gone", Change::Removed),
            row("d/other", Change::Modified),
            row("d/same", Change::Rewritten),
            row("quiet", Change::Modified),
            row("quiet/f", Change::Modified),
        ]
    );
    assert_eq!(changes(&moments, 1, 1), []);
    let d = moments.find(b"d").unwrap();
    let sizes = [0, 1, 2].map(|moment| (moments.bytes(d, moment), moments.files(d, moment)));
    assert_eq!(sizes, [(12, 3), (16, 3), (9, 2)]);
    assert_eq!(moments.bytes(0, 2), 10);
}

#[test]
fn two_images() {
    let before = layers([Tar::default()
        .file("a/same", "same")
        .file("a/gone/below", "12345")
        .file("kind", "file")]);
    let after = layers([
        Tar::default().file("a/gone/other", "o"),
        Tar::default()
            .file("a/same", "same")
            .mark("a/.wh.gone")
            .file("kind/below", "1")
            .file("new", "12"),
    ]);
    let moments = Moments::of_images(&before, &after);
    assert_eq!(
        changes(&moments, 0, 1),
        [
            row("a", Change::Modified),
            row("a/gone", Change::Removed),
            row("a/gone/below", Change::Removed),
            row("kind", Change::Modified),
            row("kind/below", Change::Added),
            row("new", Change::Added),
        ]
    );
    assert_eq!([moments.bytes(0, 0), moments.bytes(0, 1)], [13, 7]);
    let new = moments.find(b"new").unwrap();
    // Layers of the second image come behind those of the first.
    assert_eq!(moments.at(new, 1).map(|place| place.layer), Some(2));
    let same = moments.find(b"a/same").unwrap();
    assert_eq!(moments.at(same, 1).map(|place| place.layer), Some(0));
}
