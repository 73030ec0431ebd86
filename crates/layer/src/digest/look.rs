//! What there is at one path of a tree.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use blake3::Hasher;
use rustix::fs::{FileType, readlinkat};
use rustix::io::Errno;

use super::entry::{Counted, FileDigests, FileStat, add_bytes};
use crate::root::{join, path_of};
use crate::walk::{self, Meta};
use crate::{Error, xattr};

/// How all files of a tree are looked at.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    /// The path of what is digested, for errors.
    pub(super) top: &'a [u8],
    pub(super) owner: Option<(u32, u32)>,
    pub(super) mode: Option<u32>,
    pub(super) known: &'a dyn FileDigests,
    /// Whether extended attributes do not count.
    pub(super) content_only: bool,
}

/// A name in an open directory.
pub(super) struct Named {
    pub(super) directory: Arc<OwnedFd>,
    pub(super) name: CString,
    /// Relative to what is digested.
    pub(super) path: Vec<u8>,
}

/// What was found.
pub(super) enum Found {
    Whole(Counted),
    /// A large file, of which the digest is not known.
    Unread(Counted, Unread),
}

/// A file that is to be read.
pub(super) struct Unread {
    pub(super) directory: Arc<OwnedFd>,
    pub(super) name: CString,
    pub(super) meta: Meta,
}

/// Larger files are not read where they are found: others would wait for them.
const SMALL: u64 = 64 * 1024;

impl Look<'_> {
    /// What is at a path, but for the digest.
    pub(super) fn entry(&self, path: Vec<u8>, meta: &Meta) -> Counted {
        let mode = self.mode.filter(|_| meta.kind != FileType::Symlink);
        let is_file = meta.kind == FileType::RegularFile;
        Counted {
            path,
            kind: meta.kind,
            mode: mode.unwrap_or(meta.mode),
            owner: self.owner.unwrap_or((meta.uid, meta.gid)),
            size: if is_file { meta.size } else { 0 },
            target: Vec::new(),
            digest: [0; 32],
            mtime: meta.mtime,
            is_linked: meta.is_linked(),
            is_opaque: false,
            inode: (meta.dev, meta.ino),
            device: meta.device,
        }
    }

    /// What a name is of.
    pub(super) fn find(&self, named: Named) -> Result<Found, Error> {
        let Named { directory, name, path } = named;
        let meta = Meta::of(&directory, &name).map_err(self.failed("examine", &path))?;
        let mut entry = self.entry(path, &meta);
        match meta.kind {
            FileType::Symlink => {
                let target = readlinkat(&directory, &*name, Vec::new());
                entry.target = target.map_err(self.failed("read the link", &entry.path))?.into_bytes();
            }
            FileType::RegularFile => {
                if let Some(digest) = self.known(&meta) {
                    entry.digest = digest;
                } else {
                    let unread = Unread { directory, name, meta };
                    if meta.size > SMALL {
                        return Ok(Found::Unread(entry, unread));
                    }
                    entry.digest = self.read_named(&unread).map_err(self.failed("read", &entry.path))?;
                }
            }
            _ => {}
        }
        Ok(Found::Whole(entry))
    }

    /// The digest of a file that is not to be read.
    pub(super) fn known(&self, meta: &Meta) -> Option<[u8; 32]> {
        if self.content_only {
            // What is remembered is of the attributes, too.
            return None;
        }
        self.known.get(&FileStat::of(meta))
    }

    /// The digest of a file's content and attributes, which is remembered.
    pub(super) fn read_named(&self, file: &Unread) -> Result<[u8; 32], Errno> {
        self.read(walk::open_file(&file.directory, &file.name)?, &file.meta)
    }

    /// The same of an open file.
    pub(super) fn read(&self, file: OwnedFd, meta: &Meta) -> Result<[u8; 32], Errno> {
        if Meta::of_fd(&file)?.kind != FileType::RegularFile {
            return Err(Errno::STALE);
        }
        let xattrs = if self.content_only {
            Vec::new()
        } else {
            xattr::read(&file)?.0
        };
        let file = File::from(file);
        let mut content = Hasher::new();
        content
            .update_reader(&file)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        if self.content_only {
            return Ok(*content.finalize().as_bytes());
        }
        let mut hasher = Hasher::new();
        hasher.update(content.finalize().as_bytes());
        add_xattrs(&mut hasher, &xattrs);
        let digest = *hasher.finalize().as_bytes();
        if Meta::of_fd(&file)? == *meta {
            self.known.put(&FileStat::of(meta), digest);
        }
        Ok(digest)
    }

    /// What is to be said where something failed at a path.
    pub(super) fn failed(&self, action: &'static str, path: &[u8]) -> impl FnOnce(Errno) -> Error {
        move |error| Error::at(action, path_of(&join(self.top, path)))(error)
    }
}

/// The digest of an open directory's attributes, and whether it is opaque.
pub(super) fn attributes(directory: &OwnedFd) -> Result<([u8; 32], bool), Errno> {
    let (xattrs, is_opaque) = xattr::read(directory)?;
    let mut hasher = Hasher::new();
    add_xattrs(&mut hasher, &xattrs);
    Ok((*hasher.finalize().as_bytes(), is_opaque))
}

fn add_xattrs(hasher: &mut Hasher, xattrs: &xattr::Xattrs) {
    let mut buffer = Vec::new();
    for bytes in xattrs.iter().flat_map(|(name, value)| [name, value]) {
        add_bytes(&mut buffer, bytes);
    }
    hasher.update(&buffer);
}
