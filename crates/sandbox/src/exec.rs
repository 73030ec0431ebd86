//! The last steps on the way to the command, in the new process.
//!
//! Until `execve` the process shares Kiln's memory (as after `vfork`), so everything here is system calls on data
//! made ready before: no allocation, no locks, no unwinding.

use crate::Emulator;
use crate::assemble::Assembled;
use crate::calls::{
    DEFAULT_CAPABILITIES, close_all, default_signals, duplicate, empty_signal_mask, install, limit_bounding_set,
    own_keyring, set_capabilities, set_gid, set_groups, set_rlimit, set_uid,
};
use crate::masks::lists;
use crate::mnt::{add_attributes, attach, attach_at, clone_at, clone_fd, last_errno, new_fs};
use crate::scope::own_abstract_sockets;
use crate::seccomp::Insn;
use crate::stage::{At, Failure, Report, Stage};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, UnmountFlags, unmount};
use rustix::process::{Signal, fchdir, ioctl_tiocsctty, set_parent_process_death_signal, setsid, umask};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::convert::Infallible;
use std::ffi::{CString, c_char, c_int, c_void};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr;

/// Everything the process needs, made before it exists.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) assembled: Assembled,
    pub(crate) command: Command,
    pub(crate) cwd: CString,
    /// For standard input, output and error; `None` leaves Kiln's own.
    pub(crate) stdio: [Option<OwnedFd>; 3],
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) privileged: bool,
    pub(crate) read_only_root: bool,
    /// Files to write "0" to in order to join the control groups with the limits.
    pub(crate) join: Vec<OwnedFd>,
    pub(crate) emulator: Option<Emulator>,
    pub(crate) rlimits: Vec<(u32, libc::rlimit64)>,
    pub(crate) filter: Option<&'static [Insn]>,
    pub(crate) report: Report,
}

/// The command as `execve` wants it.
#[derive(Debug)]
pub(crate) struct Command {
    /// As the caller gave it, for messages.
    pub(crate) name: String,
    /// Paths to try, in order.
    pub(crate) candidates: Vec<CString>,
    pub(crate) args: CStrings,
    pub(crate) env: CStrings,
}

/// Strings and the NULL-terminated array of pointers to them.
#[derive(Debug)]
pub(crate) struct CStrings {
    _strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

// SAFETY: the pointers lead to the heap buffers of `_strings`, which move with it and are never changed.
unsafe impl Send for CStrings {}

impl CStrings {
    pub(crate) fn new(strings: Vec<CString>) -> Self {
        let pointers = strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect();
        Self {
            _strings: strings,
            pointers,
        }
    }
}

/// The process's first function; `job` is a [`Job`].
pub(crate) extern "C" fn main(job: *mut c_void) -> c_int {
    // SAFETY: the parent passes a `Job` that it keeps alive and does not touch until this process has executed its
    // command or ended (CLONE_VFORK).
    let job = unsafe { &*job.cast::<Job>() };
    let Err(failure) = run(job);
    job.report.put(failure);
    127
}

fn run(job: &Job) -> Result<Infallible, Failure> {
    die_with_parent()?;
    default_signals().at(Stage::Signals)?;
    setsid().at(Stage::Session)?;
    for group in &job.join {
        rustix::io::write(group, b"0").at(Stage::JoinCgroup)?;
    }
    // Where control group namespaces are missing the group's path shows, no more.
    // SAFETY: without UnshareFlags::FILES the descriptor table stays as it is.
    let own_cgroups = unsafe { unshare_unsafe(UnshareFlags::NEWCGROUP) }.is_ok();
    mount_proc(job)?;
    mount_cgroup(job, own_cgroups)?;
    leave_host(job)?;
    for (resource, limit) in &job.rlimits {
        set_rlimit(*resource, limit).at(Stage::ResourceLimit)?;
    }
    for (number, fd) in job.stdio.iter().enumerate() {
        if let Some(fd) = job.assembled.terminal.as_ref().or(fd.as_ref()) {
            duplicate(fd.as_raw_fd(), number).at(Stage::Stdio)?;
        }
    }
    if let Some(terminal) = &job.assembled.terminal {
        // The session began just now and has none.
        ioctl_tiocsctty(terminal).at(Stage::Terminal)?;
    }
    if let Some(emulator) = &job.emulator {
        // After all that needs the privileges of before.
        emulator.enter(job.privileged).at(Stage::Emulator)?;
    }
    drop_privileges(job)?;
    umask(Mode::from_raw_mode(0o022));
    close_all().at(Stage::Descriptors)?;
    // Once more: the kernel forgets it when the user changes.
    die_with_parent()?;
    empty_signal_mask().at(Stage::Signals)?;
    Err(exec(&job.command))
}

fn die_with_parent() -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::KILL)).at(Stage::Death)
}

fn mount_proc(job: &Job) -> Result<(), Failure> {
    let strict =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let proc = new_fs("proc", &[], strict).at(Stage::MountProc)?;
    attach(&proc, &job.assembled.proc).at(Stage::MountProc)?;
    if job.privileged {
        return Ok(());
    }
    for entry in &lists().proc_hidden {
        let empty = job.assembled.empty;
        let cover = if entry.directory {
            empty.mount()
        } else {
            clone_fd(&job.assembled.furniture.null, false)
        };
        let cover = cover.at(Stage::HideProc)?;
        attach_at(cover, &proc, entry.name).at(Stage::HideProc)?;
    }
    for entry in &lists().proc_read_only {
        let mount = clone_at(proc.as_fd(), entry.name, true).at(Stage::ProtectProc)?;
        add_attributes(&mount, MountAttrFlags::MOUNT_ATTR_RDONLY, true).at(Stage::ProtectProc)?;
        attach_at(mount, &proc, entry.name).at(Stage::ProtectProc)?;
    }
    Ok(())
}

/// Shows the step's own control group only, or none.
fn mount_cgroup(job: &Job, own: bool) -> Result<(), Failure> {
    let Some(target) = &job.assembled.furniture.cgroup else {
        return Ok(());
    };
    let mut attributes =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    if !job.privileged {
        attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
    }
    let groups = if own {
        new_fs("cgroup2", &[], attributes)
    } else {
        Err(Errno::PERM)
    };
    let mount = groups.or_else(|_| job.assembled.empty.mount()).at(Stage::MountCgroup)?;
    attach(mount, target).at(Stage::MountCgroup)
}

/// Takes the host's files away, if they are still there, and enters the working directory.
fn leave_host(job: &Job) -> Result<(), Failure> {
    let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if let Some(old_root) = &job.assembled.old_root {
        fchdir(old_root).at(Stage::DetachHost)?;
        unmount(c".", UnmountFlags::DETACH).at(Stage::DetachHost)?;
    }
    let root = openat2(CWD, c"/", directory, Mode::empty(), ResolveFlags::empty()).at(Stage::DetachHost)?;
    if job.read_only_root {
        add_attributes(&root, MountAttrFlags::MOUNT_ATTR_RDONLY, false).at(Stage::ReadOnlyRoot)?;
    }
    // Not by a plain path: `/proc/self/fd/N` would lead through one of Kiln's descriptors to the host's files.
    let cwd = openat2(
        &root,
        job.cwd.as_c_str(),
        directory,
        Mode::empty(),
        ResolveFlags::IN_ROOT,
    )
    .at(Stage::EnterCwd)?;
    fchdir(cwd).at(Stage::EnterCwd)
}

fn drop_privileges(job: &Job) -> Result<(), Failure> {
    if job.privileged {
        // Its own keyring: seccomp does not keep this process from Kiln's.
        own_keyring().ok();
    } else {
        // Before the capabilities go: it needs CAP_SYS_ADMIN.
        own_abstract_sockets().at(Stage::Scope)?;
        limit_bounding_set().at(Stage::Bounding)?;
        // Without "no new privileges" a filter needs CAP_SYS_ADMIN, so it comes first; it allows all that follows.
        if let Some(filter) = job.filter {
            install(filter).at(Stage::Seccomp)?;
        }
        set_capabilities(DEFAULT_CAPABILITIES).at(Stage::Capabilities)?;
    }
    set_groups(&job.groups).at(Stage::Groups)?;
    set_gid(job.gid).at(Stage::Gid)?;
    set_uid(job.uid).at(Stage::Uid)
}

/// Tries the candidates as `execvp` does; returns only on failure.
fn exec(command: &Command) -> Failure {
    let mut failure = Failure(Stage::ExecMissing, Errno::NOENT);
    for path in &command.candidates {
        match try_exec(path, command) {
            Failure(Stage::ExecMissing, _) => {}
            // Another directory may have one that can be executed.
            tried @ Failure(_, Errno::ACCESS | Errno::NOENT) => failure = tried,
            tried => return tried,
        }
    }
    failure
}

fn try_exec(path: &CString, command: &Command) -> Failure {
    // This process is still Kiln to the kernel: `/proc/self/exe` would run Kiln's own program in the image.
    match openat2(
        CWD,
        path.as_c_str(),
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::NO_MAGICLINKS,
    ) {
        Ok(file) => drop(file),
        Err(errno @ (Errno::NOENT | Errno::NOTDIR)) => return Failure(Stage::ExecMissing, errno),
        Err(errno) => return Failure(Stage::Exec, errno),
    }
    // SAFETY: the path is a C string, and both arrays hold C strings and end with NULL.
    unsafe {
        libc::execve(
            path.as_ptr(),
            command.args.pointers.as_ptr(),
            command.env.pointers.as_ptr(),
        )
    };
    match last_errno() {
        // The file is there, but what its first line or its ELF header names is not.
        errno @ (Errno::NOENT | Errno::NOTDIR) => Failure(Stage::ExecInterpreter, errno),
        errno => Failure(Stage::Exec, errno),
    }
}
