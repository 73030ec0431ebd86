//! Paths of the kernel that steps do not see or cannot write, the same as in Docker.

use crate::kernel::clone_detached;
use crate::mnt::new_fs;
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

/// A path below `/proc`, and whether it is a directory.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) directory: bool,
}

/// What this kernel has of each list.
#[derive(Debug)]
pub(crate) struct Lists {
    /// Hidden below `/proc`.
    pub(crate) proc_hidden: Vec<Entry>,
    /// Read-only below `/proc`.
    pub(crate) proc_read_only: Vec<Entry>,
    /// Hidden below `/sys`; all directories.
    pub(crate) sys_hidden: Vec<Entry>,
}

const PROC_HIDDEN: &[&str] = &[
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "keys",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
    "timer_stats",
];

const PROC_READ_ONLY: &[&str] = &["bus", "fs", "irq", "sys", "sysrq-trigger"];

const SYS_HIDDEN: &[&str] = &["firmware", "devices/virtual/powercap"];

/// The lists, looked up once per process: they depend on the kernel only.
pub(crate) fn lists() -> &'static Lists {
    static LISTS: OnceLock<Lists> = OnceLock::new();
    LISTS.get_or_init(|| Lists {
        proc_hidden: existing("/proc", PROC_HIDDEN),
        proc_read_only: existing("/proc", PROC_READ_ONLY),
        sys_hidden: existing("/sys", SYS_HIDDEN),
    })
}

fn existing(base: &str, names: &'static [&'static str]) -> Vec<Entry> {
    let look = |name: &'static str| {
        let metadata = std::fs::metadata(format!("{base}/{name}")).ok()?;
        Some(Entry {
            name,
            directory: metadata.is_dir(),
        })
    };
    names.iter().copied().filter_map(look).collect()
}

/// An empty read-only directory: a detached mount that all steps of the process share. (One for each step would cost
/// the kernel a grace period at its end.)
#[derive(Debug)]
pub(crate) struct EmptyDirectory(OwnedFd);

impl EmptyDirectory {
    pub(crate) fn get() -> Result<&'static Self, Errno> {
        static EMPTY: OnceLock<EmptyDirectory> = OnceLock::new();
        if let Some(empty) = EMPTY.get() {
            return Ok(empty);
        }
        let empty = Self(Self::make()?);
        Ok(EMPTY.get_or_init(|| empty))
    }

    /// One mount of it to hide a directory with. On kernels that cannot clone a detached mount, a new directory.
    pub(crate) fn mount(&self) -> Result<OwnedFd, Errno> {
        clone_detached(&self.0).or_else(|_| Self::make())
    }

    fn make() -> Result<OwnedFd, Errno> {
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC
            | MountAttrFlags::MOUNT_ATTR_RDONLY;
        new_fs("tmpfs", &[("mode", "0755"), ("size", "4096")], attributes)
    }
}
