//! What is to be copied.

use std::ffi::CString;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{FileType, OFlags, readlinkat};
use rustix::io::Errno;

use crate::root;
use crate::walk::{self, Meta, Name};

/// What is to be copied, opened.
pub(super) enum Source {
    File(OwnedFd, Meta),
    Directory(OwnedFd, Meta),
    Symlink(CString, Meta),
    /// Devices, pipes, sockets: there is nothing to read.
    Node(Meta),
}

impl Source {
    pub(super) fn open(root: BorrowedFd<'_>, path: &[u8], no_follow: bool) -> Result<Self, Errno> {
        let nofollow = if no_follow { OFlags::NOFOLLOW } else { OFlags::empty() };
        let found = root::open(root, path, OFlags::PATH | nofollow)?;
        let meta = Meta::of_fd(&found)?;
        match meta.kind {
            FileType::Directory => Ok(Self::Directory(walk::open_directory(&found, c".")?, meta)),
            FileType::RegularFile => {
                let file = root::open(
                    root,
                    path,
                    OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | nofollow,
                )?;
                Self::checked(file)
            }
            FileType::Symlink => Ok(Self::Symlink(readlinkat(&found, c"", Vec::new())?, meta)),
            _ => Ok(Self::Node(meta)),
        }
    }

    /// A name in a directory that is no directory.
    pub(super) fn in_directory(dir: &OwnedFd, name: &Name) -> Result<Self, Errno> {
        if name.kind == FileType::RegularFile {
            return Self::checked(walk::open_file(dir, &name.name)?);
        }
        let meta = Meta::of(dir, &name.name)?;
        match meta.kind {
            FileType::Directory => Ok(Self::Directory(walk::open_directory(dir, &name.name)?, meta)),
            FileType::RegularFile => Self::checked(walk::open_file(dir, &name.name)?),
            FileType::Symlink => Ok(Self::Symlink(readlinkat(dir, &*name.name, Vec::new())?, meta)),
            _ => Ok(Self::Node(meta)),
        }
    }

    pub(super) fn checked(file: OwnedFd) -> Result<Self, Errno> {
        let meta = Meta::of_fd(&file)?;
        // Replaced since it was listed.
        if meta.kind == FileType::RegularFile {
            Ok(Self::File(file, meta))
        } else {
            Err(Errno::STALE)
        }
    }

    pub(super) fn meta(&self) -> &Meta {
        match self {
            Self::File(_, meta) | Self::Directory(_, meta) | Self::Symlink(_, meta) | Self::Node(meta) => meta,
        }
    }
}
