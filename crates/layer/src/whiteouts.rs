//! Whiteouts that hide nothing.

use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, openat2, unlinkat, utimensat};
use rustix::io::Errno;

use crate::extract::times;
use crate::root::path_of;
use crate::walk::{Meta, Next, Walk, open_directory};
use crate::{Error, xattr};

/// Removes those whiteouts of the layer in `dir` behind which the layers below, of which `lower` is the merged tree, have
/// nothing: where a directory is one layer's alone the kernel lists its whiteouts as names. `None`: there is nothing
/// below.
///
/// Directories keep their times.
pub fn remove_idle_whiteouts(dir: BorrowedFd<'_>, lower: Option<BorrowedFd<'_>>) -> Result<(), Error> {
    let at_top = |errno| Error::at("read the directory", Path::new("/"))(errno);
    let mut walk = Walk::new(open_directory(dir, c".").map_err(at_top)?).map_err(at_top)?;
    // For each directory that the walk is in, whether it or one above hides all that lies below.
    let mut opaque = vec![false];
    loop {
        match walk.next().map_err(at_top)? {
            Next::Done => return Ok(()),
            Next::Left(_) => drop(opaque.pop()),
            Next::Name(name) => {
                let path = walk.path_of(&name.name);
                let failed = |errno| Error::at("examine", path_of(&path))(errno);
                let hidden = opaque.last().copied().unwrap_or_default();
                let meta = Meta::of(walk.dir(), &name.name).map_err(failed)?;
                if meta.kind == FileType::Directory {
                    let inner = open_directory(walk.dir(), &name.name).map_err(failed)?;
                    opaque.push(hidden || xattr::read(&inner).map_err(failed)?.1);
                    walk.enter(&name.name, inner).map_err(failed)?;
                } else if meta.is_whiteout() && (hidden || !has(lower, &path).map_err(failed)?) {
                    let before = Meta::of_fd(walk.dir()).map_err(failed)?.mtime;
                    unlinkat(walk.dir(), &*name.name, AtFlags::empty()).map_err(failed)?;
                    utimensat(walk.dir(), c"", &times(before), AtFlags::EMPTY_PATH).map_err(failed)?;
                }
            }
        }
    }
}

/// Whether there is something at the path. A link on the way leads nowhere: the layer has a directory in its place.
fn has(lower: Option<BorrowedFd<'_>>, path: &[u8]) -> Result<bool, Errno> {
    let Some(lower) = lower else { return Ok(false) };
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    loop {
        match openat2(lower, path_of(path), flags, Mode::empty(), resolve) {
            Ok(_) => return Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(false),
            Err(Errno::AGAIN) => {}
            Err(errno) => return Err(errno),
        }
    }
}
