//! What counts of a tree's files, and what they are known by.

use rustix::fs::FileType;

use crate::walk::Meta;

/// What a file's digest is remembered by. If none of it changed, neither did content nor attributes, unless the file
/// was changed within the file system's granularity of time after it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileStat {
    /// Major and minor number of the file system.
    pub dev: (u32, u32),
    /// Inode number.
    pub ino: u64,
    /// Size in bytes.
    pub size: u64,
    /// Last change of the content: seconds since 1970 and nanoseconds.
    pub mtime: (i64, u32),
    /// Last change of anything.
    pub ctime: (i64, u32),
}

impl FileStat {
    pub(super) fn of(meta: &Meta) -> Self {
        Self {
            dev: meta.dev,
            ino: meta.ino,
            size: meta.size,
            mtime: meta.mtime,
            ctime: meta.ctime,
        }
    }
}

/// Remembers digests of files between builds.
///
/// An implementation must not believe an entry whose times are not clearly older than the moment at which it was put:
/// a file that is written to twice within a tick of the clock looks the same (git's "racy clean").
pub trait FileDigests: Sync {
    /// The digest that was put for a file that looked just so.
    fn get(&self, stat: &FileStat) -> Option<[u8; 32]>;
    /// Remembers a digest. The file looked like `stat` before and after it was read.
    fn put(&self, stat: &FileStat, digest: [u8; 32]);
}

/// Remembers nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFileDigests;

impl FileDigests for NoFileDigests {
    fn get(&self, _: &FileStat) -> Option<[u8; 32]> {
        None
    }

    fn put(&self, _: &FileStat, _: [u8; 32]) {}
}

/// What is at one path of a tree, as it counts in the tree's digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Relative to what is digested; empty for that itself.
    pub path: Vec<u8>,
    /// Its type.
    pub kind: FileType,
    /// Its permissions.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
    /// Bytes of a file; 0 for everything else.
    pub size: u64,
    /// Where a link leads.
    pub target: Vec<u8>,
    /// Of content and extended attributes; zeros where there can be neither.
    pub digest: [u8; 32],
    /// The last change of the content, which does not count: seconds since 1970 and nanoseconds.
    pub mtime: (i64, u32),
    /// Whether it has other names, which does not count either.
    pub is_linked: bool,
    /// Whether it is a directory that hides what lies below it in lower layers, which does not count either.
    pub is_opaque: bool,
    /// Device and inode number: names that have the same are of the same file. They do not count either.
    pub inode: ((u32, u32), u64),
    pub(super) device: (u32, u32),
}

impl Counted {
    /// Whether an overlay takes it for a deleted name.
    pub fn is_whiteout(&self) -> bool {
        self.kind == FileType::CharacterDevice && self.device == (0, 0)
    }

    pub(super) fn write(&self, buffer: &mut Vec<u8>) {
        add_bytes(buffer, &self.path);
        add_bytes(buffer, &self.target);
        let (uid, gid) = self.owner;
        let (major, minor) = self.device;
        for number in [self.kind.as_raw_mode(), self.mode, uid, gid, major, minor] {
            buffer.extend_from_slice(&number.to_le_bytes());
        }
        buffer.extend_from_slice(&self.digest);
    }
}

/// Length and bytes, so that two neighbours cannot be taken for two others.
pub(super) fn add_bytes(buffer: &mut Vec<u8>, bytes: &[u8]) {
    buffer.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    buffer.extend_from_slice(bytes);
}
