//! ADD's archives.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, symlink as make_symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use kiln_layer::tar::Entry;
use kiln_layer::{extract, is_archive};

use crate::tree::{archive, dir, file, is_root, link, symlink};

fn saved(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Compressed by the program of that name; `None` if there is none.
fn compressed(program: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let child = Command::new(program)
        .args(["-c", "-q"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("SKIPPED: there is no {program}");
        assert!(std::env::var_os("CI").is_none(), "CI must have {program}");
        return None;
    };
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    output.status.success().then_some(output.stdout)
}

#[test]
fn every_format_is_recognised_and_extracted() {
    if !is_root() {
        return;
    }
    let tar = archive([dir("d/"), file("d/f")]);
    for program in ["cat", "gzip", "bzip2", "xz", "zstd"] {
        let Some(bytes) = (if program == "cat" {
            Some(tar.clone())
        } else {
            compressed(program, &tar)
        }) else {
            continue;
        };
        assert!(is_archive(&saved(&bytes)).unwrap(), "{program}");
        let root = tempfile::tempdir().unwrap();
        let extracted = extract(
            bytes.as_slice(),
            File::open(root.path()).unwrap().as_fd(),
            Path::new("/opt/x"),
            None,
        )
        .unwrap();
        assert_eq!((extracted.entries, extracted.size), (2, 7), "{program}");
        assert_eq!(
            fs::read(root.path().join("opt/x/d/f")).unwrap(),
            b"content",
            "{program}"
        );
        let cut = &bytes[..bytes.len() - bytes.len() / 3];
        let result = extract(cut, File::open(root.path()).unwrap().as_fd(), Path::new("/"), None);
        assert!(program == "cat" || result.is_err(), "{program}");
    }
}

#[test]
fn what_is_no_tar_is_no_archive() {
    let text = b"just some text, longer than a block of a tar".repeat(100);
    let mut cases = vec![
        Vec::new(),
        b"x".to_vec(),
        vec![0; 10240],
        text.clone(),
        b"\x1f\x8b\x08".to_vec(),
        b"BZh9".to_vec(),
    ];
    cases.extend(
        ["gzip", "bzip2", "xz", "zstd"]
            .iter()
            .filter_map(|program| compressed(program, &text)),
    );
    for bytes in cases {
        assert!(
            !is_archive(&saved(&bytes)).unwrap(),
            "{:?}",
            &bytes[..bytes.len().min(20)]
        );
    }
}

#[test]
fn extraction_follows_the_rules_of_buildkit() {
    if !is_root() {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let root = work.path();
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    make_symlink("usr/bin", root.join("bin")).unwrap();
    make_symlink("/usr", root.join("dest")).unwrap();
    fs::create_dir(root.join("usr/full")).unwrap();
    fs::write(root.join("usr/full/old"), "").unwrap();
    let tar = archive([
        (
            Entry {
                uid: 12,
                gid: 13,
                mode: 0o2711,
                mtime: (5, 0),
                ..dir("full/").0
            },
            b"".as_slice(),
        ),
        file("bin/tool"),
        file(".wh.name"),
        symlink("outside", "/etc/passwd"),
        link("alias", "bin/tool"),
    ]);
    let fd = File::open(root).unwrap();
    extract(tar.as_slice(), fd.as_fd(), Path::new("/dest"), None).unwrap();
    let meta = |name: &str| fs::symlink_metadata(root.join(name)).unwrap();
    assert!(
        root.join("usr/bin/tool").is_file()
            && root.join("usr/full/old").is_file()
            && root.join("usr/.wh.name").is_file()
    );
    assert_eq!(
        (meta("usr/full").mode() & 0o7777, meta("usr/full").mtime()),
        (0o2711, 5)
    );
    assert_eq!(meta("usr/alias").ino(), meta("usr/bin/tool").ino());
    assert_eq!(
        fs::read_link(root.join("usr/outside")).unwrap(),
        Path::new("/etc/passwd")
    );
    // Through the link where no entry names it; the entry of a directory replaces it.
    extract(archive([file("bin/two")]).as_slice(), fd.as_fd(), Path::new("/"), None).unwrap();
    assert!(root.join("usr/bin/two").is_file());
    extract(
        archive([dir("bin/"), file("bin/three")]).as_slice(),
        fd.as_fd(),
        Path::new("/"),
        None,
    )
    .unwrap();
    assert!(meta("bin").is_dir() && root.join("bin/three").is_file());
    if is_root() {
        assert_eq!((meta("usr/full").uid(), meta("usr/full").gid()), (12, 13));
        extract(
            archive([dir("a/"), file("b/c"), symlink("a/s", "x")]).as_slice(),
            fd.as_fd(),
            Path::new("/"),
            Some((8, 9)),
        )
        .unwrap();
        for name in ["a", "b", "b/c", "a/s"] {
            assert_eq!((meta(name).uid(), meta(name).gid()), (8, 9), "{name}");
        }
    }
    let top = Entry {
        mode: 0o750,
        mtime: (9, 0),
        ..dir("./").0
    };
    extract(
        archive([(top, b"".as_slice())]).as_slice(),
        fd.as_fd(),
        Path::new("/not/yet"),
        None,
    )
    .unwrap();
    assert_eq!((meta("not/yet").mode() & 0o7777, meta("not/yet").mtime()), (0o750, 9));
    let error = extract(
        archive([link("l", "none")]).as_slice(),
        fd.as_fd(),
        Path::new("/"),
        None,
    )
    .unwrap_err();
    assert!(error.to_string().contains("none"), "{error}");
}
