//! What to run and in which surroundings: plain data, filled in by the caller.

use crate::{Emulator, TerminalSize};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// One process and its surroundings.
#[derive(Debug)]
pub struct Spec<'a> {
    /// The root file system: a detached mount, as [`Overlay::mount`](crate::Overlay::mount) gives. It stays usable and
    /// free of the step's own mounts (before Linux 6.15 it is consumed by the step instead).
    pub root: BorrowedFd<'a>,
    /// The upper directory of the overlay that `root` is, if it is one. With it, directories that had to be copied up
    /// only to hold a mount point are removed again, so that nothing of a mount stays in the layer.
    pub upper: Option<PathBuf>,
    /// The command and its arguments. The first one is looked up in the `PATH` of [`env`](Self::env) unless it
    /// contains a slash.
    pub args: Vec<String>,
    /// The whole environment; nothing is inherited or added.
    pub env: Vec<(String, String)>,
    /// Working directory, absolute. If it is missing it is created, 0755 and owned by the user, and stays.
    pub cwd: String,
    /// Who runs it.
    pub user: User,
    /// Further mounts. They are made parents first, otherwise in the order given.
    pub mounts: Vec<Mount<'a>>,
    /// The network it sees.
    pub network: Network,
    /// Host name in the step.
    pub hostname: String,
    /// A file of the host that appears, read-only, as `/etc/hosts`.
    pub hosts: PathBuf,
    /// A file of the host that appears, read-only, as `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
    /// Size of `/dev/shm` in bytes (Docker's default: 64 MiB).
    pub shm_size: u64,
    /// All capabilities, no seccomp filter, no masked paths (`RUN --security=insecure`).
    pub privileged: bool,
    /// Nothing in the root file system can be written (mounts can).
    pub read_only_root: bool,
    /// What runs the programs that this machine's processor does not.
    pub emulator: Option<Emulator>,
    /// Give it a terminal of its own and of this size, which is its controlling terminal and all of its standard streams,
    /// whatever else is said of them. The other end is in the [`Child`](crate::Child).
    pub terminal: Option<TerminalSize>,
    /// Limits for the step and all its descendants together.
    pub limits: Limits,
    /// Resource limits of the process (`ulimit`), inherited by its children.
    pub ulimits: Vec<Ulimit>,
}

impl<'a> Spec<'a> {
    /// What is usual in a build: root, the network of the host, no further mounts, no limits, 64 MiB of `/dev/shm`,
    /// `/` as working directory, and empty `hosts` and `resolv_conf` (from `/dev/null`). For `..Spec::new(root, args)`.
    pub fn new(root: BorrowedFd<'a>, args: Vec<String>) -> Self {
        Self {
            root,
            upper: None,
            args,
            env: Vec::new(),
            cwd: "/".to_owned(),
            user: User::default(),
            mounts: Vec::new(),
            network: Network::Host,
            hostname: "buildkitsandbox".to_owned(),
            hosts: "/dev/null".into(),
            resolv_conf: "/dev/null".into(),
            shm_size: 64 << 20,
            privileged: false,
            read_only_root: false,
            emulator: None,
            terminal: None,
            limits: Limits::default(),
            ulimits: Vec::new(),
        }
    }
}

/// Identity of a process, in numbers (see [`resolve_user`](crate::resolve_user)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary group ids.
    pub groups: Vec<u32>,
}

/// The network of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Network {
    /// The network that Kiln itself sees.
    #[default]
    Host,
    /// A loopback interface and nothing else.
    None,
}

/// A mount in the step.
#[derive(Debug)]
pub struct Mount<'a> {
    /// Absolute path in the step. Symbolic links in it resolve inside the root. It is created if missing, and removed
    /// after the step.
    pub target: String,
    /// What appears there.
    pub kind: MountKind<'a>,
}

/// What a mount shows.
#[derive(Debug)]
pub enum MountKind<'a> {
    /// A directory or file that exists elsewhere.
    Bind {
        /// Where it is.
        source: BindSource<'a>,
        /// Whether the step may not write to it.
        read_only: bool,
    },
    /// An empty file system in memory.
    Tmpfs {
        /// Limit in bytes; `None`: half of the memory.
        size: Option<u64>,
        /// Permissions of its root directory.
        mode: u32,
    },
    /// A device of the host, which everybody whom its mode lets may use.
    Device {
        /// Its node.
        source: PathBuf,
    },
    /// A file in memory, read-only, never on any disk: a secret or a script.
    File {
        /// Its bytes.
        content: Vec<u8>,
        /// Permissions.
        mode: u32,
        /// Owner in the step.
        uid: u32,
        /// Group in the step.
        gid: u32,
    },
}

/// The source of a bind mount.
#[derive(Debug)]
pub enum BindSource<'a> {
    /// A path of the host.
    Path(PathBuf),
    /// A path inside a detached mount (or any directory), never leaving it. A path other than `/` in a *detached*
    /// mount needs Linux 6.15.
    Tree {
        /// The mount or directory.
        root: BorrowedFd<'a>,
        /// The path in it; `/` or empty for all of it.
        path: String,
    },
}

/// Limits for the whole step by way of a control group. Asking for one that cannot be had is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Memory and swap together, in bytes; `u64::MAX` is any amount of swap. Where it is not given and `memory` is, no
    /// swap is used.
    pub memory_and_swap: Option<u64>,
    /// Number of tasks.
    pub pids: Option<u64>,
    /// Processor time.
    pub cpu: Option<CpuTime>,
    /// Weight where processors are scarce, from 2 to 262144; others have 1024.
    pub cpu_shares: Option<u64>,
    /// The processors it may use, like `0-2,4`.
    pub cpuset_cpus: Option<String>,
    /// The memory nodes it may use.
    pub cpuset_mems: Option<String>,
}

/// How much processor time there is in every period, both in microseconds; all processors together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuTime {
    /// At least 1000, which is the kernel's least.
    pub quota: u64,
    /// From 1000 to 1000000; 100000 is usual.
    pub period: u64,
}

/// One resource limit (`--ulimit name=soft:hard`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ulimit {
    /// Docker's name of it: `nofile`, `nproc`, `core`, …
    pub name: String,
    /// Soft limit; `u64::MAX` is unlimited.
    pub soft: u64,
    /// Hard limit; `u64::MAX` is unlimited.
    pub hard: u64,
}

/// Where one of the standard streams leads.
#[derive(Debug)]
pub enum Stdio {
    /// To Kiln's own.
    Inherit,
    /// To `/dev/null`.
    Null,
    /// To a pipe whose other end is in the [`Child`](crate::Child).
    Pipe,
    /// To this descriptor.
    Fd(OwnedFd),
}
