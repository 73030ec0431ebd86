//! Making and describing trees.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use kiln_layer::tar::{Entry, Kind, Writer};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, lgetxattr, llistxattr, lsetxattr, makedev, mknodat};

/// Whether owners, devices and whiteouts can be made. Says what is skipped if not.
pub(crate) fn is_root() -> bool {
    static ROOT: OnceLock<bool> = OnceLock::new();
    *ROOT.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let root = node(&dir.path().join("null"), FileType::CharacterDevice, (1, 3)).is_ok();
        if !root {
            eprintln!("SKIPPED: tests with devices and foreign owners, which need root");
            assert!(std::env::var_os("CI").is_none(), "CI must have root");
        }
        root
    })
}

pub(crate) fn node(path: &Path, kind: FileType, (major, minor): (u32, u32)) -> rustix::io::Result<()> {
    mknodat(CWD, path, kind, Mode::from_raw_mode(0o600), makedev(major, minor))
}

pub(crate) fn set_xattr(path: &Path, name: &str, value: &[u8]) {
    lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

pub(crate) fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = vec![0; 65536];
    let length = llistxattr(path, &mut names[..]).unwrap_or(0);
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let names = names
        .map(|name| String::from_utf8(name.to_vec()).unwrap())
        .filter(|name| name != "security.selinux");
    names
        .map(|name| {
            let mut value = vec![0; 65536];
            let length = lgetxattr(path, &*name, &mut value[..]).unwrap();
            value.truncate(length);
            (name, value)
        })
        .collect()
}

/// What a file is, as far as a layer keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) kind: char,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) mtime: i64,
    pub(crate) content: Vec<u8>,
    pub(crate) device: u64,
    pub(crate) xattrs: BTreeMap<String, Vec<u8>>,
    /// The first path of the same file.
    pub(crate) same_as: PathBuf,
}

/// Everything below the directory, by path.
pub(crate) fn describe(dir: &Path) -> BTreeMap<PathBuf, Description> {
    let mut found = BTreeMap::new();
    let mut inodes = BTreeMap::new();
    describe_into(dir, Path::new(""), &mut found, &mut inodes);
    found
}

fn describe_into(
    dir: &Path,
    below: &Path,
    found: &mut BTreeMap<PathBuf, Description>,
    inodes: &mut BTreeMap<u64, PathBuf>,
) {
    let mut names: Vec<OsString> = fs::read_dir(dir.join(below))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    for name in names {
        let path = below.join(name);
        let full = dir.join(&path);
        let meta = fs::symlink_metadata(&full).unwrap();
        let kind = meta.file_type();
        let (letter, content) = if kind.is_dir() {
            ('d', Vec::new())
        } else if kind.is_symlink() {
            ('l', fs::read_link(&full).unwrap().into_os_string().into_vec())
        } else if kind.is_file() {
            ('f', fs::read(&full).unwrap())
        } else if kind.is_char_device() {
            ('c', Vec::new())
        } else if kind.is_block_device() {
            ('b', Vec::new())
        } else if kind.is_fifo() {
            ('p', Vec::new())
        } else {
            ('s', Vec::new())
        };
        let whiteout = letter == 'c' && meta.rdev() == 0;
        let same_as = inodes.entry(meta.ino()).or_insert_with(|| path.clone()).clone();
        let description = Description {
            kind: if whiteout { 'w' } else { letter },
            mode: if whiteout { 0 } else { meta.mode() & 0o7777 },
            owner: (meta.uid(), meta.gid()),
            mtime: if whiteout { 0 } else { meta.mtime() },
            content,
            device: meta.rdev(),
            xattrs: xattrs(&full),
            same_as: if kind.is_dir() || whiteout {
                PathBuf::new()
            } else {
                same_as
            },
        };
        found.insert(path.clone(), description);
        if kind.is_dir() {
            describe_into(dir, &path, found, inodes);
        }
    }
}

/// An archive of the entries, with the content of files.
pub(crate) fn archive<'a>(entries: impl IntoIterator<Item = (Entry, &'a [u8])>) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    for (mut entry, content) in entries {
        if entry.kind == Kind::File {
            entry.size = content.len() as u64;
        }
        tar.entry(&entry).unwrap();
        tar.data(content).unwrap();
    }
    tar.finish().unwrap()
}

pub(crate) fn file(path: &str) -> (Entry, &[u8]) {
    (Entry::new(path, Kind::File, 0o644), b"content")
}

pub(crate) fn dir<'a>(path: &str) -> (Entry, &'a [u8]) {
    (Entry::new(path, Kind::Directory, 0o755), b"")
}

pub(crate) fn symlink<'a>(path: &str, target: &str) -> (Entry, &'a [u8]) {
    (
        Entry {
            link: target.into(),
            ..Entry::new(path, Kind::Symlink, 0o777)
        },
        b"",
    )
}

pub(crate) fn link<'a>(path: &str, target: &str) -> (Entry, &'a [u8]) {
    (
        Entry {
            link: target.into(),
            ..Entry::new(path, Kind::Link, 0o644)
        },
        b"",
    )
}
