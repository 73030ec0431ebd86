//! Directories that came into the upper directory only because a mount point was made in them.
//!
//! Making `/root/.cache/pip` in an overlay copies `/root` up. When the mount point is gone again, an empty `root`
//! that changes nothing would stay in the layer.

use rustix::fs::{
    AtFlags, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, fstat, openat2, statat, unlinkat, utimensat,
};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

#[derive(Debug, Default)]
pub(crate) struct CopiedUp {
    /// None where nobody minds what stays.
    seen_by: Option<SeenBy>,
    /// Paths from the root, parents after their children, and what they were like.
    directories: Vec<(PathBuf, Looks)>,
}

/// What it takes to see which directories came.
#[derive(Debug)]
pub(crate) struct SeenBy {
    /// The upper directory.
    pub(crate) upper: OwnedFd,
    /// The descriptors of the thread that makes mount points, as the kernel's `/proc` shows them.
    pub(crate) descriptors: OwnedFd,
}

/// What a copied-up directory must still look like to be of no consequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Looks {
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: (i64, i64),
}

impl Looks {
    fn of(stat: &Stat) -> Self {
        let nanoseconds = i64::try_from(stat.st_mtime_nsec).unwrap_or_default();
        Self {
            mode: stat.st_mode,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: (stat.st_mtime, nanoseconds),
        }
    }
}

impl CopiedUp {
    pub(crate) fn new(seen_by: Option<SeenBy>) -> Self {
        Self {
            seen_by,
            directories: Vec::new(),
        }
    }

    /// Call it before something is made in the directory `parent` of the overlay. The overlay must be mounted on the
    /// calling thread's `/`.
    pub(crate) fn note(&mut self, parent: BorrowedFd<'_>) -> Result<(), Errno> {
        let Some(SeenBy { upper, descriptors }) = &self.seen_by else {
            return Ok(());
        };
        let link = rustix::fs::readlinkat(descriptors, parent.as_raw_fd().to_string(), Vec::new())?;
        let path = Path::new(std::ffi::OsStr::from_bytes(link.as_bytes()));
        let mut directory = parent.try_clone_to_owned().map_err(|_| Errno::MFILE)?;
        for path in path.ancestors().filter_map(|path| path.strip_prefix("/").ok()) {
            if path.as_os_str().is_empty() || beneath(upper.as_fd(), path).is_ok() {
                break;
            }
            self.directories.push((path.to_owned(), Looks::of(&fstat(&directory)?)));
            directory = rustix::fs::openat(
                &directory,
                "..",
                OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )?;
        }
        Ok(())
    }

    /// Call it when the mount points are gone.
    pub(crate) fn remove(mut self) {
        let Some(SeenBy { upper, .. }) = self.seen_by.take() else {
            return;
        };
        self.directories
            .sort_by_key(|(path, _)| std::cmp::Reverse(path.components().count()));
        for (path, looks) in &self.directories {
            // Where one stays (it is not empty, or changed), its parents stay too; that is the step's doing.
            remove_unchanged(upper.as_fd(), path, *looks).ok();
        }
    }
}

fn beneath(upper: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat2(
        upper,
        path,
        flags,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    )
}

fn remove_unchanged(upper: BorrowedFd<'_>, path: &Path, looks: Looks) -> Result<(), Errno> {
    let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else {
        return Ok(());
    };
    let opened = (!parent.as_os_str().is_empty())
        .then(|| beneath(upper, parent))
        .transpose()?;
    let parent = opened.as_ref().map_or(upper, AsFd::as_fd);
    if Looks::of(&statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?) != looks {
        return Ok(());
    }
    let before = fstat(parent)?;
    unlinkat(parent, name, AtFlags::REMOVEDIR)?;
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: before.st_atime,
            tv_nsec: nanoseconds(before.st_atime_nsec),
        },
        last_modification: Timespec {
            tv_sec: before.st_mtime,
            tv_nsec: nanoseconds(before.st_mtime_nsec),
        },
    };
    utimensat(parent, "", &times, AtFlags::EMPTY_PATH)
}

fn nanoseconds(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or_default()
}
