//! Mount points in the root: found, made where they are missing, and removed after the step.

use crate::Error;
use crate::copied_up::CopiedUp;
use crate::mnt::{Context, attach};
use crate::path::{create_in_root, open_in_root};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, StatxFlags, Timespec, Timestamps, UTIME_OMIT, fchmod, fstat, mkdirat,
    openat, statat, statx, unlinkat, utimensat,
};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What a mount shows, and thus what its mount point must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Directory,
    File,
}

impl Shape {
    /// The shape of what a mount shows.
    pub(crate) fn of(mount: BorrowedFd<'_>) -> Result<Self, Errno> {
        let kind = FileType::from_raw_mode(fstat(mount)?.st_mode);
        Ok(if kind == FileType::Directory {
            Self::Directory
        } else {
            Self::File
        })
    }
}

/// A mount point that was made for the step.
#[derive(Debug)]
struct Made {
    parent: OwnedFd,
    name: OsString,
    object: OwnedFd,
    /// The parent's times before and after.
    before: Times,
    after: Times,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Times {
    mtime: (i64, i64),
}

impl Times {
    fn of(fd: impl AsFd) -> Result<Self, Errno> {
        // An O_PATH descriptor is enough for statx.
        let stat = statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MTIME)?;
        Ok(Self {
            mtime: (stat.stx_mtime.tv_sec, i64::from(stat.stx_mtime.tv_nsec)),
        })
    }

    fn restore(self, fd: impl AsFd) -> Result<(), Errno> {
        let (tv_sec, tv_nsec) = self.mtime;
        let times = Timestamps {
            last_access: Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT,
            },
            last_modification: Timespec { tv_sec, tv_nsec },
        };
        utimensat(fd, "", &times, AtFlags::EMPTY_PATH)
    }
}

/// The mount points of one step.
#[derive(Debug)]
pub(crate) struct Targets {
    root: OwnedFd,
    root_mount: u64,
    made: Vec<Made>,
    copied_up: CopiedUp,
}

impl Targets {
    /// `root` is the step's root file system.
    pub(crate) fn new(root: OwnedFd, copied_up: CopiedUp) -> Result<Self, Error> {
        let root_mount = mount_id(&root).context("look at", "the root")?;
        Ok(Self {
            root,
            root_mount,
            made: Vec::new(),
            copied_up,
        })
    }

    /// The root they are in.
    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Puts a mount onto `target`.
    pub(crate) fn place(&mut self, mount: impl AsFd, target: &str) -> Result<(), Error> {
        let shape = Shape::of(mount.as_fd()).context("look at the source of", target)?;
        let at = self.find(target, shape)?;
        match (shape, Shape::of(at.as_fd()).context("look at", target)?) {
            (Shape::Directory, Shape::File) => Err(Errno::NOTDIR),
            (Shape::File, Shape::Directory) => Err(Errno::ISDIR),
            _ => Ok(()),
        }
        .context("mount", target)?;
        attach(mount, at).context("mount", target)
    }

    /// Opens the mount point `target`, making it if it is missing.
    pub(crate) fn find(&mut self, target: &str, shape: Shape) -> Result<OwnedFd, Error> {
        match open_in_root(&self.root, target, OFlags::PATH, Mode::empty()) {
            Err(Errno::NOENT) => {}
            result => return result.context("open the mount point", target),
        }
        let Self {
            root,
            root_mount,
            made,
            copied_up,
        } = self;
        create_in_root(root.as_fd(), target.as_ref(), &mut |parent, name, last| {
            let shape = if last { shape } else { Shape::Directory };
            // What lies in another mount is not part of the root; it may even be shared with other steps.
            if mount_id(parent)? == *root_mount {
                copied_up.note(parent)?;
                made.push(make_noted(parent, name, shape)?);
                Ok(())
            } else {
                make(parent, name, shape)
            }
        })
        .context("create the mount point", target)
    }

    /// Removes what was made, newest first, unless the step put something into it, and gives the parents their times
    /// back, unless the step changed them.
    ///
    /// Call it when no mount is on them any more, from a mount namespace that never had one.
    pub(crate) fn remove(self) {
        for made in self.made.into_iter().rev() {
            // A mount point that cannot be removed is in use by the step's results: it stays, as a directory that the
            // step made would.
            made.remove().ok();
        }
        self.copied_up.remove();
    }
}

impl Made {
    fn remove(&self) -> Result<(), Errno> {
        let now = statat(&self.parent, &self.name, AtFlags::SYMLINK_NOFOLLOW)?;
        let ours = fstat(&self.object)?;
        if (now.st_dev, now.st_ino) != (ours.st_dev, ours.st_ino) || written(&now) {
            return Ok(());
        }
        let times_now = Times::of(&self.parent)?;
        let directory = FileType::from_raw_mode(now.st_mode) == FileType::Directory;
        unlinkat(
            &self.parent,
            &self.name,
            if directory {
                AtFlags::REMOVEDIR
            } else {
                AtFlags::empty()
            },
        )?;
        if times_now == self.after {
            self.before.restore(&self.parent)?;
        }
        Ok(())
    }
}

/// Whether a file that was made empty is no longer (directories fail to be removed by themselves).
fn written(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) != FileType::Directory && stat.st_size != 0
}

fn make_noted(parent: BorrowedFd<'_>, name: &OsStr, shape: Shape) -> Result<Made, Errno> {
    let before = Times::of(parent)?;
    make(parent, name, shape)?;
    let object = openat(
        parent,
        name,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let after = Times::of(parent)?;
    Ok(Made {
        parent: parent.try_clone_to_owned().map_err(|_| Errno::MFILE)?,
        name: name.to_owned(),
        object,
        before,
        after,
    })
}

fn make(parent: BorrowedFd<'_>, name: &OsStr, shape: Shape) -> Result<(), Errno> {
    match shape {
        Shape::Directory => mkdirat(parent, name, Mode::from_raw_mode(0o755)),
        Shape::File => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let file = openat(parent, name, flags, Mode::from_raw_mode(0o644))?;
            fchmod(file, Mode::from_raw_mode(0o644))
        }
    }
}

fn mount_id(fd: impl AsFd) -> Result<u64, Errno> {
    Ok(statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?.stx_mnt_id)
}
