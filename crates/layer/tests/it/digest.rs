//! Content digests.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use kiln_layer::{Counted, DigestOptions, FileDigests, FileStat, Filter, TreeDigest, digest_tree};

use crate::tree::set_xattr;

fn digest(root: &Path, path: &str) -> TreeDigest {
    let options = DigestOptions {
        owner: Some((0, 0)),
        ..DigestOptions::default()
    };
    digest_as(root, path, &options)
}

fn digest_as(root: &Path, path: &str, options: &DigestOptions<'_>) -> TreeDigest {
    let root = File::open(root).unwrap();
    digest_tree(root.as_fd(), Path::new(path), options, &mut |_| ()).unwrap()
}

fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("a/b")).unwrap();
    for index in 0..300 {
        fs::write(dir.path().join(format!("a/b/{index}")), format!("content of {index}")).unwrap();
    }
    symlink("b/0", dir.path().join("a/link")).unwrap();
    dir
}

#[test]
fn times_and_places_do_not_count() {
    let (one, two) = (tree(), tree());
    File::open(two.path().join("a/b/7"))
        .unwrap()
        .set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    assert_eq!(digest(one.path(), "/"), digest(two.path(), ""));
    assert_eq!(digest(one.path(), "/").files, 301);
    fs::rename(two.path().join("a"), two.path().join("z")).unwrap();
    assert_ne!(digest(one.path(), "/").digest, digest(two.path(), "/").digest);
    assert_eq!(digest(one.path(), "a"), digest(two.path(), "z"));
    assert_eq!(digest(one.path(), "a/b/3"), digest(two.path(), "z/../../z/b/3"));
    assert_eq!(digest(one.path(), "a/link"), digest(two.path(), "z/b/0"));
}

type Change = fn(&Path);

#[test]
fn everything_else_counts() {
    let base = digest(tree().path(), "/").digest;
    let changes: [(&str, Change); 9] = [
        ("content", |dir| fs::write(dir.join("a/b/5"), "other content").unwrap()),
        ("content, same size", |dir| {
            fs::write(dir.join("a/b/5"), "content of 4").unwrap();
        }),
        ("mode", |dir| {
            fs::set_permissions(dir.join("a/b/5"), fs::Permissions::from_mode(0o600)).unwrap();
        }),
        ("mode of a directory", |dir| {
            fs::set_permissions(dir.join("a"), fs::Permissions::from_mode(0o700)).unwrap();
        }),
        ("name", |dir| {
            fs::rename(dir.join("a/b/5"), dir.join("a/b/five")).unwrap();
        }),
        ("new", |dir| fs::write(dir.join("a/new"), "").unwrap()),
        ("new directory", |dir| fs::create_dir(dir.join("a/new")).unwrap()),
        ("attribute", |dir| set_xattr(&dir.join("a/b/5"), "user.x", b"y")),
        ("link", |dir| {
            fs::remove_file(dir.join("a/link")).unwrap();
            symlink("b/1", dir.join("a/link")).unwrap();
        }),
    ];
    for (name, change) in changes {
        let dir = tree();
        change(dir.path());
        assert_ne!(digest(dir.path(), "/").digest, base, "{name}");
    }
    let dir = tree();
    let other = DigestOptions {
        owner: Some((1, 0)),
        ..DigestOptions::default()
    };
    assert_ne!(digest_as(dir.path(), "/", &other).digest, base);
}

#[test]
fn a_mode_that_all_get_is_the_only_one_that_counts() {
    let (one, two) = (tree(), tree());
    fs::set_permissions(two.path().join("a/b/7"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(two.path().join("a/b"), fs::Permissions::from_mode(0o700)).unwrap();
    let with = |mode| DigestOptions {
        owner: Some((0, 0)),
        mode,
        ..DigestOptions::default()
    };
    let digest = |dir: &tempfile::TempDir, mode| digest_as(dir.path(), "/", &with(mode));
    assert_ne!(digest(&one, None), digest(&two, None));
    assert_eq!(digest(&one, Some(0o640)), digest(&two, Some(0o640)));
    assert_ne!(digest(&one, Some(0o640)), digest(&one, Some(0o644)));
}

#[test]
fn what_counts_is_told() {
    let dir = tree();
    fs::create_dir(dir.path().join("empty")).unwrap();
    let mut seen: Vec<Counted> = Vec::new();
    let root = File::open(dir.path()).unwrap();
    digest_tree(root.as_fd(), Path::new("a"), &DigestOptions::default(), &mut |entry| {
        seen.push(entry);
    })
    .unwrap();
    assert_eq!(seen.len(), 303);
    let file = seen.iter().find(|entry| entry.path == b"b/17").unwrap();
    assert_eq!((file.size, file.kind), (13, rustix::fs::FileType::RegularFile));
    let link = seen.iter().find(|entry| entry.path == b"link").unwrap();
    assert_eq!(link.target, b"b/0");
}

#[test]
fn what_is_left_out_does_not_count() {
    let (one, two) = (tree(), tree());
    fs::create_dir_all(two.path().join("dropped/x")).unwrap();
    fs::create_dir_all(two.path().join("a/hollow/x")).unwrap();
    fs::write(two.path().join("a/hollow/x/dropped"), "").unwrap();
    let filter = |path: &Path, _: bool| match path.file_name().unwrap().to_str().unwrap() {
        "dropped" => Filter::Exclude,
        "hollow" | "x" => Filter::Descend,
        _ => Filter::Include,
    };
    let digest = |dir: &Path| {
        let options = DigestOptions {
            filter: &filter,
            ..DigestOptions::default()
        };
        digest_as(dir, "/", &options)
    };
    assert_eq!(digest(one.path()), digest(two.path()));
    fs::write(two.path().join("a/hollow/x/kept"), "").unwrap();
    assert_ne!(digest(one.path()), digest(two.path()));
}

#[derive(Default)]
struct Memory {
    known: Mutex<HashMap<FileStat, [u8; 32]>>,
    misses: AtomicU32,
}

impl FileDigests for Memory {
    fn get(&self, stat: &FileStat) -> Option<[u8; 32]> {
        let found = self.known.lock().unwrap().get(stat).copied();
        if found.is_none() {
            self.misses.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    fn put(&self, stat: &FileStat, digest: [u8; 32]) {
        self.known.lock().unwrap().insert(*stat, digest);
    }
}

#[test]
fn known_files_are_not_read() {
    let dir = tree();
    let memory = Memory::default();
    let options = DigestOptions {
        known: &memory,
        ..DigestOptions::default()
    };
    let digest = || digest_as(dir.path(), "/", &options);
    let first = digest();
    assert_eq!(memory.misses.swap(0, Ordering::Relaxed), 300);
    assert_eq!(digest(), first);
    assert_eq!(memory.misses.load(Ordering::Relaxed), 0);
    std::thread::sleep(std::time::Duration::from_millis(20));
    set_xattr(&dir.path().join("a/b/9"), "user.x", b"y");
    assert_ne!(digest(), first);
    assert_eq!(memory.misses.load(Ordering::Relaxed), 1);
}

#[test]
fn a_missing_path_is_an_error() {
    let dir = tree();
    let root = File::open(dir.path()).unwrap();
    let result = digest_tree(
        root.as_fd(),
        Path::new("nowhere"),
        &DigestOptions::default(),
        &mut |_| (),
    );
    assert!(result.unwrap_err().to_string().contains("nowhere"));
}
