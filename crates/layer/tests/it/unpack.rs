//! Tar to directory.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use kiln_image::Digest;
use kiln_image::media_type::Compression;
use kiln_layer::tar::{Entry, Kind};
use kiln_layer::{
    BlobOptions, Limits, PackOptions, UnpackOptions, Unpacked, complete, pack, pack_compressed, pack_whole, recompress,
    unpack, unpack_whole,
};

use crate::tree::{archive, describe, dir, file, is_root, link, symlink, xattrs};

pub(crate) fn unpacked(tar: &[u8]) -> (tempfile::TempDir, Unpacked) {
    let out = tempfile::tempdir().unwrap();
    let unpacked = unpack(tar, None, out.path(), &UnpackOptions::default()).unwrap();
    assert_eq!(unpacked.diff_id, Digest::of(tar));
    (out, unpacked)
}

fn is_whiteout(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_char_device() && meta.rdev() == 0)
}

fn is_opaque(path: &Path) -> bool {
    xattrs(path)
        .get("user.overlay.opaque")
        .is_some_and(|value| value == b"y")
}

/// Names that mean something in layers mean nothing here, and times are exact.
#[test]
fn whole_directories_are_had_again() {
    let source = tempfile::tempdir().unwrap();
    crate::pack::specimen(source.path());
    fs::write(source.path().join(".wh.name"), b"a file").unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(source.path().join("socket")).unwrap();
    let mut tar = Vec::new();
    pack_whole(source.path(), &mut tar).unwrap();
    let mut again = Vec::new();
    pack_whole(source.path(), &mut again).unwrap();
    assert_eq!(tar, again);

    let out = tempfile::tempdir().unwrap();
    let limits = Limits {
        bytes: tar.len() as u64,
        ..Limits::default()
    };
    unpack_whole(&tar[..], out.path(), limits).unwrap();
    let mut expected = describe(source.path());
    expected.retain(|_, file| !matches!(file.kind, 's' | 'c' | 'b' | 'w'));
    for file in expected.values_mut() {
        file.xattrs
            .retain(|name, _| !name.starts_with("user.overlay.") && !name.starts_with("trusted."));
    }
    assert_eq!(describe(out.path()), expected);
    let nanoseconds = |dir: &Path| fs::metadata(dir.join(".wh.name")).unwrap().mtime_nsec();
    assert_eq!(nanoseconds(out.path()), nanoseconds(source.path()));
}

/// Whoever wrote the archive: no devices are made.
#[test]
fn whole_directories_have_no_devices() {
    if !is_root() {
        return;
    }
    let device = Entry {
        device: (1, 3),
        ..Entry::new("null", Kind::Char, 0o666)
    };
    let tar = archive([
        (device, &b""[..]),
        (Entry::new("file", Kind::File, 0o644), &b"content"[..]),
    ]);
    let out = tempfile::tempdir().unwrap();
    let extracted = unpack_whole(&tar[..], out.path(), Limits::default()).unwrap();
    assert_eq!(extracted.skipped_devices, [PathBuf::from("null")]);
    assert_eq!(
        describe(out.path()).into_keys().collect::<Vec<_>>(),
        [PathBuf::from("file")]
    );
    let limits = Limits {
        bytes: 6,
        ..Limits::default()
    };
    assert!(unpack_whole(&tar[..], tempfile::tempdir().unwrap().path(), limits).is_err());
}

#[test]
fn round_trip_of_one_of_everything() {
    let source = tempfile::tempdir().unwrap();
    crate::pack::specimen(source.path());
    let options = PackOptions::default();
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let mut blob = Vec::new();
        let info = pack_compressed(source.path(), &options, &BlobOptions::new(compression, 2), &mut blob).unwrap();
        for given in [Some(compression), None] {
            let out = tempfile::tempdir().unwrap();
            let unpacked = unpack(blob.as_slice(), given, out.path(), &UnpackOptions::default()).unwrap();
            assert_eq!(unpacked.diff_id, info.diff_id);
            assert!(!unpacked.is_incomplete() && unpacked.skipped_devices.is_empty());
            let mut expected = describe(source.path());
            for what in expected.values_mut() {
                what.xattrs
                    .retain(|name, _| name != "user.overlay.origin" && !name.starts_with("trusted."));
            }
            assert_eq!(expected, describe(out.path()));
            let mut again = Vec::new();
            pack(out.path(), &options, &mut again).unwrap();
            assert_eq!(Digest::of(again), info.diff_id);
        }
    }
}

#[test]
fn compressed_in_another_way_a_tar_stays_what_it_is() {
    // No tar of ours, but content is not looked at.
    let tar: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let kinds = [Compression::None, Compression::Gzip, Compression::Zstd];
    let mut blobs = vec![tar.clone()];
    for kind in kinds {
        let mut blob = Vec::new();
        let info = recompress(tar.as_slice(), &BlobOptions::new(kind, 2), &mut blob).unwrap();
        assert_eq!((info.diff_id, info.tar_size), (Digest::of(&tar), tar.len() as u64));
        blobs.push(blob);
    }
    for blob in &blobs {
        for (kind, wanted) in kinds.into_iter().zip(&blobs[1..]) {
            let mut again = Vec::new();
            let info = recompress(blob.as_slice(), &BlobOptions::new(kind, 1), &mut again).unwrap();
            assert_eq!(info.diff_id, Digest::of(&tar));
            assert!(again == *wanted, "{kind:?}");
        }
    }
    let cut = &blobs[2][..blobs[2].len() - 1];
    recompress(cut, &BlobOptions::new(Compression::Zstd, 1), std::io::sink()).unwrap_err();
}

#[test]
fn bytes_behind_the_end_belong_to_the_diff_id() {
    if !is_root() {
        return;
    }
    let mut tar = archive([file("a")]);
    tar.extend_from_slice(&[0; 9000]);
    tar.extend_from_slice(b"anything");
    let (out, _) = unpacked(&tar);
    assert!(out.path().join("a").exists());
}

#[test]
fn whiteouts_both_ways() {
    if !is_root() {
        return;
    }
    let tar = archive([
        file("kept/.wh.gone"),
        file("hidden/.wh..wh..opq"),
        dir("again/"),
        file("again/x"),
        file(".wh.again"),
        file(".wh.back"),
        dir("back/"),
        file(".wh.implied"),
        file("implied/x"),
        file("both"),
        file(".wh.both"),
        file(".wh.twice"),
        file(".wh.twice"),
        file(".wh.file"),
        file("file"),
    ]);
    let (out, unpacked) = unpacked(&tar);
    let at = |name: &str| out.path().join(name);
    assert!(is_whiteout(&at("kept/gone")) && is_whiteout(&at("twice")));
    assert!(is_opaque(&at("hidden")));
    assert!(is_opaque(&at("again")) && at("again/x").is_file());
    assert!(is_opaque(&at("back")) && is_opaque(&at("implied")) && at("implied/x").is_file());
    assert!(at("both").is_file() && at("file").is_file());
    assert_eq!(unpacked.implicit_dirs, [PathBuf::from("hidden"), PathBuf::from("kept")]);
}

#[test]
fn the_last_entry_wins() {
    if !is_root() {
        return;
    }
    let tar = archive([
        file("a/b"),
        file("a/c/d"),
        (Entry::new("a", Kind::File, 0o600), b"now a file".as_slice()),
        file("f"),
        dir("f/"),
        file("f/g"),
        symlink("l", "nowhere"),
        file("l"),
        file("m"),
        symlink("m", "f"),
        file("n"),
        link("n", "n"),
        (
            Entry {
                mode: 0o700,
                ..dir("f/").0
            },
            b"",
        ),
        file("o"),
        link("p", "o"),
        (Entry::new("o", Kind::File, 0o640), b"other".as_slice()),
    ]);
    let (out, unpacked) = unpacked(&tar);
    let at = |name: &str| out.path().join(name);
    assert_eq!(fs::read(at("a")).unwrap(), b"now a file");
    assert_eq!(fs::read(at("f/g")).unwrap(), b"content");
    assert_eq!(fs::metadata(at("f")).unwrap().mode() & 0o7777, 0o700);
    assert!(fs::symlink_metadata(at("l")).unwrap().is_file());
    assert_eq!(fs::read_link(at("m")).unwrap(), Path::new("f"));
    assert_eq!(fs::read(at("n")).unwrap(), b"content");
    assert_eq!(
        (fs::read(at("o")).unwrap(), fs::read(at("p")).unwrap()),
        (b"other".to_vec(), b"content".to_vec())
    );
    assert!(unpacked.implicit_dirs.is_empty(), "{unpacked:?}");
}

#[test]
fn read_only_directories_and_times_are_set_at_the_end() {
    if !is_root() {
        return;
    }
    let directory = Entry {
        mode: 0o555,
        mtime: (1000, 0),
        ..dir("d/").0
    };
    let inner = Entry {
        mode: 0o500,
        mtime: (-5, 0),
        ..dir("d/e/").0
    };
    let tar = archive([
        (directory, b"".as_slice()),
        (inner, b""),
        file("d/e/f"),
        file("d/g"),
        (
            Entry {
                mode: 0o711,
                mtime: (77, 0),
                ..dir("./").0
            },
            b"",
        ),
    ]);
    let (out, _) = unpacked(&tar);
    for (path, mode, mtime) in [("d", 0o555, 1000), ("d/e", 0o500, -5), ("", 0o711, 77)] {
        let meta = fs::metadata(out.path().join(path)).unwrap();
        assert_eq!((meta.mode() & 0o7777, meta.mtime()), (mode, mtime), "{path}");
    }
}

#[test]
fn a_link_on_the_way_is_followed_within_the_layer() {
    if !is_root() {
        return;
    }
    let tar = archive([
        symlink("lib", "/usr/lib"),
        file("lib/a"),
        dir("usr/lib/"),
        file("lib/b"),
        symlink("up", "../../../x"),
        file("up/c"),
    ]);
    let (out, _) = unpacked(&tar);
    for path in ["usr/lib/a", "usr/lib/b", "x/c"] {
        assert!(out.path().join(path).is_file(), "{path}");
    }
    assert!(fs::symlink_metadata(out.path().join("lib")).unwrap().is_symlink());
}

#[test]
fn hard_links_may_come_before_their_target() {
    if !is_root() {
        return;
    }
    let (out, unpacked) = unpacked(&archive([
        link("early", "later"),
        file("later"),
        link("s", "sym"),
        symlink("sym", "later"),
    ]));
    assert!(!unpacked.is_incomplete());
    let ino = |name: &str| fs::symlink_metadata(out.path().join(name)).unwrap().ino();
    assert_eq!(ino("early"), ino("later"));
    assert_eq!(ino("s"), ino("sym"));
}

#[test]
fn completing_takes_metadata_and_link_targets_from_below() {
    if !is_root() {
        return;
    }
    let lower = tempfile::tempdir().unwrap();
    let tar = archive([
        (
            Entry {
                mode: 0o1770,
                mtime: (4242, 0),
                uid: 5,
                gid: 6,
                ..dir("etc/").0
            },
            b"".as_slice(),
        ),
        (
            Entry {
                mode: 0o700,
                mtime: (11, 0),
                ..dir("etc/deep/").0
            },
            b"",
        ),
        (
            Entry {
                mode: 0o4711,
                mtime: (99, 0),
                uid: 7,
                ..file("bin/tool").0
            },
            b"tool",
        ),
        file("bin/other"),
        file("bin/deleted"),
    ]);
    unpack(tar.as_slice(), None, lower.path(), &UnpackOptions::default()).unwrap();
    let upper = archive([
        file("etc/deep/new"),
        link("usr/bin/alias", "bin/tool"),
        link("usr/bin/alias2", "bin/tool"),
        file("bin/.wh.deleted"),
        link("moved", "bin/deleted"),
        file("nowhere/below"),
    ]);
    let (out, unpacked) = unpacked(&upper);
    assert_eq!(unpacked.missing_links.len(), 3);
    complete(out.path(), fs::File::open(lower.path()).unwrap().as_fd(), &unpacked).unwrap();
    let meta = |name: &str| fs::symlink_metadata(out.path().join(name)).unwrap();
    let facts = |name: &str| (meta(name).mode() & 0o7777, meta(name).mtime(), meta(name).uid());
    assert_eq!(facts("etc"), (0o1770, 4242, 5));
    assert_eq!(facts("etc/deep"), (0o700, 11, 0));
    assert_eq!(facts("bin/tool"), (0o4711, 99, 7));
    assert_eq!(facts("nowhere"), (0o755, 0, 0));
    assert_eq!(meta("usr/bin/alias").ino(), meta("bin/tool").ino());
    assert_eq!(meta("usr/bin/alias2").ino(), meta("bin/tool").ino());
    assert!(is_whiteout(&out.path().join("bin/deleted")));
    assert_eq!(fs::read(out.path().join("moved")).unwrap(), b"content");
    let (out, lost) = self::unpacked(&archive([link("a", "not/there")]));
    let error = complete(out.path(), fs::File::open(lower.path()).unwrap().as_fd(), &lost).unwrap_err();
    assert!(error.to_string().contains("not/there"), "{error}");
}

/// Where all layers are applied to one directory, an entry replaces what the ones before have made.
#[test]
fn later_entries_replace_hard_links_to_lower_layers() {
    let (out, unpacked) = unpacked(&archive([
        link("x", "low"),
        file("x"),
        link("d/y", "low"),
        symlink("d", "elsewhere"),
        link("z", "low"),
        link("z2", "z"),
        link("w", "low"),
        link("w", "other"),
    ]));
    let links = [("z", "low"), ("z2", "z"), ("w", "other")];
    assert_eq!(unpacked.missing_links, links.map(|(link, to)| (link.into(), to.into())));
    assert_eq!(fs::read(out.path().join("x")).unwrap(), b"content");
    assert!(!out.path().join("elsewhere").exists());
}

/// The same by another name; and a hard link to a lower layer replaces what is there at once.
#[test]
fn the_last_entry_of_a_name_counts_also_behind_links() {
    let (out, unpacked) = unpacked(&archive([
        dir("real/"),
        symlink("way", "real"),
        // A file that is a link's by another name.
        link("way/x", "low"),
        file("real/x"),
        // A link that is another link's.
        link("way/two", "low"),
        link("real/two", "other"),
        // A file in place of the directory that a link goes in.
        link("real/sub/x", "low"),
        file("way/sub"),
        // A directory that something makes necessary.
        link("way/implied", "low"),
        file("real/implied/x"),
        // What is there makes room, before it is linked to.
        file("f"),
        link("f", "low"),
        link("f2", "f"),
        file("d/f"),
        link("d", "low"),
        // Whiteouts are nothing.
        file(".wh.gone"),
        link("gone", "low"),
    ]));
    let links = [
        ("real/two", "other"),
        ("f", "low"),
        ("f2", "f"),
        ("d", "low"),
        ("gone", "low"),
    ];
    assert_eq!(unpacked.missing_links, links.map(|(link, to)| (link.into(), to.into())));
    assert_eq!(unpacked.implicit_dirs, [PathBuf::from("real/implied")]);
    let lower = tempfile::tempdir().unwrap();
    for name in ["low", "other"] {
        fs::write(lower.path().join(name), name).unwrap();
    }
    fs::create_dir(lower.path().join("d")).unwrap();
    complete(out.path(), fs::File::open(lower.path()).unwrap().as_fd(), &unpacked).unwrap();
    for (path, content) in [
        ("real/x", "content"),
        ("real/two", "other"),
        ("real/sub", "content"),
        ("real/implied/x", "content"),
        ("f", "low"),
        ("f2", "low"),
        ("d", "low"),
        ("gone", "low"),
    ] {
        assert_eq!(fs::read(out.path().join(path)).unwrap(), content.as_bytes(), "{path}");
    }
}

#[test]
fn many_small_files_in_little_memory() {
    if !is_root() {
        return;
    }
    let count = 100_000;
    let mut tar = kiln_layer::tar::Writer::new(Vec::new());
    for index in 0..count {
        tar.file(format!("d{:03}/f{index}", index / 1000), 0o644, 3, b"abc".as_slice())
            .unwrap();
    }
    let tar = tar.finish().unwrap();
    let before = peak_memory();
    let out = tempfile::tempdir().unwrap();
    let unpacked = unpack(tar.as_slice(), None, out.path(), &UnpackOptions::default()).unwrap();
    assert_eq!((unpacked.entries, unpacked.size), (count, 3 * count));
    pack(out.path(), &PackOptions::default(), std::io::sink()).unwrap();
    let grown = peak_memory().saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB");
}

/// In KiB. Other tests run at the same time: what this gives is no less than what is of interest.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_kernel_sees_what_the_layer_says() {
    if !is_root() {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let at = |name: &str| work.path().join(name);
    for name in ["lower", "upper", "work", "merged"] {
        fs::create_dir(at(name)).unwrap();
    }
    let lower = archive([
        file("gone"),
        file("kept"),
        dir("hidden/"),
        file("hidden/old"),
        dir("re/"),
        file("re/old"),
    ]);
    unpack(lower.as_slice(), None, &at("lower"), &UnpackOptions::default()).unwrap();
    let layer = archive([
        file(".wh.gone"),
        file("hidden/.wh..wh..opq"),
        file("hidden/new"),
        file(".wh.re"),
        dir("re/"),
        file("re/new"),
    ]);
    unpack(layer.as_slice(), None, &at("upper"), &UnpackOptions::default()).unwrap();
    let script = format!(
        "mount -t overlay overlay -o userxattr,lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work {0}/merged && cd {0}/merged && find . -type f | sort && rm kept && rm -r re && mkdir re && echo x > re/third",
        work.path().display()
    );
    let output = std::process::Command::new("unshare")
        .args(["-m", "sh", "-ec", &script])
        .output()
        .unwrap();
    if !output.status.success() {
        eprintln!(
            "SKIPPED: overlay cannot be mounted here: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(std::env::var_os("CI").is_none(), "CI must have overlays");
        return;
    }
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "./hidden/new\n./kept\n./re/new\n"
    );
    let mut tar = Vec::new();
    pack(&at("upper"), &PackOptions::default(), &mut tar).unwrap();
    let mut reader = kiln_layer::tar::Reader::new(tar.as_slice());
    let mut names = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        names.push(String::from_utf8(entry.path).unwrap());
    }
    assert_eq!(
        names,
        [
            ".wh.gone",
            "hidden/",
            "hidden/.wh..wh..opq",
            "hidden/new",
            ".wh.kept",
            "re/",
            "re/.wh..wh..opq",
            "re/third"
        ]
    );
}
