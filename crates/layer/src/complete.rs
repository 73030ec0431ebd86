//! What a layer takes from those below it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid, fchmod, fchown, futimens, linkat};
use rustix::io::Errno;

use crate::copy::{CopyOptions, copy_tree};
use crate::extract::times;
use crate::remove::remove;
use crate::root::{self, bytes_of, path_of, split};
use crate::unpack::Unpacked;
use crate::walk::{Meta, open_directory};
use crate::{Error, settle, xattr};

/// Completes the layer in `dir` with what it says only about the layers below, of which `lower` is the merged tree:
/// directories that no entry describes get the metadata that they have there, and files that are only linked to are
/// copied up and linked.
pub fn complete(dir: &Path, lower: BorrowedFd<'_>, unpacked: &Unpacked) -> Result<(), Error> {
    let root = settle::open_layer(dir)?;
    let mut implicit: BTreeSet<Vec<u8>> = unpacked
        .implicit_dirs
        .iter()
        .map(|path| bytes_of(path).to_vec())
        .collect();
    for (link, target) in &unpacked.missing_links {
        complete_link(&root, lower, bytes_of(link), bytes_of(target), &mut implicit)?;
    }
    // Deepest first, so that setting one changes no time that is set already.
    for path in implicit.iter().rev() {
        complete_directory(&root, lower, path).map_err(Error::at("set the attributes of", path_of(path)))?;
    }
    Ok(())
}

fn complete_directory(root: &OwnedFd, lower: BorrowedFd<'_>, path: &[u8]) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let below = match root::open(lower, path, flags) {
        Ok(below) => below,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    let meta = Meta::of_fd(&below)?;
    let (xattrs, _) = xattr::read(&below)?;
    let directory = root::open(root, path, flags)?;
    fchown(&directory, Some(Uid::from_raw(meta.uid)), Some(Gid::from_raw(meta.gid)))?;
    xattr::apply(&directory, &xattrs)?;
    fchmod(&directory, Mode::from_raw_mode(meta.mode))?;
    futimens(&directory, &times(meta.mtime))
}

/// The target counts where it is once all layers are one: what leads to it may be a link of a lower layer, which has to stay
/// one.
fn complete_link(
    root: &OwnedFd,
    lower: BorrowedFd<'_>,
    link: &[u8],
    target: &[u8],
    implicit: &mut BTreeSet<Vec<u8>>,
) -> Result<(), Error> {
    let examine = || Error::at("examine", path_of(target));
    let found = settle::place(&[root.as_fd(), lower], target).map_err(examine())?;
    let Some(place) = found.filter(|place| place.strip_prefix(link).is_none_or(|rest| !rest.starts_with(b"/"))) else {
        // This layer hides the target, maybe by the link itself, which stays alone.
        return copy_up(root, lower, link, target, link);
    };
    match root::open(root, &place, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(_) => {}
        Err(Errno::NOENT) => {
            let above = split(&place).0;
            let made = root::make_directories(root.as_fd(), above, &mut |path| {
                implicit.insert(path.to_vec());
            });
            drop(made.map_err(Error::at("create the directory", path_of(above)))?);
            copy_up(root, lower, link, &place, &place)?;
        }
        Err(errno) => return Err(examine()(errno)),
    }
    make_link(root, link, &place).map_err(Error::at("create the hard link", path_of(link)))
}

fn copy_up(root: &OwnedFd, lower: BorrowedFd<'_>, link: &[u8], target: &[u8], to: &[u8]) -> Result<(), Error> {
    let missing = || {
        let what = format!(
            "it is a hard link to `{}`, which is no file of this layer or those below",
            path_of(target).display()
        );
        Error::refused(link, what)
    };
    let found = match root::open(lower, target, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(found) => Meta::of_fd(&found).map_err(Error::at("examine", path_of(target)))?,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Err(missing()),
        Err(errno) => return Err(Error::at("open", path_of(target))(errno)),
    };
    if found.kind == FileType::Directory {
        return Err(missing());
    }
    let options = CopyOptions {
        no_follow: true,
        ..CopyOptions::default()
    };
    copy_tree(lower, path_of(target), root.as_fd(), path_of(to), &options).map(drop)
}

/// Links in place of what is there, keeping the time of the directory.
fn make_link(root: &OwnedFd, link: &[u8], target: &[u8]) -> Result<(), Errno> {
    let directory = |path: &[u8]| root::open(root, split(path).0, OFlags::PATH | OFlags::DIRECTORY);
    let (from, to) = (directory(target)?, directory(link)?);
    let (from_name, to_name) = (OsStr::from_bytes(split(target).1), OsStr::from_bytes(split(link).1));
    let there = Meta::of_fd(&to)?;
    if there.id() == Meta::of_fd(&from)?.id() && from_name == to_name {
        return Ok(());
    }
    let make = || linkat(&from, from_name, &to, to_name, AtFlags::empty());
    match make() {
        Err(Errno::EXIST) => {
            remove(&to, to_name)?;
            make()?;
        }
        result => result?,
    }
    futimens(open_directory(&to, c".")?, &times(there.mtime))
}
