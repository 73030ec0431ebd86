//! The index of a layer's directory.

use std::collections::HashMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use kiln_layer::{Counted, DigestOptions, digest_tree};
use rustix::fs::{CWD, FileType, Mode, OFlags, openat};

use super::{Entry, Kind, LayerIndex, TooMuch};
use crate::error::Error;

impl LayerIndex {
    /// Of a directory in the format of an overlay's upper directory. Every file is read once, by a few threads.
    pub fn of_directory(path: &Path) -> Result<Self, Error> {
        let top = open(path)?;
        let options = DigestOptions {
            content_only: true,
            ..DigestOptions::default()
        };
        let mut scan = Scan::default();
        digest_tree(top.as_fd(), Path::new(""), &options, &mut |counted| scan.add(&counted))
            .map_err(Error::layer(path))?;
        scan.finish()
            .map_err(|TooMuch| Error::TooMuch { layer: path.to_owned() })
    }
}

/// Opens a layer's directory, to look things up in.
pub(crate) fn open(path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).map_err(|errno| Error::Open {
        layer: path.to_owned(),
        source: errno.into(),
    })
}

struct Scan {
    index: LayerIndex,
    /// The directories on the way to the last entry, by length of their paths.
    open: Vec<(usize, u32)>,
    /// Files that may have more names, by what makes them the same.
    linked: HashMap<((u32, u32), u64), u32>,
    failed: bool,
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            index: LayerIndex::empty(),
            open: vec![(0, 0)],
            linked: HashMap::new(),
            failed: false,
        }
    }
}

impl Scan {
    fn add(&mut self, counted: &Counted) {
        self.failed = self.failed || self.try_add(counted).is_err();
    }

    fn finish(self) -> Result<LayerIndex, TooMuch> {
        if self.failed { Err(TooMuch) } else { Ok(self.index) }
    }

    fn try_add(&mut self, counted: &Counted) -> Result<(), TooMuch> {
        let Some(kind) = kind(counted) else { return Ok(()) };
        let (directory, name) = match counted.path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (slash, &counted.path[slash + 1..]),
            None => (0, &counted.path[..]),
        };
        // The walk is depth first: the directory is the last one whose path is as long as this one's beginning.
        while self.open.len() > 1 && self.open.last().is_some_and(|(length, _)| *length > directory) {
            self.open.pop();
        }
        let parent = self.open.last().map_or(0, |(_, number)| *number);
        let mut entry = describe(counted, parent, kind);
        if counted.path.is_empty() {
            *self.index.entry_mut(0) = entry;
            return Ok(());
        }
        let same_as = (kind == Kind::File && counted.is_linked)
            .then(|| self.linked.get(&counted.inode).copied())
            .flatten();
        if same_as.is_some() {
            entry.same_as = same_as;
            entry.size = 0;
            entry.digest = [0; 32];
        }
        let number = self.index.push(entry, name, &counted.target)?;
        if kind == Kind::Directory {
            self.open.push((counted.path.len(), number));
        } else if counted.is_linked && same_as.is_none() {
            self.linked.insert(counted.inode, number);
        }
        Ok(())
    }
}

fn describe(counted: &Counted, parent: u32, kind: Kind) -> Entry {
    let is_file = kind == Kind::File;
    Entry {
        is_opaque: counted.is_opaque,
        mode: u16::try_from(counted.mode & 0o7777).unwrap_or_default(),
        uid: counted.owner.0,
        gid: counted.owner.1,
        size: if is_file { counted.size } else { 0 },
        digest: if is_file { counted.digest } else { [0; 32] },
        ..Entry::new(parent, kind)
    }
}

/// Sockets are never part of a layer.
fn kind(counted: &Counted) -> Option<Kind> {
    Some(match counted.kind {
        FileType::Directory => Kind::Directory,
        FileType::RegularFile => Kind::File,
        FileType::Symlink => Kind::Symlink,
        FileType::CharacterDevice if counted.is_whiteout() => Kind::Whiteout,
        FileType::CharacterDevice => Kind::Char,
        FileType::BlockDevice => Kind::Block,
        FileType::Fifo => Kind::Fifo,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_directory_is_written_down_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir_all(at("a/b")).unwrap();
        std::fs::create_dir(at("a-c")).unwrap();
        std::fs::write(at("a/b/f"), "content").unwrap();
        std::fs::write(at("a/z"), "content").unwrap();
        std::fs::hard_link(at("a/z"), at("a-c/linked")).unwrap();
        std::fs::set_permissions(at("a/b/f"), std::fs::Permissions::from_mode(0o4750)).unwrap();
        symlink("../a", at("a-c/s")).unwrap();
        let index = LayerIndex::of_directory(directory.path()).unwrap();
        let found: Vec<_> = index
            .entries()
            .iter()
            .map(|entry| {
                let parent = index.name(index.entry(entry.parent));
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                (
                    text(parent),
                    text(index.name(entry)),
                    entry.kind,
                    entry.size,
                    text(index.target(entry)),
                )
            })
            .collect();
        let row = |parent: &str, name: &str, kind, size, target: &str| {
            (parent.to_owned(), name.to_owned(), kind, size, target.to_owned())
        };
        assert_eq!(
            found,
            [
                row("", "", Kind::Directory, 0, ""),
                row("", "a", Kind::Directory, 0, ""),
                row("a", "b", Kind::Directory, 0, ""),
                row("b", "f", Kind::File, 7, ""),
                row("a", "z", Kind::File, 7, ""),
                row("", "a-c", Kind::Directory, 0, ""),
                row("a-c", "linked", Kind::File, 0, ""),
                row("a-c", "s", Kind::Symlink, 0, "../a"),
            ]
        );
        assert_eq!(index.entry(6).same_as, Some(4));
        assert_eq!(index.entry(3).mode, 0o4750);
        assert_eq!(index.entry(3).digest, index.entry(4).digest);
        assert_eq!(index.entry(3).digest, *blake3::hash(b"content").as_bytes());
        assert_eq!((index.bytes(), index.files()), (14, 4));
        assert!(!index.entry(0).is_implied);
    }
}
