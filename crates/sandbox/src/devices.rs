//! The `/dev` of a step.

use crate::Error;
use crate::mnt::{Context, add_attributes, attach_at, clone_path, new_fs, tmpfs};
use rustix::fs::{Mode, OFlags, mkdirat, openat, symlinkat};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Docker's size of the file system on `/dev`.
const SIZE: u64 = 64 << 20;

/// The devices that every step has, apart from `/dev/null`.
const DEVICES: [&str; 5] = ["zero", "full", "random", "urandom", "tty"];

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

/// The file system for `/dev`, detached, with links and empty directories. The umask must be 0.
pub(crate) fn new_dev(attributes: MountAttrFlags) -> Result<OwnedFd, Error> {
    let attributes = attributes | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_STRICTATIME;
    let dev = tmpfs(Some(SIZE), 0o755, attributes).context("mount", "/dev")?;
    for name in DIRECTORIES {
        mkdirat(&dev, name, Mode::from_raw_mode(0o755)).context("create /dev/", name)?;
    }
    for (name, target) in LINKS {
        symlinkat(target, &dev, name).context("create /dev/", name)?;
    }
    Ok(dev)
}

/// Fills the `/dev` of a step: devices and the mounts on it. Gives the mount on `/dev/null`.
pub(crate) fn populate(dev: BorrowedFd<'_>, shm_size: u64) -> Result<OwnedFd, Error> {
    let null = device(dev, "null")?;
    for name in DEVICES {
        device(dev, name)?;
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
        Ok(queues) => attach_at(queues, dev, "mqueue").context("mount", "/dev/mqueue")?,
        // A kernel without message queues.
        Err(Errno::NODEV) => {}
        Err(errno) => return Err(errno).context("mount", "/dev/mqueue"),
    }
    Ok(null)
}

/// The host's device, bound. (A node of the step's own would need a `/dev` where device nodes work, and there the step
/// could make one for the host's disk.) The mount is read-only, which lets everybody write to the device, but not change
/// the host's node.
fn device(dev: BorrowedFd<'_>, name: &'static str) -> Result<OwnedFd, Error> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
    drop(openat(dev, name, flags, Mode::from_raw_mode(0o666)).context("create /dev/", name)?);
    let mount = clone_path(format!("/dev/{name}").as_ref(), false).context("open the host's /dev/", name)?;
    let attributes =
        MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    add_attributes(&mount, attributes, false).context("protect /dev/", name)?;
    attach_at(&mount, dev, name).context("mount /dev/", name)?;
    Ok(mount)
}
