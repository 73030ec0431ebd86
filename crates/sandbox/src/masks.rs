//! Paths of the kernel that steps do not see or cannot write, the same as in Docker.

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
