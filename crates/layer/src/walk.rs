//! Reading directories through descriptors: names in order, and what the kernel knows of a file.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Statx, StatxFlags, openat, statx};
use rustix::io::Errno;

/// What is known of a file without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) kind: FileType,
    /// Permission bits with setuid, setgid, sticky.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u64,
    /// Allocated, in units of 512 bytes.
    pub(crate) blocks: u64,
    pub(crate) links: u32,
    pub(crate) dev: (u32, u32),
    pub(crate) ino: u64,
    pub(crate) device: (u32, u32),
    pub(crate) mtime: (i64, u32),
    pub(crate) ctime: (i64, u32),
}

impl Meta {
    /// Of `name` in `dir`, a link not followed; of `dir` itself if the name is empty.
    pub(crate) fn of(dir: impl AsFd, name: &CStr) -> Result<Self, Errno> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT;
        let stat = statx(dir, name, flags, StatxFlags::BASIC_STATS)?;
        Ok(Self::from_statx(&stat))
    }

    /// Of an open file.
    pub(crate) fn of_fd(file: impl AsFd) -> Result<Self, Errno> {
        Self::of(file, c"")
    }

    fn from_statx(stat: &Statx) -> Self {
        let mode = u32::from(stat.stx_mode);
        Self {
            kind: FileType::from_raw_mode(mode),
            mode: mode & 0o7777,
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            size: stat.stx_size,
            blocks: stat.stx_blocks,
            links: stat.stx_nlink,
            dev: (stat.stx_dev_major, stat.stx_dev_minor),
            ino: stat.stx_ino,
            device: (stat.stx_rdev_major, stat.stx_rdev_minor),
            mtime: (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
            ctime: (stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec),
        }
    }

    /// Which file it is.
    pub(crate) fn id(&self) -> FileId {
        FileId {
            dev: self.dev,
            ino: self.ino,
        }
    }

    /// Whether overlayfs takes it for a deleted name.
    pub(crate) fn is_whiteout(&self) -> bool {
        self.kind == FileType::CharacterDevice && self.device == (0, 0)
    }

    /// Whether there may be other names of the same file.
    pub(crate) fn is_linked(&self) -> bool {
        self.links > 1 && self.kind != FileType::Directory
    }

    /// Bytes on disk.
    pub(crate) fn disk(&self) -> u64 {
        self.blocks.saturating_mul(512)
    }

    /// Whether it takes less room than its size.
    pub(crate) fn is_sparse(&self) -> bool {
        self.disk() < self.size
    }
}

/// Device and inode number: what makes a file the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FileId {
    dev: (u32, u32),
    ino: u64,
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) name: CString,
    pub(crate) kind: FileType,
}

/// The names in an open directory (not `O_PATH`, and not read from before), sorted by bytes.
pub(crate) fn names(dir: impl AsFd) -> Result<Vec<Name>, Errno> {
    let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
    let mut entries = RawDir::new(dir.as_fd(), &mut buffer);
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(Name {
                name: name.to_owned(),
                kind: entry.file_type(),
            });
        }
    }
    names.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(names)
}

/// Opens a directory to be read; a link is not followed.
pub(crate) fn open_directory(dir: impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
    openat(
        dir,
        name,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// Opens a regular file to be read; a link is not followed, and nothing happens if it turns out to be something else.
///
/// That it is read is noted nowhere if this process may ask for that (`open(2)`, `O_NOATIME`): the note would be written to the
/// disk for each file that is new or was linked since.
pub(crate) fn open_file(dir: impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match openat(&dir, name, flags | OFlags::NOATIME, Mode::empty()) {
        // It is somebody else's.
        Err(Errno::PERM) => openat(dir, name, flags, Mode::empty()),
        opened => opened,
    }
}

/// The directories that a walk is in, from its top to the one at hand, with the names in each that are still to come.
///
/// No more than [`KEPT`] descriptors are open whatever the depth: those further up are closed and found again
/// through `..`, which is checked to be the same directory.
#[derive(Debug)]
pub(crate) struct Walk {
    levels: Vec<Level>,
    /// Path of the directory at hand, relative to the top.
    path: Vec<u8>,
}

/// How many directories of a walk are kept open.
const KEPT: usize = 64;

#[derive(Debug)]
struct Level {
    dir: Option<Arc<OwnedFd>>,
    id: FileId,
    names: std::vec::IntoIter<Name>,
    /// Length of the path of the directory above.
    above: usize,
}

/// What comes next in a walk.
#[derive(Debug)]
pub(crate) enum Next {
    /// A name in the directory at hand.
    Name(Name),
    /// There are no more, and the directory above is at hand again. Has the path of the one that is left.
    Left(Vec<u8>),
    /// The top is done.
    Done,
}

impl Walk {
    /// Starts in `top`, which must be open for reading.
    pub(crate) fn new(top: OwnedFd) -> Result<Self, Errno> {
        let mut walk = Self {
            levels: Vec::new(),
            path: Vec::new(),
        };
        walk.push(top, 0)?;
        Ok(walk)
    }

    fn push(&mut self, dir: OwnedFd, above: usize) -> Result<(), Errno> {
        let id = Meta::of_fd(&dir)?.id();
        let names = names(&dir)?.into_iter();
        self.levels.push(Level {
            dir: Some(Arc::new(dir)),
            id,
            names,
            above,
        });
        if let Some(far) = self.levels.len().checked_sub(KEPT + 1) {
            self.levels[far].dir = None;
        }
        Ok(())
    }

    /// The directory at hand.
    pub(crate) fn dir(&self) -> &Arc<OwnedFd> {
        self.levels
            .last()
            .and_then(|level| level.dir.as_ref())
            .expect("the directory at hand is open")
    }

    /// Path of a name in the directory at hand, relative to the top.
    pub(crate) fn path_of(&self, name: &CStr) -> Vec<u8> {
        crate::root::join(&self.path, name.to_bytes())
    }

    /// Goes into the directory `name`, which is open for reading as `dir`.
    pub(crate) fn enter(&mut self, name: &CStr, dir: OwnedFd) -> Result<(), Errno> {
        let above = self.path.len();
        self.path = self.path_of(name);
        self.push(dir, above)
    }

    /// The next name or the way back.
    pub(crate) fn next(&mut self) -> Result<Next, Errno> {
        let Some(level) = self.levels.last_mut() else {
            return Ok(Next::Done);
        };
        if let Some(name) = level.names.next() {
            return Ok(Next::Name(name));
        }
        let left = self.levels.pop().expect("it was there just now");
        let path = self.path.clone();
        self.path.truncate(left.above);
        let Some(parent) = self.levels.last_mut() else {
            return Ok(Next::Done);
        };
        if parent.dir.is_none() {
            let found = open_directory(left.dir.as_ref().expect("the directory at hand is open"), c"..")?;
            if Meta::of_fd(&found)?.id() != parent.id {
                // Somebody moved the directory away meanwhile.
                return Err(Errno::STALE);
            }
            parent.dir = Some(Arc::new(found));
        }
        Ok(Next::Left(path))
    }
}
