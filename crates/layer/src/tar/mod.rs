//! The tar format: POSIX.1-2017 pax (with the parts of GNU's that are found in the wild, for reading).
//!
//! Written is ustar with pax records only where a field does not hold its value, laid out as Go's `archive/tar` does
//! with its PAX format, which is what most layers of the world are made by.

mod header;
mod pax;
mod read;
mod sparse;
mod write;

pub(crate) use header::Header;
pub use read::Reader;
pub use write::Writer;

/// Size of a header, and the multiple to which content is padded.
pub const BLOCK: usize = 512;

/// What an entry makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A hard link to an earlier entry.
    Link,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

/// One entry: everything but its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name as in the archive, any bytes but NUL. Directories end in `/` when written.
    pub path: Vec<u8>,
    /// What it makes.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky, `0o7777` at most.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of last modification: seconds since 1970 (negative before), and nanoseconds that are added to them.
    pub mtime: (i64, u32),
    /// Length of a regular file in bytes, holes included; zero for all else.
    pub size: u64,
    /// Target of a hard or symbolic link.
    pub link: Vec<u8>,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Extended attributes: name and value, sorted by name when written.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Set for a sparse file: offset and length of each piece of data, which follow one another in the archive.
    pub sparse: Option<Vec<(u64, u64)>>,
}

impl Entry {
    /// An entry owned by root, from 1970, with nothing special.
    pub fn new(path: impl Into<Vec<u8>>, kind: Kind, mode: u32) -> Self {
        Self {
            path: path.into(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: (0, 0),
            size: 0,
            link: Vec::new(),
            device: (0, 0),
            xattrs: Vec::new(),
            sparse: None,
        }
    }
}

/// How many bytes follow content of this length up to the next block.
pub(crate) fn padding(size: u64) -> usize {
    let rest = at_most(size % BLOCK as u64, BLOCK);
    if rest == 0 { 0 } else { BLOCK - rest }
}

/// `count`, but no more than `limit`: how much of it is dealt with at once.
pub(crate) fn at_most(count: u64, limit: usize) -> usize {
    usize::try_from(count).map_or(limit, |count| count.min(limit))
}

/// Whether the bytes begin with a tar header, going by its checksum.
pub(crate) fn is_header(bytes: &[u8]) -> bool {
    bytes.first_chunk().and_then(Header::of).is_some()
}
