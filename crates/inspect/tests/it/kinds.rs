//! Each kind of waste is found, at its place, and nothing is found where there is none.

use kiln_inspect::Cause;
use kiln_inspect::waste::{FindingKind, Junk, Waste};

use super::support::{Tar, layers};

/// Kind, bytes, files, layers, the first path.
type Row = (FindingKind, u64, u64, (u32, Option<u32>), &'static str);

#[track_caller]
fn check(tars: impl IntoIterator<Item = Tar>, expected: &[Row]) {
    let layers = layers(tars);
    let waste = Waste::of(&layers);
    let mut found: Vec<_> = waste
        .findings
        .iter()
        .map(|finding| {
            let path = String::from_utf8(finding.largest[0].path.clone()).unwrap();
            (
                finding.kind,
                finding.bytes,
                finding.files,
                (finding.added_by, finding.other),
                path,
            )
        })
        .collect();
    found.sort_by_key(|row| row.0);
    let expected: Vec<_> = expected
        .iter()
        .map(|row| (row.0, row.1, row.2, row.3, row.4.to_owned()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(waste.bytes, waste.live + waste.dead);
}

fn tar() -> Tar {
    Tar::default()
}

const RESTORED: FindingKind = FindingKind::Dead(Cause::Restored {
    mode: false,
    owner: false,
});

#[test]
fn a_clean_image_has_none() {
    check(
        [
            tar().directory("bin").file("bin/sh", "shell").link("bin/ls", "bin/sh"),
            tar().directory("bin").file("bin/app", "app").mark("empty"),
        ],
        &[],
    );
}

#[test]
fn what_is_deleted() {
    check(
        [tar().file("d/a", "1234567").file("d/b", "12"), tar().mark("d/.wh.a")],
        &[(FindingKind::Dead(Cause::Deleted), 7, 1, (0, Some(1)), "d/a")],
    );
    check(
        [
            tar().file("d/e/a", "1234567").file("d/b", "12"),
            tar(),
            tar().mark(".wh.d"),
        ],
        &[(FindingKind::Dead(Cause::Deleted), 9, 2, (0, Some(2)), "d/e/a")],
    );
}

#[test]
fn what_an_opaque_directory_hides() {
    let opaque = || tar().directory("d").mark("d/.wh..wh..opq").file("d/new", "new");
    check(
        [tar().file("d/e/a", "1234567").file("b", "12"), opaque()],
        &[(FindingKind::Dead(Cause::Hidden), 7, 1, (0, Some(1)), "d/e/a")],
    );
}

#[test]
fn what_is_replaced() {
    check(
        [tar().file("a", "one"), tar().file("a", "other")],
        &[(FindingKind::Dead(Cause::Replaced), 3, 1, (0, Some(1)), "a")],
    );
    // By a directory, and a directory by a file.
    check(
        [
            tar().file("a", "one"),
            tar().directory("a").file("a/b", "12"),
            tar().file("a", "3"),
        ],
        &[
            (FindingKind::Dead(Cause::Replaced), 3, 1, (0, Some(1)), "a"),
            (FindingKind::Dead(Cause::Replaced), 2, 1, (1, Some(2)), "a/b"),
        ],
    );
}

#[test]
fn what_is_stored_again_unchanged() {
    let file = |mode, uid| tar().file_as("a", "content", mode, uid);
    check([file(0o644, 0), file(0o644, 0)], &[(RESTORED, 7, 1, (0, Some(1)), "a")]);
    for (mode, uid, changed) in [
        (0o755, 0, (true, false)),
        (0o644, 5, (false, true)),
        (0o700, 5, (true, true)),
    ] {
        let kind = FindingKind::Dead(Cause::Restored {
            mode: changed.0,
            owner: changed.1,
        });
        check([file(0o644, 0), file(mode, uid)], &[(kind, 7, 1, (0, Some(1)), "a")]);
    }
    check(
        [tar().file("d/a", "content"), tar().mark("d/.wh.a").file("b", "content")],
        &[(FindingKind::Dead(Cause::Moved), 7, 1, (0, Some(1)), "d/a")],
    );
}

#[test]
fn a_file_with_several_names_is_dead_with_the_last() {
    let file = || tar().file("a", "content").link("b", "a").link("0", "b");
    check([file(), tar().mark(".wh.a")], &[]);
    check([file(), tar().mark(".wh.a").mark(".wh.0")], &[]);
    check(
        [file(), tar().mark(".wh.0").mark(".wh.b"), tar().file("a", "new")],
        &[(FindingKind::Dead(Cause::Replaced), 7, 1, (0, Some(2)), "a")],
    );
}

#[test]
fn duplicates() {
    let content = || vec![b'x'; 5000];
    check(
        [
            tar().file("a", content()),
            tar().file("b", content()).file("c", content()),
        ],
        &[(FindingKind::Duplicate, 10_000, 2, (1, Some(0)), "b")],
    );
    // Dead ones are no duplicates, and small ones do not matter.
    check(
        [
            tar().file("a", content()),
            tar().mark(".wh.a"),
            tar().file("c", content()),
        ],
        &[(FindingKind::Dead(Cause::Deleted), 5000, 1, (0, Some(1)), "a")],
    );
    check([tar().file("a", "content").file("b", "content")], &[]);
}

#[test]
fn junk() {
    check(
        [tar()
            .file("var/lib/apt/lists/x_Packages", "lists")
            .file("root/.cache/pip/x", "cache")
            .file("usr/share/man/man1/a.1", "manual")
            .file("usr/bin/gcc", "gcc")
            .file("app/.git/config", "git")
            .file("app/node_modules/a/test/a.js", "test")
            .file("app/main.js.map", "map")],
        &[
            (
                FindingKind::Junk(Junk::PackageLists),
                5,
                1,
                (0, None),
                "var/lib/apt/lists/x_Packages",
            ),
            (FindingKind::Junk(Junk::Caches), 5, 1, (0, None), "root/.cache/pip/x"),
            (
                FindingKind::Junk(Junk::Documentation),
                6,
                1,
                (0, None),
                "usr/share/man/man1/a.1",
            ),
            (FindingKind::Junk(Junk::BuildTools), 3, 1, (0, None), "usr/bin/gcc"),
            (
                FindingKind::Junk(Junk::VersionControl),
                3,
                1,
                (0, None),
                "app/.git/config",
            ),
            (
                FindingKind::Junk(Junk::Tests),
                4,
                1,
                (0, None),
                "app/node_modules/a/test/a.js",
            ),
            (FindingKind::Junk(Junk::SourceMaps), 3, 1, (0, None), "app/main.js.map"),
        ],
    );
}
