//! Where something is copied to.

use std::ffi::{CString, OsStr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, readlinkat, utimensat};
use rustix::io::Errno;

use crate::Error;
use crate::extract::times;
use crate::remove::remove;
use crate::root::{self, clean_in_root, join, split};
use crate::walk::Meta;

/// A name in the destination.
pub(super) struct Place {
    pub(super) directory: Arc<OwnedFd>,
    pub(super) name: CString,
    /// What the directory's time was before anything was changed, if that is to stay.
    pub(super) mtime: Option<(i64, u32)>,
    /// Whether a directory that is there makes way, with all that is in it.
    pub(super) replace_directory: bool,
}

impl Place {
    pub(super) fn meta(&self) -> Result<Meta, Errno> {
        Meta::of(&*self.directory, &self.name)
    }

    /// Makes something in place of what is there.
    pub(super) fn create<T>(&self, make: impl Fn() -> Result<T, Errno>, path: &Path) -> Result<T, Error> {
        match make() {
            Err(Errno::EXIST) => {}
            result => return result.map_err(Error::at("create", path)),
        }
        let meta = self.meta().map_err(Error::at("examine", path))?;
        if meta.kind == FileType::Directory && !self.replace_directory {
            return Err(Error::IsADirectory { path: path.to_owned() });
        }
        remove(&*self.directory, OsStr::from_bytes(self.name.to_bytes())).map_err(Error::at("replace", path))?;
        make().map_err(Error::at("create", path))
    }

    pub(super) fn restore_mtime(&self) -> Result<(), Errno> {
        match self.mtime {
            Some(mtime) => utimensat(&*self.directory, c"", &times(mtime), AtFlags::EMPTY_PATH),
            None => Ok(()),
        }
    }
}

/// Makes a file with this mode, as far as the process's umask and the directory let it; whoever made it may write it in any
/// case. It gives nobody rights yet.
pub(super) fn create_file(place: &Place, mode: u32) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(
        &*place.directory,
        &*place.name,
        flags,
        Mode::from_raw_mode(mode & 0o777),
    )
}

/// Where a file goes: links followed inside the root, the last one unless it is to be replaced; the directories above
/// made.
pub(super) fn locate(root: BorrowedFd<'_>, path: &Path, replace_link: bool) -> Result<Place, Error> {
    let mut raw = clean_in_root(path);
    for _ in 0..40 {
        let (above, name) = split(&raw);
        if matches!(name, b"" | b"." | b"..") {
            return Err(Error::IsADirectory { path: path.to_owned() });
        }
        let directory =
            root::make_directories(root, above, &mut |_| ()).map_err(Error::at("create the directory of", path))?;
        let name = CString::new(name).map_err(|_| Error::at("create", path)(Errno::INVAL))?;
        match readlinkat(&directory, &*name, Vec::new()) {
            Ok(target) if !replace_link && target.as_bytes().starts_with(b"/") => raw = target.into_bytes(),
            Ok(target) if !replace_link => raw = join(above, target.as_bytes()),
            Ok(_) | Err(Errno::INVAL | Errno::NOENT) => {
                let mtime = Meta::of_fd(&directory)
                    .map_err(Error::at("examine the directory of", path))?
                    .mtime;
                return Ok(Place {
                    directory: Arc::new(directory),
                    name,
                    mtime: Some(mtime),
                    replace_directory: false,
                });
            }
            Err(errno) => return Err(Error::at("examine", path)(errno)),
        }
    }
    Err(Error::at("examine", path)(Errno::LOOP))
}
