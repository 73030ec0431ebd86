//! Removing whatever a name stands for.

use std::ffi::{CString, OsStr};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, FileType, unlinkat};
use rustix::io::Errno;

use crate::root::split;
use crate::walk::{Meta, Next, Walk, open_directory};

/// Removes `name` from `directory`, with everything below it. No link is followed.
pub(crate) fn remove(directory: impl AsFd, name: &OsStr) -> Result<(), Errno> {
    match unlinkat(&directory, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        // Some file systems say so of directories.
        Err(Errno::PERM) if is_directory(&directory, name)? => {}
        result => return result,
    }
    let c_name = CString::new(name.as_bytes()).map_err(|_| Errno::INVAL)?;
    remove_below(open_directory(&directory, &c_name)?)?;
    unlinkat(&directory, name, AtFlags::REMOVEDIR)
}

/// Removes everything in an open directory. No link is followed.
pub(crate) fn remove_below(directory: impl AsFd) -> Result<(), Errno> {
    let mut walk = Walk::new(open_directory(directory, c".")?)?;
    loop {
        match walk.next()? {
            Next::Name(entry) => match unlinkat(walk.dir(), &*entry.name, AtFlags::empty()) {
                Err(Errno::ISDIR | Errno::PERM) => {
                    let inner = open_directory(walk.dir(), &entry.name)?;
                    walk.enter(&entry.name, inner)?;
                }
                result => result?,
            },
            Next::Left(path) => unlinkat(walk.dir(), OsStr::from_bytes(split(&path).1), AtFlags::REMOVEDIR)?,
            Next::Done => return Ok(()),
        }
    }
}

fn is_directory(directory: impl AsFd, name: &OsStr) -> Result<bool, Errno> {
    let name = CString::new(name.as_bytes()).map_err(|_| Errno::INVAL)?;
    Ok(Meta::of(directory, &name)?.kind == FileType::Directory)
}
