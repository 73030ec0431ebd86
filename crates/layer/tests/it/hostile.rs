//! Archives that want out, or to be believed.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use kiln_layer::tar::{Entry, Kind, Reader};
use kiln_layer::{Limits, UnpackOptions, Wanted, check_layer, extract, unpack};

use crate::tree::{Description, archive, describe, dir, file, is_root, link, symlink};

/// Unpacks both as a layer and as an archive of ADD, and checks that nothing beside the root has changed.
fn attack(name: &str, tar: &[u8]) -> [Result<(), String>; 2] {
    [0, 1].map(|how| {
        let work = tempfile::tempdir().unwrap();
        let root = work.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::create_dir(work.path().join("victim")).unwrap();
        fs::write(work.path().join("victim/file"), "precious").unwrap();
        let before = outside(work.path());
        let result = if how == 0 {
            unpack(tar, None, &root, &UnpackOptions::default()).map(drop)
        } else {
            let root = fs::File::open(&root).unwrap();
            extract(tar, root.as_fd(), Path::new("/opt"), None).map(drop)
        };
        assert_eq!(
            before,
            outside(work.path()),
            "{name} changed something outside of the root: {result:?}"
        );
        result.map_err(|error| error.to_string())
    })
}

fn outside(work: &Path) -> BTreeMap<PathBuf, Description> {
    let mut found = describe(work);
    found.retain(|path, _| !path.starts_with("root"));
    found
}

#[test]
fn nothing_gets_out_of_the_root() {
    let up = "../victim";
    let xattr = |name: &str| Entry {
        xattrs: vec![(name.into(), b"/../../victim".to_vec())],
        ..dir("x/").0
    };
    let attacks: Vec<(&str, Vec<u8>)> = vec![
        ("dots", archive([file("../victim/new")])),
        ("dots within", archive([file("a/../../victim/new")])),
        ("absolute", archive([file("/victim/new"), file("//../victim/new")])),
        (
            "link to directory",
            archive([symlink("l", up), file("l/new"), file("l/file")]),
        ),
        (
            "absolute link",
            archive([symlink("l", "/"), symlink("l/m", ".."), file("l/m/victim/file")]),
        ),
        ("link to file", archive([symlink("l", "../victim/file"), file("l")])),
        (
            "deep link",
            archive([
                dir("a/"),
                dir("a/b/"),
                symlink("a/b/l", "../../../victim"),
                file("a/b/l/file"),
            ]),
        ),
        (
            "chain of links",
            archive([
                symlink("a", "."),
                symlink("a/b", ".."),
                symlink("b/c", ".."),
                file("a/b/c/victim/file"),
            ]),
        ),
        (
            "magic link",
            archive([
                symlink("l", "/proc/self/cwd"),
                file("l/new"),
                symlink("m", "/proc/self/root"),
                file("m/tmp/kiln-escaped"),
            ]),
        ),
        ("hard link out", archive([link("h", "../victim/file"), file("h")])),
        (
            "hard link through link",
            archive([
                symlink("l", up),
                link("h", "l/file"),
                (Entry::new("h", Kind::File, 0o644), b"overwritten".as_slice()),
            ]),
        ),
        (
            "hard link to link",
            archive([symlink("l", "../victim/file"), link("h", "l"), file("h")]),
        ),
        (
            "directory becomes link",
            archive([dir("d/"), file("d/x"), symlink("d", up), file("d/file"), file("d/new")]),
        ),
        (
            "link becomes directory",
            archive([symlink("d", up), dir("d/"), file("d/new"), file("d/file")]),
        ),
        (
            "mode of a linked directory",
            archive([symlink("d", up), (Entry { mode: 0, ..dir("d/").0 }, b"".as_slice())]),
        ),
        (
            "directory, link, and its mode at the end",
            archive([
                (
                    Entry {
                        mode: 0,
                        mtime: (1, 0),
                        ..dir("d/").0
                    },
                    b"".as_slice(),
                ),
                symlink("d", up),
            ]),
        ),
        (
            "directory above replaced",
            archive([
                dir("d/"),
                (
                    Entry {
                        mode: 0,
                        mtime: (1, 0),
                        ..dir("d/victim/").0
                    },
                    b"".as_slice(),
                ),
                symlink("d", ".."),
            ]),
        ),
        (
            "whiteout through a link",
            archive([symlink("l", up), file("l/.wh.file")]),
        ),
        ("whiteout of above", archive([file(".wh..."), file("a/.wh...")])),
        (
            "whiteout of self",
            archive([dir("a/"), file("a/.wh.."), file("a/.wh.")]),
        ),
        (
            "opaque through a link",
            archive([symlink("l", up), file("l/.wh..wh..opq")]),
        ),
        (
            "redirect",
            archive([
                (xattr("user.overlay.redirect"), b"".as_slice()),
                (xattr("trusted.overlay.redirect"), b""),
            ]),
        ),
        ("root as a link", archive([symlink("./", up), file("new")])),
        ("root as a file", archive([file("."), file("/")])),
        (
            "device through a link",
            archive([
                symlink("l", up),
                (
                    Entry {
                        device: (1, 3),
                        ..Entry::new("l/dev", Kind::Char, 0o666)
                    },
                    b"".as_slice(),
                ),
            ]),
        ),
        ("empty link", archive([symlink("l", ""), link("h", ""), link("h", "/")])),
    ];
    for (name, tar) in attacks {
        let results = attack(name, &tar);
        eprintln!("{name}: {results:?}");
    }
}

#[test]
fn what_is_refused_says_so() {
    if !is_root() {
        return;
    }
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("dots", archive([file("../x")]), "leads out"),
        (
            "below a file",
            archive([file("a"), file("a/b")]),
            "another kind of file",
        ),
        (
            "hard link to a directory",
            archive([dir("d/"), link("l", "d")]),
            "directory",
        ),
        ("hard link out", archive([link("l", "../x")]), "outside"),
        ("root as a file", archive([file(".")]), "root"),
    ];
    for (name, tar, expected) in cases {
        for result in attack(name, &tar) {
            let error = result.unwrap_err();
            assert!(error.contains(expected), "{name}: {error}");
        }
    }
    for name in [".wh.", "a/.wh..", ".wh...", ".wh.x/y"] {
        let [layer, add] = attack(name, &archive([file(name)]));
        assert!(layer.unwrap_err().contains("delete"), "{name}");
        // Ordinary names where there are no layers.
        add.unwrap();
    }
    let [layer, _] = attack(
        "leftovers",
        &archive([file(".wh..wh.plnk/1.2"), dir(".wh..wh.aufs/"), file(".wh..wh.orph/x")]),
    );
    layer.unwrap();
}

/// Of each directory on the way something is kept: names far longer than a path may be would make much of little.
#[test]
fn names_longer_than_paths_are_refused() {
    if !is_root() {
        return;
    }
    let most = "a/".repeat(2047) + "a";
    let out = tempfile::tempdir().unwrap();
    unpack(&archive([file(&most)])[..], None, out.path(), &UnpackOptions::default()).unwrap();
    let (more, endless) = (most + "b", "a/".repeat(500_000) + "a");
    for tar in [
        archive([file(&more)]),
        archive([file(&endless)]),
        archive([file("f"), link("l", &endless)]),
        archive([file("f"), dir(&endless)]),
    ] {
        let problems = check_layer(&tar[..]).unwrap();
        assert!(problems[0].what.contains("4095"), "{problems:?}");
        assert!(problems[0].path.as_os_str().len() < 200);
        for result in attack("name too long", &tar) {
            let error = result.unwrap_err();
            assert!(error.contains("4095") && error.len() < 400, "{error}");
        }
    }
    // Of what is left out as well.
    for tar in [archive([file(&endless)]), archive([file("f")])] {
        let out = tempfile::tempdir().unwrap();
        let unpacked = unpack(&tar[..], None, out.path(), &UnpackOptions::of(Wanted::default()));
        assert_eq!(unpacked.is_ok(), tar.len() < 1_000_000, "{unpacked:?}");
    }
}

#[test]
fn overlay_attributes_do_not_get_in() {
    if !is_root() {
        return;
    }
    let names = [
        "user.overlay.redirect",
        "user.overlay.opaque",
        "trusted.overlay.opaque",
        "user.overlay.overlay.x",
        "security.selinux",
        "user.mine",
    ];
    let xattrs = names
        .iter()
        .map(|name| (name.as_bytes().to_vec(), b"y".to_vec()))
        .collect();
    let out = tempfile::tempdir().unwrap();
    let tar = archive([(Entry { xattrs, ..dir("d/").0 }, b"".as_slice())]);
    unpack(tar.as_slice(), None, out.path(), &UnpackOptions::default()).unwrap();
    let found: Vec<String> = crate::tree::xattrs(&out.path().join("d")).into_keys().collect();
    assert_eq!(found, ["user.mine"]);
}

/// A header with the given changes, sealed.
fn header(path: &str, flag: u8, size: u64, change: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut block = archive([(Entry::new(path, Kind::File, 0o644), b"".as_slice())])[..512].to_vec();
    block[156] = flag;
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    change(&mut block);
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn pad(mut data: Vec<u8>) -> Vec<u8> {
    data.resize(data.len().next_multiple_of(512), 0);
    data
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut data = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let length = (1..20)
            .find(|digits| (rest + digits).to_string().len() == *digits)
            .unwrap()
            + rest;
        data.extend_from_slice(format!("{length} {key}={value}\n").as_bytes());
    }
    [header("pax", b'x', data.len() as u64, |_| ()), pad(data)].concat()
}

fn end() -> Vec<u8> {
    vec![0; 1024]
}

#[test]
fn damaged_and_absurd_archives_are_errors() {
    let huge =
        |block: &mut [u8]| block[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0x7f, 255, 255, 255, 255, 255, 255, 255]);
    let sparse = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "s"),
        ("GNU.sparse.realsize", "9223372036854775807"),
    ];
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("cut off in a header", archive([file("a")])[..300].to_vec()),
        ("cut off in a file", archive([file("a")])[..515].to_vec()),
        ("size of eight exabytes", [header("a", b'0', 0, huge), end()].concat()),
        (
            "negative size",
            [header("a", b'0', 0, |block| block[124..136].fill(0xff)), end()].concat(),
        ),
        ("wrong checksum", [vec![b'x'; 512], end()].concat()),
        (
            "size that is no number",
            [header("a", b'0', 0, |block| block[124] = b'9'), end()].concat(),
        ),
        ("unknown type", [header("a", b'Q', 0, |_| ()), end()].concat()),
        (
            "pax of a gigabyte",
            [header("p", b'x', 1 << 30, |_| ()), vec![0; 4096]].concat(),
        ),
        (
            "long name of a gigabyte",
            [header("p", b'L', 1 << 30, |_| ()), vec![b'a'; 4096]].concat(),
        ),
        (
            "pax without end",
            [header("p", b'x', 512, |_| ()), vec![b'9'; 512], end()].concat(),
        ),
        ("pax without entry", [pax(&[("path", "x")]), end()].concat()),
        (
            "pax size that lies",
            [pax(&[("size", "99999")]), header("a", b'0', 0, |_| ()), end()].concat(),
        ),
        (
            "pax size beyond 64 bits",
            [
                pax(&[("size", "99999999999999999999999")]),
                header("a", b'0', 0, |_| ()),
                end(),
            ]
            .concat(),
        ),
        (
            "pax path with NUL",
            [pax(&[("path", "a\0b")]), header("a", b'0', 0, |_| ()), end()].concat(),
        ),
        (
            "owner that is none",
            [pax(&[("uid", "4294967295")]), header("a", b'0', 0, |_| ()), end()].concat(),
        ),
        (
            "sparse of eight exabytes",
            [
                pax(&sparse),
                header("a", b'0', 512, |_| ()),
                pad(b"1\n0\n0\n".to_vec()),
                end(),
            ]
            .concat(),
        ),
        (
            "sparse pieces overlap",
            [
                pax(&[("GNU.sparse.map", "0,4,2,4"), ("GNU.sparse.size", "8")]),
                header("a", b'0', 8, |_| ()),
                pad(vec![1; 8]),
                end(),
            ]
            .concat(),
        ),
        (
            "sparse behind its end",
            [
                pax(&[("GNU.sparse.map", "4,8"), ("GNU.sparse.size", "8")]),
                header("a", b'0', 8, |_| ()),
                pad(vec![1; 8]),
                end(),
            ]
            .concat(),
        ),
        (
            "sparse map overflows",
            [
                pax(&[("GNU.sparse.map", "18446744073709551615,8"), ("GNU.sparse.size", "8")]),
                header("a", b'0', 8, |_| ()),
                pad(vec![1; 8]),
                end(),
            ]
            .concat(),
        ),
        (
            "sparse map without end",
            [pax(&sparse), header("a", b'0', 512, |_| ()), vec![b'1'; 512], end()].concat(),
        ),
        ("zeros among entries", [vec![0; 512], archive([file("a")])].concat()),
        (
            "name too long",
            [pax(&[("path", &"a".repeat(300))]), header("a", b'0', 0, |_| ()), end()].concat(),
        ),
    ];
    for (name, tar) in cases {
        for result in attack(name, &tar) {
            let error = result.expect_err(name);
            eprintln!("{name}: {error}");
        }
    }
}

#[test]
fn no_single_flipped_byte_panics() {
    let mut tar = [
        pax(&[
            ("GNU.sparse.map", "0,4,6,2"),
            ("GNU.sparse.size", "9"),
            ("mtime", "1.5"),
            ("SCHILY.xattr.user.x", "y"),
        ]),
        header("a", b'0', 6, |_| ()),
        pad(vec![1; 6]),
    ]
    .concat();
    tar.extend(archive([
        dir("d/"),
        file("d/f"),
        link("d/l", "d/f"),
        symlink("d/s", "f"),
        file("d/.wh.x"),
    ]));
    for at in 0..tar.len() {
        for flip in [1, 0x80, 0xff] {
            tar[at] ^= flip;
            let mut reader = Reader::new(tar.as_slice());
            let mut buffer = [0; 100];
            while let Ok(Some(_)) = reader.next_entry() {
                let _whatever = reader.read_content(&mut buffer);
            }
            tar[at] ^= flip;
        }
    }
}

#[test]
fn limits_hold() {
    if !is_root() {
        return;
    }
    let tar = archive([file("a"), file("b"), file("c")]);
    for (limits, expected) in [
        (Limits { bytes: 20, entries: 10 }, "20 bytes"),
        (Limits { bytes: 100, entries: 2 }, "2 entries"),
    ] {
        let out = tempfile::tempdir().unwrap();
        let error = unpack(tar.as_slice(), None, out.path(), &UnpackOptions::limited(limits)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn foreign_formats_are_understood() {
    let long = "n/".repeat(200) + "name";
    let gnu_long = [
        header("././@LongLink", b'L', long.len() as u64 + 1, |_| ()),
        pad([long.as_bytes(), b"\0"].concat()),
        header("cut", b'0', 3, |_| ()),
        pad(b"abc".to_vec()),
    ];
    let base256 = header("big", b'0', 0, |block| {
        block[108..116].copy_from_slice(&[0x80, 0, 0, 0, 0xb2, 0xd0, 0x5e, 0]);
        block[136..148].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf6]);
    });
    let global = {
        let mut block = pax(&[("mtime", "42"), ("uid", "17")]);
        block[156] = b'g';
        let sum: u32 = block[..512]
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
            .sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    };
    let prefixed = header("name", b'0', 0, |block| block[345..351].copy_from_slice(b"prefix"));
    let old_directory = header("olddir/", 0, 0, |_| ());
    let v7 = header("v7", 0, 0, |block| block[257..].fill(0));
    let tar = [gnu_long.concat(), base256, global, prefixed, old_directory, v7, end()].concat();
    let mut reader = Reader::new(tar.as_slice());
    let mut next = || reader.next_entry().unwrap().unwrap();
    assert_eq!(next().path, long.as_bytes());
    let big = next();
    assert_eq!((big.uid, big.mtime), (3_000_000_000, (-10, 0)));
    let prefixed = next();
    assert_eq!(
        (prefixed.path.as_slice(), prefixed.uid, prefixed.mtime),
        (b"prefix/name".as_slice(), 17, (42, 0))
    );
    assert_eq!(next().kind, Kind::Directory);
    assert_eq!(next().path, b"v7");
    assert!(reader.next_entry().unwrap().is_none());
}

#[test]
fn sparse_files_of_gnu_tar() {
    use std::os::unix::fs::{FileExt, MetadataExt};
    let work = tempfile::tempdir().unwrap();
    let source = work.path().join("source");
    fs::create_dir(&source).unwrap();
    let sparse = fs::File::create(source.join("sparse")).unwrap();
    sparse.set_len(50 << 20).unwrap();
    for piece in 0..40_u8 {
        sparse.write_all_at(&[piece + 1; 5000], u64::from(piece) << 20).unwrap();
    }
    for format in [
        "--format=gnu",
        "--sparse-version=0.0",
        "--sparse-version=0.1",
        "--sparse-version=1.0",
    ] {
        let tar = work.path().join("sparse.tar");
        let mut command = std::process::Command::new("tar");
        command
            .arg(format)
            .args(["-S", "-cf"])
            .arg(&tar)
            .arg("-C")
            .arg(&source)
            .arg(".");
        if format != "--format=gnu" {
            command.arg("--format=pax");
        }
        let Ok(status) = command.status() else {
            eprintln!("SKIPPED: there is no tar");
            return;
        };
        assert!(status.success());
        assert!(fs::metadata(&tar).unwrap().len() < 1 << 20);
        let out = tempfile::tempdir().unwrap();
        unpack(
            fs::File::open(&tar).unwrap(),
            None,
            out.path(),
            &UnpackOptions::default(),
        )
        .unwrap();
        let copy = out.path().join("sparse");
        assert!(
            fs::read(&copy).unwrap() == fs::read(source.join("sparse")).unwrap(),
            "{format}"
        );
        assert!(fs::metadata(&copy).unwrap().blocks() < 2048, "{format}");
    }
}
