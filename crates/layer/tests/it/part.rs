//! What of a layer is unpacked where not all of it is wanted, and what layers settle.

use std::path::{Path, PathBuf};

use kiln_layer::tar::{Entry, Kind};
use kiln_layer::{Look, UnpackOptions, Unpacked, Wanted, look, open_layer, unpack};
use tempfile::TempDir;

use crate::tree::{archive, describe};

fn wanted(paths: &[&str]) -> Wanted {
    let mut wanted = Wanted::default();
    for path in paths {
        wanted.add(Path::new(path));
    }
    wanted
}

fn file(path: &str) -> (Entry, &'static [u8]) {
    (Entry::new(path, Kind::File, 0o644), b"content")
}

fn directory(path: &str) -> (Entry, &'static [u8]) {
    (Entry::new(path, Kind::Directory, 0o755), b"")
}

fn link(path: &str, kind: Kind, target: &str) -> (Entry, &'static [u8]) {
    let entry = Entry {
        link: target.into(),
        ..Entry::new(path, kind, 0o777)
    };
    (entry, b"")
}

fn unpacked<const N: usize>(entries: [(Entry, &'static [u8]); N], wanted: &Wanted) -> (TempDir, Unpacked) {
    let out = tempfile::tempdir().unwrap();
    let options = UnpackOptions::of(wanted.clone());
    let unpacked = unpack(&archive(entries)[..], None, out.path(), &options).unwrap();
    (out, unpacked)
}

fn names(directory: &TempDir) -> Vec<PathBuf> {
    describe(directory.path()).into_keys().collect()
}

#[test]
fn what_is_not_wanted_is_left_out_but_for_the_directories_that_it_makes() {
    let entries = || {
        [
            directory("a"),
            file("a/f"),
            file("a/g"),
            file("b/d/f"),
            file("b/e/f"),
            file("c"),
            link("l", Kind::Symlink, "a"),
        ]
    };
    let (out, part) = unpacked(entries(), &wanted(&["/a/f", "b/d", "/l/x"]));
    assert_eq!(names(&out), ["a", "a/f", "b", "b/d", "b/d/f", "l"].map(PathBuf::from));
    let (whole, all) = unpacked(entries(), &Wanted::all());
    assert_eq!(names(&whole).len(), 10);
    assert_eq!(part.diff_id, all.diff_id);
    assert!(!part.strayed && part.missing_links.is_empty());
    // Something else of it is there, so a file of lower layers is none any more.
    let (out, _) = unpacked(entries(), &wanted(&["b/nothing"]));
    assert_eq!(names(&out), [PathBuf::from("b")]);
}

#[test]
fn what_may_be_wanted_by_another_name_is_told() {
    let links = [link("way", Kind::Symlink, "real"), link("same", Kind::Link, "way")];
    for (path, paths, strayed) in [
        ("way/f", &["real/f"][..], true),
        ("way/.wh..wh..opq", &["real/f"], true),
        ("same/f", &["real/f"], true),
        // The link itself may be wanted as well, and so may be what lies behind it.
        ("way/f", &["real/f", "way/x"], true),
        ("way/f", &["way"], true),
        ("real/f", &["real/f", "way"], false),
        ("ways/f", &["real/f"], false),
    ] {
        let [way, same] = links.clone();
        let (_, part) = unpacked([way, same, file(path)], &wanted(paths));
        assert_eq!(part.strayed, strayed, "{path} of {paths:?}");
    }
    let wanted = wanted(&["real/f"]);
    let (_, part) = unpacked([file("other"), link("real/f", Kind::Link, "other")], &wanted);
    assert_eq!(part.missing_links, [(PathBuf::from("real/f"), PathBuf::from("other"))]);
}

#[test]
fn lower_layers_are_asked_for_what_is_wanted() {
    let entries = || {
        [
            file("d/f"),
            file("e/f"),
            link("x", Kind::Link, "low"),
            link("z", Kind::Link, "low"),
        ]
    };
    let (_, mut all) = unpacked(entries(), &Wanted::all());
    assert_eq!((all.implicit_dirs.len(), all.missing_links.len()), (2, 2));
    all.limit_to(&wanted(&["d", "e/f", "x"]));
    assert_eq!(all.implicit_dirs, [PathBuf::from("d")]);
    assert_eq!(all.missing_links, [(PathBuf::from("x"), PathBuf::from("low"))]);
    all.limit_to(&wanted(&["d/f", "low"]));
    assert!(!all.is_incomplete());
    let [d, e, x, z] = entries();
    let (_, mut strayed) = unpacked(
        [d, e, x, z, link("way", Kind::Symlink, "d"), file("way/g")],
        &Wanted::all(),
    );
    strayed.limit_to(&wanted(&["nothing"]));
    assert_eq!((strayed.implicit_dirs.len(), strayed.missing_links.len()), (2, 2));
}

#[test]
fn upper_layers_settle_what_lower_ones_cannot_change() {
    let all = Wanted::all();
    let (upper, _) = unpacked(
        [
            directory("d"),
            file("d/f"),
            file("gone/.wh.x"),
            file("opaque/.wh..wh..opq"),
            file("opaque/in"),
            link("to-file", Kind::Symlink, "/d/../d/f"),
            link("to-lower", Kind::Symlink, "d/lower"),
            link("loop", Kind::Symlink, "loop"),
            link("out", Kind::Symlink, "../../d"),
        ],
        &all,
    );
    let layers = [open_layer(upper.path()).unwrap()];
    for (path, follow, expected) in [
        ("/d/f", false, Look::Settled),
        ("d/f/below", false, Look::Settled),
        ("/d", false, Look::OpenDirectory),
        ("/d/other", false, Look::Open),
        ("/other", false, Look::Open),
        ("/gone/x", false, Look::Settled),
        ("/gone/x/y", false, Look::Settled),
        ("/gone/z", false, Look::Open),
        ("/opaque", false, Look::Settled),
        ("/opaque/in", false, Look::Settled),
        ("/opaque/other", false, Look::Settled),
        ("/to-file", true, Look::Settled),
        ("/to-lower", false, Look::Settled),
        ("/to-lower", true, Look::Open),
        ("/loop", true, Look::Settled),
        ("/out/f", false, Look::Settled),
        ("/out", true, Look::OpenDirectory),
        ("/", false, Look::OpenDirectory),
    ] {
        assert_eq!(
            look(&layers, false, Path::new(path), follow, &all).unwrap(),
            expected,
            "{path}"
        );
        assert_eq!(
            look(&layers, true, Path::new(path), follow, &all).unwrap(),
            Look::Settled,
            "{path}"
        );
    }
    let some = wanted(&["/to-file", "/out/f"]);
    for (path, expected) in [("/to-file", "d"), ("/out/f", "d/f")] {
        let found = look(&layers, false, Path::new(path), true, &some).unwrap();
        assert_eq!(found, Look::Elsewhere(expected.into()), "{path}");
    }
}
