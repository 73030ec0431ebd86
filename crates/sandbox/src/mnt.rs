//! The new mount interface in the few shapes that steps need. All mounts here are detached until [`attach`]ed.

use crate::Error;
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// `struct mount_attr` of `mount_setattr(2)`.
#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// A new instance of a file system. An option with an empty value is a flag.
pub(crate) fn new_fs(name: &str, options: &[(&str, &str)], attributes: MountAttrFlags) -> Result<OwnedFd, Errno> {
    let fs = fsopen(name, FsOpenFlags::FSOPEN_CLOEXEC)?;
    // What the list of mounts shows as the device.
    fsconfig_set_string(&fs, "source", name)?;
    for (key, value) in options {
        if value.is_empty() {
            fsconfig_set_flag(&fs, *key)?;
        } else {
            fsconfig_set_string(&fs, *key, *value)?;
        }
    }
    fsconfig_create(&fs)?;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// A new tmpfs of at most `size` bytes whose root directory has the permissions `mode`.
pub(crate) fn tmpfs(size: Option<u64>, mode: u32, attributes: MountAttrFlags) -> Result<OwnedFd, Errno> {
    let mode = format!("{mode:o}");
    let size = size.map(|size| size.to_string());
    let mut options = vec![("mode", mode.as_str())];
    if let Some(size) = &size {
        options.push(("size", size));
    }
    new_fs("tmpfs", &options, attributes)
}

/// A second mount of what `fd` shows (a directory or a file), without the mounts on it unless `recursive`.
pub(crate) fn clone_fd(fd: impl AsFd, recursive: bool) -> Result<OwnedFd, Errno> {
    open_tree(fd, "", clone_flags(recursive) | OpenTreeFlags::AT_EMPTY_PATH)
}

/// A second mount of a path of the current mount namespace.
pub(crate) fn clone_path(path: &Path, recursive: bool) -> Result<OwnedFd, Errno> {
    open_tree(CWD, path, clone_flags(recursive))
}

/// A second mount of a path below `dir`; only for paths that nobody hostile made.
pub(crate) fn clone_at(dir: BorrowedFd<'_>, path: &str, recursive: bool) -> Result<OwnedFd, Errno> {
    open_tree(dir, path, clone_flags(recursive))
}

fn clone_flags(recursive: bool) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags | OpenTreeFlags::AT_RECURSIVE
    } else {
        flags
    }
}

/// Puts a detached mount onto the file or directory `target`.
pub(crate) fn attach(mount: impl AsFd, target: impl AsFd) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", target, "", flags)
}

/// Puts a detached mount onto a path below `dir`; only for paths that nobody hostile made.
pub(crate) fn attach_at(mount: impl AsFd, dir: impl AsFd, path: &str) -> Result<(), Errno> {
    move_mount(mount, "", dir, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Adds attributes, such as "read-only", to a mount, and with `recursive` to all mounts on it.
pub(crate) fn add_attributes(mount: impl AsFd, attributes: MountAttrFlags, recursive: bool) -> Result<(), Errno> {
    let attr = MountAttr {
        attr_set: u64::from(attributes.bits()),
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a NUL-terminated string and `attr` is of the size given; both outlive the call, which keeps
    // no pointer.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}

/// The error of the last failed call through `libc`.
pub(crate) fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}

/// Names the operation that failed.
pub(crate) trait Context<T> {
    fn context(self, step: &'static str, subject: impl Into<String>) -> Result<T, Error>;
}

impl<T> Context<T> for Result<T, Errno> {
    fn context(self, step: &'static str, subject: impl Into<String>) -> Result<T, Error> {
        self.map_err(|errno| Error::setup(step, subject, errno))
    }
}
