//! Finding directories below a root for paths that come in an order of their own, mostly neighbours.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::root;
use crate::walk::Meta;

/// How many directories are kept open.
const KEPT: usize = 64;

/// The chain of directories of the last path, so that the next one costs only the components that differ.
///
/// Each component is opened alone, a link not followed. Where there is a link, the whole path is looked up by the
/// kernel, which keeps it within the root.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    root: BorrowedFd<'a>,
    top: Arc<OwnedFd>,
    /// Path of the chain's last directory.
    path: Vec<u8>,
    /// The chain: length of each directory's path, and the directory if it is kept open.
    chain: Vec<(usize, Option<Arc<OwnedFd>>)>,
    /// Directories that were made because something lies below them.
    pub(crate) made: BTreeSet<Vec<u8>>,
}

/// What to do about a missing directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Make,
    Fail,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(root: BorrowedFd<'a>) -> Result<Self, Errno> {
        let top = Arc::new(root::open(root, b"", OFlags::PATH | OFlags::DIRECTORY)?);
        Ok(Self {
            root,
            top,
            path: Vec::new(),
            chain: Vec::new(),
            made: BTreeSet::new(),
        })
    }

    /// Forgets what is known: a directory or a link was removed or replaced.
    pub(crate) fn forget(&mut self) {
        self.chain.clear();
        self.path.clear();
    }

    /// The directory with this [clean](root::clean) path.
    pub(crate) fn enter(&mut self, path: &[u8], missing: Missing) -> Result<Arc<OwnedFd>, Errno> {
        self.back_to_common(path);
        loop {
            let known = self.chain.last().map_or(0, |(length, _)| *length);
            if known == path.len() {
                return Ok(self.current());
            }
            let start = if known == 0 { 0 } else { known + 1 };
            let end = path[start..]
                .iter()
                .position(|&byte| byte == b'/')
                .map_or(path.len(), |at| start + at);
            let directory = self.step(&path[..end], &path[start..end], missing)?;
            self.path.truncate(known);
            self.path.extend_from_slice(&path[known..end]);
            self.chain.push((end, Some(Arc::new(directory))));
            if let Some(far) = self.chain.len().checked_sub(KEPT + 1) {
                self.chain[far].1 = None;
            }
        }
    }

    fn current(&self) -> Arc<OwnedFd> {
        let current = self
            .chain
            .last()
            .map_or(Some(&self.top), |(_, directory)| directory.as_ref());
        Arc::clone(current.expect("the last directory of the chain is open"))
    }

    /// Shortens the chain to what it has in common with `path` and is still open.
    fn back_to_common(&mut self, path: &[u8]) {
        let is_above = |length: usize, own: &[u8]| {
            path.len() >= length && path[..length] == own[..length] && matches!(path.get(length), None | Some(b'/'))
        };
        while let Some((length, directory)) = self.chain.last() {
            if directory.is_some() && is_above(*length, &self.path) {
                break;
            }
            self.chain.pop();
        }
        self.path.truncate(self.chain.last().map_or(0, |(length, _)| *length));
    }

    fn step(&mut self, path: &[u8], name: &[u8], missing: Missing) -> Result<OwnedFd, Errno> {
        let parent = self.current();
        let os_name = OsStr::from_bytes(name);
        if matches!(name, b"" | b"." | b"..") {
            // No clean path, and it could lead out of the root.
            return Err(Errno::INVAL);
        }
        match openat(&*parent, os_name, root::DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT) if missing == Missing::Make => {
                root::make_directory(&*parent, os_name)?;
                self.made.insert(path.to_vec());
                openat(&*parent, os_name, root::DIRECTORY, Mode::empty())
            }
            Err(Errno::NOTDIR | Errno::LOOP) => self.through_link(&parent, path, name, missing),
            result => result,
        }
    }

    fn through_link(&mut self, parent: &OwnedFd, path: &[u8], name: &[u8], missing: Missing) -> Result<OwnedFd, Errno> {
        let name = std::ffi::CString::new(name).map_err(|_| Errno::INVAL)?;
        if Meta::of(parent, &name)?.kind != FileType::Symlink {
            return Err(Errno::NOTDIR);
        }
        match missing {
            Missing::Fail => root::open(self.root, path, OFlags::PATH | OFlags::DIRECTORY),
            Missing::Make => {
                let made = &mut self.made;
                root::make_directories(self.root.as_fd(), path, &mut |path| {
                    made.insert(path.to_vec());
                })
            }
        }
    }
}
