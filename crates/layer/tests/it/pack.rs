//! Directory to tar, and what others say of the tar.

use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use kiln_image::Digest;
use kiln_image::media_type::Compression;
use kiln_layer::tar::Reader;
use kiln_layer::{BlobOptions, PackOptions, Times, diff_id, pack, pack_compressed, pack_trees};
use rustix::fs::FileType;

use crate::tree::{describe, is_root, node, set_xattr};

fn packed(dir: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    let stats = pack(dir, &PackOptions::default(), &mut out).unwrap();
    assert_eq!(stats.tar_size, out.len() as u64);
    assert_eq!(
        diff_id(dir, &PackOptions::default()).unwrap(),
        (Digest::of(&out), stats.tar_size)
    );
    out
}

/// A directory with one of everything.
pub(crate) fn specimen(dir: &Path) {
    let at = |name: &str| dir.join(name);
    fs::create_dir_all(at("usr/bin")).unwrap();
    fs::write(at("usr/bin/su"), b"program").unwrap();
    fs::hard_link(at("usr/bin/su"), at("usr/bin/zsu")).unwrap();
    fs::hard_link(at("usr/bin/su"), at("linked")).unwrap();
    fs::set_permissions(at("usr/bin/su"), fs::Permissions::from_mode(0o4755)).unwrap();
    symlink("../usr/bin/su", at("usr/link")).unwrap();
    symlink("x".repeat(300), at("usr/longlink")).unwrap();
    let long = format!("{}/{}", "a".repeat(180), "b".repeat(170));
    fs::create_dir_all(at(&long)).unwrap();
    fs::write(at(&format!("{long}/c")), b"deep").unwrap();
    fs::write(dir.join(std::ffi::OsStr::from_bytes(b"latin-\xe9")), b"1").unwrap();
    fs::write(at("ümläut"), b"2").unwrap();
    fs::write(at("empty"), b"").unwrap();
    fs::create_dir(at("sticky")).unwrap();
    fs::set_permissions(at("sticky"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::create_dir(at("readonly")).unwrap();
    fs::write(at("readonly/file"), b"3").unwrap();
    fs::set_permissions(at("readonly"), fs::Permissions::from_mode(0o555)).unwrap();
    set_xattr(&at("empty"), "user.comment", b"binary \0\n=\xff value");
    set_xattr(&at("sticky"), "user.dir", b"");
    let old = SystemTime::UNIX_EPOCH - Duration::from_secs(86_400 * 365);
    File::options()
        .write(true)
        .open(at("empty"))
        .unwrap()
        .set_modified(old)
        .unwrap();
    let half = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500_000_000_750);
    File::options()
        .write(true)
        .open(at("ümläut"))
        .unwrap()
        .set_modified(half)
        .unwrap();
    node(&at("pipe"), FileType::Fifo, (0, 0)).unwrap();
    if is_root() {
        node(&at("null"), FileType::CharacterDevice, (1, 3)).unwrap();
        node(&at("disk"), FileType::BlockDevice, (259, 70_000)).unwrap();
        node(&at("usr/deleted"), FileType::CharacterDevice, (0, 0)).unwrap();
        fs::create_dir(at("opaque")).unwrap();
        fs::write(at("opaque/new"), b"4").unwrap();
        set_xattr(&at("opaque"), "user.overlay.opaque", b"y");
        set_xattr(&at("opaque"), "user.overlay.origin", b"kernel's own");
        chown(at("ümläut"), Some(3_000_000_000), Some(2_097_152)).unwrap();
        chown(at("empty"), Some(2_097_151), Some(1)).unwrap();
        let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        set_xattr(&at("readonly/file"), "security.capability", &capability);
        set_xattr(&at("readonly/file"), "trusted.secret", b"host's");
    }
}

fn names(tar: &[u8]) -> Vec<String> {
    let mut reader = Reader::new(tar);
    let mut names = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        names.push(String::from_utf8_lossy(&entry.path).into_owned());
    }
    names
}

#[test]
fn an_empty_directory_is_the_empty_tar() {
    let dir = tempfile::tempdir().unwrap();
    let expected = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
    assert_eq!(
        diff_id(dir.path(), &PackOptions::default()).unwrap(),
        (expected.parse().unwrap(), 1024)
    );
}

#[test]
fn entries_are_sorted_and_a_directory_comes_before_what_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    for path in ["b/c", "a", "b-c"] {
        fs::create_dir_all(dir.path().join(path)).unwrap();
    }
    fs::write(dir.path().join("b/c/d"), "").unwrap();
    fs::write(dir.path().join("b.d"), "").unwrap();
    assert_eq!(names(&packed(dir.path())), ["a/", "b/", "b/c/", "b/c/d", "b-c/", "b.d"]);
}

#[test]
fn nothing_of_the_moment_or_the_machine_gets_in() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for (dir, names) in [(&one, ["a", "b", "c"]), (&two, ["c", "b", "a"])] {
        for name in names {
            fs::write(dir.path().join(name), name).unwrap();
            let late = if name == "b" {
                time - Duration::from_secs(9)
            } else {
                SystemTime::now()
            };
            File::options()
                .write(true)
                .open(dir.path().join(name))
                .unwrap()
                .set_modified(late)
                .unwrap();
        }
        std::thread::sleep(Duration::from_millis(1100));
    }
    let options = PackOptions::of(Times::AtMost(1_700_000_000));
    assert_eq!(
        diff_id(one.path(), &options).unwrap(),
        diff_id(two.path(), &options).unwrap()
    );
    assert_ne!(
        diff_id(one.path(), &PackOptions::default()).unwrap(),
        diff_id(two.path(), &PackOptions::default()).unwrap()
    );
    let mut tar = Vec::new();
    pack(one.path(), &options, &mut tar).unwrap();
    let mut reader = Reader::new(tar.as_slice());
    for expected in [1_700_000_000, 1_699_999_991, 1_700_000_000] {
        assert_eq!(reader.next_entry().unwrap().unwrap().mtime, (expected, 0));
    }
}

#[test]
fn sockets_are_left_out_and_whiteout_names_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _socket = UnixListener::bind(dir.path().join("socket")).unwrap();
    assert_eq!(packed(dir.path()).len(), 1024);
    fs::write(dir.path().join(".wh.name"), "").unwrap();
    let error = pack(dir.path(), &PackOptions::default(), std::io::sink()).unwrap_err();
    assert!(error.to_string().contains(".wh."), "{error}");
    let tree = File::open(dir.path()).unwrap();
    pack_trees(
        &[(Path::new(""), tree.as_fd())],
        &PackOptions::default(),
        std::io::sink(),
    )
    .unwrap();
}

#[test]
fn several_trees_go_below_their_places() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "1").unwrap();
    fs::hard_link(dir.path().join("a"), dir.path().join("b")).unwrap();
    let tree = File::open(dir.path()).unwrap();
    let trees = [(Path::new("x"), tree.as_fd()), (Path::new("y"), tree.as_fd())];
    let mut archive = Vec::new();
    pack_trees(&trees, &PackOptions::default(), &mut archive).unwrap();
    let mut reader = Reader::new(&archive[..]);
    let mut found = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        found.push((text(&entry.path), text(&entry.link)));
    }
    let pair = |path: &str, link: &str| (path.to_owned(), link.to_owned());
    let of = |place: &str| {
        [
            pair(&format!("{place}/"), ""),
            pair(&format!("{place}/a"), ""),
            pair(&format!("{place}/b"), &format!("{place}/a")),
        ]
    };
    assert_eq!(found, [of("x"), of("y")].concat());
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn holes_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = File::create(dir.path().join("sparse")).unwrap();
    file.set_len(1 << 30).unwrap();
    file.write_all_at(&[7; 4096], 123 << 20).unwrap();
    let before = bytes_read();
    let stats = pack(dir.path(), &PackOptions::default(), Counting::default()).unwrap();
    assert_eq!(stats.tar_size, (1 << 30) + 512 + 1024);
    let read = bytes_read() - before;
    assert!((4096..1 << 20).contains(&read), "{read} bytes");
}

/// What this thread has read of files, in bytes (`proc_pid_io(5)`).
fn bytes_read() -> u64 {
    let counts = fs::read_to_string("/proc/thread-self/io").unwrap();
    let read = counts.lines().find_map(|line| line.strip_prefix("rchar: "));
    read.unwrap().parse().unwrap()
}

#[derive(Default)]
struct Counting(u64);

impl std::io::Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn deep_directories_need_few_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    let mut at = File::open(dir.path()).unwrap();
    for _ in 0..1500 {
        rustix::fs::mkdirat(&at, "d", rustix::fs::Mode::RWXU).unwrap();
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
        at = rustix::fs::openat(&at, "d", flags, rustix::fs::Mode::empty())
            .unwrap()
            .into();
    }
    let tar = packed(dir.path());
    assert_eq!(names(&tar).len(), 1500);
    let out = tempfile::tempdir().unwrap();
    kiln_layer::unpack(tar.as_slice(), None, out.path(), &kiln_layer::UnpackOptions::default()).unwrap();
    assert!(packed(out.path()) == tar);
}

/// Runs a program that must succeed, if the machine has it.
fn run(program: &str, args: &[&str], input: Option<&Path>) -> Option<Vec<u8>> {
    let mut command = Command::new(program);
    command.args(args);
    if let Some(input) = input {
        command.stdin(File::open(input).unwrap());
    }
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("SKIPPED: cross-check with {program}: {error}");
            assert!(std::env::var_os("CI").is_none(), "CI must have {program}");
            return None;
        }
    };
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    // GNU tar says so of anything before 1970, and does it.
    let complaints: Vec<_> = complaints
        .lines()
        .filter(|line| !line.contains("implausibly old"))
        .collect();
    assert!(
        complaints.is_empty(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(output.stdout)
}

#[test]
fn gnu_tar_extracts_the_same_tree() {
    let (dir, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    specimen(dir.path());
    let tar = work.path().join("layer.tar");
    fs::write(&tar, packed(dir.path())).unwrap();
    let tar = tar.to_str().unwrap();
    let Some(listing) = run("tar", &["--xattrs", "-tvf", tar], None) else {
        return;
    };
    assert!(String::from_utf8_lossy(&listing).contains("-rwsr-xr-x"));
    let out = work.path().join("out");
    fs::create_dir(&out).unwrap();
    let args = [
        "--xattrs",
        "--xattrs-include=*",
        "-xpf",
        tar,
        "-C",
        out.to_str().unwrap(),
        "--numeric-owner",
    ];
    run("tar", &args, None).unwrap();
    let (mut expected, mut found) = (describe(dir.path()), describe(&out));
    // Whiteouts are names to tar, the kernel's attributes and the host's own are not in layers.
    for tree in [&mut expected, &mut found] {
        tree.retain(|path, what| {
            what.kind != 'w' && !path.as_os_str().as_bytes().windows(4).any(|part| part == b".wh.")
        });
        for what in tree.values_mut() {
            what.xattrs
                .retain(|name, _| !name.starts_with("user.overlay.") && !name.starts_with("trusted."));
        }
    }
    assert_eq!(expected, found);
    if is_root() {
        assert!(out.join("usr/.wh.deleted").exists() && out.join("opaque/.wh..wh..opq").exists());
    }
}

#[test]
fn python_reads_it() {
    let (dir, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    specimen(dir.path());
    let tar = work.path().join("layer.tar");
    fs::write(&tar, packed(dir.path())).unwrap();
    let script = "import tarfile, sys
t = tarfile.open(sys.argv[1], errorlevel=2)
m = {x.name: x for x in t.getmembers()}
assert m['empty'].mtime == -86400 * 365, m['empty'].mtime
assert m['usr/bin/su'].islnk() and m['usr/bin/su'].linkname == 'linked' and m['linked'].mode == 0o4755
assert m['usr/longlink'].linkname == 'x' * 300
assert all(x.uname == '' and x.gname == '' for x in m.values())
assert m['\\u00fcml\\u00e4ut'].mtime == 1500000000
print(len(m))";
    let Some(count) = run("python3", &["-c", script, tar.to_str().unwrap()], None) else {
        return;
    };
    assert!(String::from_utf8_lossy(&count).trim().parse::<u32>().unwrap() > 15);
}

#[test]
fn compressed_blobs_are_the_same_on_any_number_of_threads_and_others_read_them() {
    let (dir, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    specimen(dir.path());
    let noise: Vec<u8> = (0..5_000_000_u64)
        .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52) as u8)
        .collect();
    fs::write(dir.path().join("noise"), noise).unwrap();
    let tar = packed(dir.path());
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let blobs: Vec<_> = [1, 2, 7]
            .map(|threads| {
                let mut blob = Vec::new();
                let info = pack_compressed(
                    dir.path(),
                    &PackOptions::default(),
                    &BlobOptions::new(compression, threads),
                    &mut blob,
                )
                .unwrap();
                assert_eq!(info.diff_id, Digest::of(&tar));
                assert_eq!(info.tar_size, tar.len() as u64);
                blob
            })
            .into();
        assert!(blobs[0] == blobs[1] && blobs[0] == blobs[2]);
        let path = work.path().join("blob");
        fs::write(&path, &blobs[0]).unwrap();
        let program = match compression {
            Compression::None => continue,
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        };
        if run(program, &["-q", "-t"], Some(&path)).is_some() {
            assert!(run(program, &["-q", "-dc"], Some(&path)).unwrap() == tar);
        }
    }
}

#[test]
fn one_path_of_a_tree() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir_all(root.join("d/sub")).unwrap();
    std::fs::write(root.join("d/f"), "content").unwrap();
    std::fs::write(dir.path().join("secret"), "outside").unwrap();
    std::os::unix::fs::symlink("/d/f", root.join("to")).unwrap();
    std::os::unix::fs::symlink("../../secret", root.join("out")).unwrap();
    std::os::unix::fs::symlink("loop", root.join("loop")).unwrap();
    let tree = std::fs::File::open(&root).unwrap();
    let pack = |path: &str, name: &str, follow: bool| {
        let mut tar = Vec::new();
        let (path, name) = (std::path::Path::new(path), std::path::Path::new(name));
        let options = kiln_layer::PackOptions::default();
        kiln_layer::pack_path(std::os::fd::AsFd::as_fd(&tree), path, name, follow, &options, &mut tar).ok()?;
        let mut reader = kiln_layer::tar::Reader::new(&tar[..]);
        let mut names = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            let link = String::from_utf8(entry.link.clone()).unwrap();
            names.push(
                String::from_utf8(entry.path.clone()).unwrap() + if link.is_empty() { "" } else { " -> " } + &link,
            );
        }
        Some(names.join(" "))
    };
    for (path, name, follow, expected) in [
        ("/d", "d", false, Some("d/ d/f d/sub/")),
        ("/d", "", false, Some("f sub/")),
        ("d/../d/f", "f", false, Some("f")),
        ("/to", "to", false, Some("to -> /d/f")),
        ("/to", "to", true, Some("to")),
        ("/out", "out", false, Some("out -> ../../secret")),
        ("/out", "out", true, None),
        ("/loop", "loop", true, None),
        ("/d/f", "", false, None),
        ("/none", "none", false, None),
    ] {
        assert_eq!(pack(path, name, follow).as_deref(), expected, "{path} {follow}");
    }
}
