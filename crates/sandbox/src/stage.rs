//! The stages of a process on its way to the command, and how it reports that one failed.

use rustix::io::Errno;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

/// Where the process says, in the shared memory, what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Report {
    stage: AtomicU32,
    errno: AtomicI32,
}

/// The stages that a process goes through until it is the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Stage {
    Death = 1,
    Signals,
    Session,
    JoinCgroup,
    MountProc,
    HideProc,
    ProtectProc,
    MountCgroup,
    ReadOnlyRoot,
    DetachHost,
    EnterCwd,
    ResourceLimit,
    Stdio,
    Terminal,
    Emulator,
    Scope,
    Bounding,
    Seccomp,
    Capabilities,
    Groups,
    Gid,
    Uid,
    Descriptors,
    Exec,
    ExecMissing,
    ExecInterpreter,
}

impl Stage {
    const ALL: [Self; 26] = [
        Self::Death,
        Self::Signals,
        Self::Session,
        Self::JoinCgroup,
        Self::MountProc,
        Self::HideProc,
        Self::ProtectProc,
        Self::MountCgroup,
        Self::ReadOnlyRoot,
        Self::DetachHost,
        Self::EnterCwd,
        Self::ResourceLimit,
        Self::Stdio,
        Self::Terminal,
        Self::Emulator,
        Self::Scope,
        Self::Bounding,
        Self::Seccomp,
        Self::Capabilities,
        Self::Groups,
        Self::Gid,
        Self::Uid,
        Self::Descriptors,
        Self::Exec,
        Self::ExecMissing,
        Self::ExecInterpreter,
    ];

    /// The operation, for messages.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Death => "tie the process to kiln's life",
            Self::Signals => "reset the signals",
            Self::Session => "start a session",
            Self::JoinCgroup => "join the control group",
            Self::MountProc => "mount /proc",
            Self::HideProc => "hide parts of /proc",
            Self::ProtectProc => "make parts of /proc read-only",
            Self::MountCgroup => "mount /sys/fs/cgroup",
            Self::ReadOnlyRoot => "make the root read-only",
            Self::DetachHost => "detach the host's files",
            Self::EnterCwd => "enter the working directory",
            Self::ResourceLimit => "set a resource limit",
            Self::Stdio => "connect the standard streams",
            Self::Terminal => "take the terminal",
            Self::Emulator => "enter the user namespace with the emulator",
            Self::Scope => "keep the process from the host's abstract sockets",
            Self::Bounding => "limit the capabilities",
            Self::Seccomp => "install the seccomp filter",
            Self::Capabilities => "set the capabilities",
            Self::Groups => "set the groups",
            Self::Gid => "become the group",
            Self::Uid => "become the user",
            Self::Descriptors => "close descriptors",
            Self::Exec | Self::ExecMissing | Self::ExecInterpreter => "execute",
        }
    }
}

impl Report {
    pub(crate) fn put(&self, Failure(stage, errno): Failure) {
        self.errno.store(errno.raw_os_error(), Ordering::Relaxed);
        self.stage.store(stage as u32, Ordering::Release);
    }

    /// What went wrong, if anything did before the command ran.
    pub(crate) fn take(&self) -> Option<(Stage, Errno)> {
        let stage = self.stage.load(Ordering::Acquire);
        let stage = Stage::ALL.into_iter().find(|known| *known as u32 == stage)?;
        Some((stage, Errno::from_raw_os_error(self.errno.load(Ordering::Relaxed))))
    }
}

/// Where it went wrong, and why.
pub(crate) struct Failure(pub(crate) Stage, pub(crate) Errno);

/// Names the stage that failed.
pub(crate) trait At<T> {
    fn at(self, stage: Stage) -> Result<T, Failure>;
}

impl<T> At<T> for Result<T, Errno> {
    fn at(self, stage: Stage) -> Result<T, Failure> {
        self.map_err(|errno| Failure(stage, errno))
    }
}
