//! How large a layer directory is.

use std::collections::HashSet;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, openat};

use crate::Error;
use crate::root::path_of;
use crate::walk::{Meta, Next, Walk, open_directory};

/// Bytes of all files below the directory, a file with several names counted once.
pub fn disk_usage(dir: &Path) -> Result<u64, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = openat(CWD, dir, flags, Mode::empty()).map_err(Error::at("open the directory", dir))?;
    let mut walk = Walk::new(top).map_err(Error::at("read the directory", dir))?;
    let mut seen = HashSet::new();
    let mut bytes = 0;
    loop {
        match walk.next().map_err(Error::at("walk", dir))? {
            Next::Name(name) if name.kind == FileType::Directory => {
                let path = || dir.join(path_of(&walk.path_of(&name.name)));
                let opened =
                    open_directory(walk.dir(), &name.name).map_err(|errno| Error::at("open", path())(errno))?;
                walk.enter(&name.name, opened)
                    .map_err(Error::at("read the directory", dir))?;
            }
            Next::Name(name) => {
                let meta = Meta::of(walk.dir(), &name.name);
                let meta =
                    meta.map_err(|errno| Error::at("examine", dir.join(path_of(&walk.path_of(&name.name))))(errno))?;
                if meta.kind == FileType::RegularFile && (!meta.is_linked() || seen.insert(meta.id())) {
                    bytes += meta.size;
                }
            }
            Next::Left(_) => {}
            Next::Done => return Ok(bytes),
        }
    }
}
