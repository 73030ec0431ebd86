//! How large a layer directory is.

use std::collections::HashSet;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, openat};

use crate::Error;
use crate::root::path_of;
use crate::walk::{Meta, Next, Walk, open_directory};

/// How large a tree is, a file with several names counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes on disk of everything.
    pub disk: u64,
}

/// Measures what is below the directory, and the directory.
pub fn disk_usage(dir: &Path) -> Result<Usage, Error> {
    disk_usage_without(dir, &|_| false)
}

/// The same without files that are `known`, by their paths below the directory: they are not looked at.
pub fn disk_usage_without(dir: &Path, known: &dyn Fn(&Path) -> bool) -> Result<Usage, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = openat(CWD, dir, flags, Mode::empty()).map_err(Error::at("open the directory", dir))?;
    let meta = Meta::of_fd(&top).map_err(Error::at("examine", dir))?;
    let mut usage = Usage {
        bytes: 0,
        disk: meta.disk(),
    };
    let mut walk = Walk::new(top).map_err(Error::at("read the directory", dir))?;
    let mut seen = HashSet::new();
    loop {
        match walk.next().map_err(Error::at("walk", dir))? {
            Next::Name(name) if name.kind == FileType::Directory => {
                let path = || dir.join(path_of(&walk.path_of(&name.name)));
                let opened =
                    open_directory(walk.dir(), &name.name).map_err(|errno| Error::at("open", path())(errno))?;
                let meta = Meta::of_fd(&opened).map_err(|errno| Error::at("examine", path())(errno))?;
                usage.disk += meta.disk();
                walk.enter(&name.name, opened)
                    .map_err(Error::at("read the directory", dir))?;
            }
            Next::Name(name) if known(path_of(&walk.path_of(&name.name))) => {}
            Next::Name(name) => {
                let meta = Meta::of(walk.dir(), &name.name);
                let meta =
                    meta.map_err(|errno| Error::at("examine", dir.join(path_of(&walk.path_of(&name.name))))(errno))?;
                if !meta.is_linked() || seen.insert(meta.id()) {
                    usage.disk += meta.disk();
                    if meta.kind == FileType::RegularFile {
                        usage.bytes += meta.size;
                    }
                }
            }
            Next::Left(_) => {}
            Next::Done => return Ok(usage),
        }
    }
}
