//! The `/dev` of a step.

use crate::Error;
use crate::mnt::{Context, attach_at, clone_path, new_fs, tmpfs};
use rustix::fs::{FileType, Mode, OFlags, makedev, mkdirat, mknodat, openat, symlinkat};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Docker's size of the file system on `/dev`.
const SIZE: u64 = 64 << 20;

/// Name, major and minor number of the devices that every step has.
const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

const DIRECTORIES: [&str; 3] = ["pts", "shm", "mqueue"];

const STRICT: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID
    .union(MountAttrFlags::MOUNT_ATTR_NODEV)
    .union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// The file system for `/dev`, detached, with devices, links and empty directories. The umask must be 0.
pub(crate) fn new_dev() -> Result<OwnedFd, Error> {
    let dev = tmpfs(
        Some(SIZE),
        0o755,
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_STRICTATIME,
    )
    .context("mount", "/dev")?;
    for name in DIRECTORIES {
        mkdirat(&dev, name, Mode::from_raw_mode(0o755)).context("create /dev/", name)?;
    }
    for (name, target) in LINKS {
        symlinkat(target, &dev, name).context("create /dev/", name)?;
    }
    Ok(dev)
}

/// Fills the `/dev` of a step once it is in its place: devices and the mounts on it.
pub(crate) fn populate(dev: BorrowedFd<'_>, shm_size: u64) -> Result<(), Error> {
    for (name, major, minor) in DEVICES {
        device(dev, name, major, minor)?;
    }
    let pts = [
        ("newinstance", ""),
        ("ptmxmode", "0666"),
        ("mode", "0620"),
        ("gid", "5"),
    ];
    let noexec = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    // Without a group 5 in the user namespace terminals belong to the user's own group.
    let pts = new_fs("devpts", &pts, noexec)
        .or_else(|_| new_fs("devpts", &pts[..3], noexec))
        .context("mount", "/dev/pts")?;
    attach_at(pts, dev, "pts").context("mount", "/dev/pts")?;
    let shm = tmpfs(Some(shm_size), 0o1777, STRICT).context("mount", "/dev/shm")?;
    attach_at(shm, dev, "shm").context("mount", "/dev/shm")?;
    match new_fs("mqueue", &[], STRICT) {
        Ok(queues) => attach_at(queues, dev, "mqueue").context("mount", "/dev/mqueue"),
        // A kernel without message queues.
        Err(Errno::NODEV) => Ok(()),
        Err(errno) => Err(errno).context("mount", "/dev/mqueue"),
    }
}

/// A device node where the kernel lets us make one, or else (in a user namespace) the host's, bound.
fn device(dev: BorrowedFd<'_>, name: &'static str, major: u32, minor: u32) -> Result<(), Error> {
    let mode = Mode::from_raw_mode(0o666);
    match mknodat(dev, name, FileType::CharacterDevice, mode, makedev(major, minor)) {
        Err(Errno::PERM) => {}
        result => return result.context("create /dev/", name),
    }
    drop(openat(dev, name, OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC, mode).context("create /dev/", name)?);
    let host = format!("/dev/{name}");
    let mount = clone_path(host.as_ref(), false).context("open the host's", host)?;
    attach_at(mount.as_fd(), dev, name).context("mount /dev/", name)
}
