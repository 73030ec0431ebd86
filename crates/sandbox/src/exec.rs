//! The last steps on the way to the command, in the new process.
//!
//! Until `execve` the process shares Kiln's memory (as after `vfork`), so everything here is system calls on data
//! made ready before: no allocation, no locks, no unwinding.

use crate::assemble::Assembled;
use crate::masks::lists;
use crate::mnt::{add_attributes, attach, attach_at, clone_at, clone_fd, last_errno, new_fs};
use crate::seccomp::Insn;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, UnmountFlags, unmount};
use rustix::process::{Signal, fchdir, set_parent_process_death_signal, setsid, umask};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::convert::Infallible;
use std::ffi::{CString, c_char, c_int, c_long, c_void};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

/// Docker's default capabilities: chown, `dac_override`, fowner, fsetid, kill, setgid, setuid, setpcap,
/// `net_bind_service`, `net_raw`, `sys_chroot`, mknod, `audit_write`, setfcap.
pub(crate) const DEFAULT_CAPABILITIES: u64 = 0xa804_25fb;

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
    pub(crate) keep_session: bool,
    /// Files to write "0" to in order to join the control groups with the limits.
    pub(crate) join: Vec<OwnedFd>,
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

/// Where the process says, in the shared memory, what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Report {
    stage: AtomicU32,
    errno: AtomicI32,
}

/// The stages of [`run`].
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
    const ALL: [Self; 23] = [
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
    fn put(&self, Failure(stage, errno): Failure) {
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

struct Failure(Stage, Errno);

trait At<T> {
    fn at(self, stage: Stage) -> Result<T, Failure>;
}

impl<T> At<T> for Result<T, Errno> {
    fn at(self, stage: Stage) -> Result<T, Failure> {
        self.map_err(|errno| Failure(stage, errno))
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
    default_signals()?;
    if !job.keep_session {
        setsid().at(Stage::Session)?;
    }
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
        if let Some(fd) = fd {
            duplicate(fd.as_raw_fd(), number).at(Stage::Stdio)?;
        }
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
            clone_fd(&job.assembled.null, false)
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
    let Some(target) = &job.assembled.cgroup else {
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

/// Takes the host's files away and enters the working directory.
fn leave_host(job: &Job) -> Result<(), Failure> {
    let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    fchdir(&job.assembled.old_root).at(Stage::DetachHost)?;
    unmount(c".", UnmountFlags::DETACH).at(Stage::DetachHost)?;
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
        raw(|| unsafe_syscall3(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING.into(), 0, 0)).ok();
    } else {
        limit_bounding_set().at(Stage::Bounding)?;
        // Without "no new privileges" a filter needs CAP_SYS_ADMIN, so it comes first; it allows all that follows.
        if let Some(filter) = job.filter {
            install(filter).at(Stage::Seccomp)?;
        }
        set_capabilities(DEFAULT_CAPABILITIES).at(Stage::Capabilities)?;
    }
    // Raw calls: those of the C library would change all threads of Kiln, whose memory this process shares.
    let count = c_long::try_from(job.groups.len()).unwrap_or(c_long::MAX);
    raw(|| unsafe_syscall3(libc::SYS_setgroups, count, job.groups.as_ptr() as c_long, 0)).at(Stage::Groups)?;
    let (uid, gid) = (c_long::from(job.uid), c_long::from(job.gid));
    raw(|| unsafe_syscall3(libc::SYS_setresgid, gid, gid, gid)).at(Stage::Gid)?;
    raw(|| unsafe_syscall3(libc::SYS_setresuid, uid, uid, uid)).at(Stage::Uid)
}

fn unsafe_syscall3(number: c_long, a: c_long, b: c_long, c: c_long) -> c_long {
    // SAFETY: used for setgroups (a length and a pointer to so many ids of a vector that outlives the call),
    // setresgid, setresuid, keyctl without pointers: none keeps or writes memory.
    unsafe { libc::syscall(number, a, b, c) }
}

fn raw(call: impl FnOnce() -> c_long) -> Result<(), Errno> {
    if call() < 0 { Err(last_errno()) } else { Ok(()) }
}

fn limit_bounding_set() -> Result<(), Errno> {
    for capability in 0..64_u32 {
        if DEFAULT_CAPABILITIES & (1 << capability) != 0 {
            continue;
        }
        // SAFETY: prctl with integers only.
        let dropped = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability), 0, 0, 0) };
        match if dropped == 0 { Ok(()) } else { Err(last_errno()) } {
            // The kernel does not know this one nor any after it.
            Err(Errno::INVAL) => break,
            result => result?,
        }
    }
    Ok(())
}

/// Permitted and effective; nothing inheritable, and thus nothing ambient. A change to another user clears them.
fn set_capabilities(set: u64) -> Result<(), Errno> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    /// `_LINUX_CAPABILITY_VERSION_3`: two words of each set.
    const VERSION: u32 = 0x2008_0522;
    let half = |set: u32| Data {
        effective: set,
        permitted: set,
        inheritable: 0,
    };
    let header = Header {
        version: VERSION,
        pid: 0,
    };
    #[expect(clippy::cast_possible_truncation, reason = "the low and the high half")]
    let data = [half(set as u32), half((set >> 32) as u32)];
    // SAFETY: version 3 reads the header and two `Data`; both outlive the call.
    raw(|| unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) })
}

fn install(filter: &[Insn]) -> Result<(), Errno> {
    let program = libc::sock_fprog {
        len: libc::c_ushort::try_from(filter.len()).map_err(|_| Errno::TOOBIG)?,
        filter: filter.as_ptr().cast_mut().cast(),
    };
    let set = |flags: libc::c_ulong| {
        // SAFETY: `Insn` has the layout of `sock_filter`; the kernel copies the program during the call.
        raw(|| unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags,
                &raw const program,
            )
        })
    };
    // As other runtimes do: no slower memory access for filtered processes on kernels before 5.16.
    match set(libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW) {
        Err(Errno::INVAL) => set(0),
        result => result,
    }
}

fn set_rlimit(resource: u32, limit: &libc::rlimit64) -> Result<(), Errno> {
    // SAFETY: prlimit64 reads one `rlimit64` and writes nothing to a null pointer.
    raw(|| unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource,
            ptr::from_ref(limit),
            ptr::null_mut::<libc::rlimit64>(),
        )
    })
}

/// Makes `fd` the standard stream `number`. Kiln's own descriptors are all above 2, so nothing is overwritten.
fn duplicate(fd: RawFd, number: usize) -> Result<(), Errno> {
    // SAFETY: dup3 on descriptor numbers; the streams of this process are not owned by anything in it.
    raw(|| unsafe { libc::syscall(libc::SYS_dup3, fd, number, 0) })
}

/// Closes everything but the standard streams, so that `/proc/self/fd` leads nowhere when the command is looked up.
fn close_all() -> Result<(), Errno> {
    // SAFETY: the table is this process's own copy; Kiln's descriptors stay open in Kiln, and nothing here uses or
    // drops an owner of one from now on.
    raw(|| unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) })
}

/// `struct sigaction` of the kernel, with room for every architecture's order of fields: all zero is "default".
#[repr(C, align(8))]
struct KernelSigaction([u8; 64]);

/// Size of the kernel's signal set.
const SIGSET_SIZE: usize = 8;

fn default_signals() -> Result<(), Failure> {
    const SIGNALS: c_int = 64;
    let default = KernelSigaction([0; 64]);
    for signal in 1..=SIGNALS {
        if signal == libc::SIGKILL || signal == libc::SIGSTOP {
            continue;
        }
        // SAFETY: handlers are not shared with Kiln (no CLONE_SIGHAND); the structure is larger than the kernel's.
        raw(|| unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                &raw const default,
                ptr::null_mut::<c_void>(),
                SIGSET_SIZE,
            )
        })
        .at(Stage::Signals)?;
    }
    Ok(())
}

fn empty_signal_mask() -> Result<(), Errno> {
    let empty = 0_u64;
    // SAFETY: the kernel reads one set of SIGSET_SIZE bytes.
    raw(|| unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const empty,
            ptr::null_mut::<u64>(),
            SIGSET_SIZE,
        )
    })
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
