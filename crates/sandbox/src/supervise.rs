//! What the thread that carries one step does with it: builds the surroundings, starts the process, waits for it and clears
//! up.

use crate::assemble::{Assembled, Surroundings};
use crate::exec::{Job, main};
use crate::ground::Laid;
use crate::mnt::{Context, last_errno};
use crate::prepared::{Started, not_started};
use crate::stage::Stage;
use crate::targets::Targets;
use crate::{Error, Exit};
use rustix::io::Errno;
use std::ffi::c_int;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A process that runs its command.
struct Process {
    pid: libc::pid_t,
    pidfd: OwnedFd,
}

/// Makes a [`Job`] of what only the step's thread knows.
pub(crate) type MakeJob = Box<dyn FnOnce(Assembled) -> Job + Send>;

/// Runs a step to its end. `started` gets the process's descriptor, or why there is none.
pub(crate) fn supervise(
    ground: Laid,
    surroundings: Surroundings,
    make_job: MakeJob,
    started: &Started,
) -> Result<Exit, Error> {
    let mut targets = None;
    let result = start(ground, surroundings, make_job, &mut targets);
    let outcome = match result {
        Ok(Process { pid, pidfd }) => {
            // The receiver waits for exactly this message; if it is gone there is nobody to tell.
            started.send(Ok(pidfd)).ok();
            wait(pid)
        }
        Err(error) => {
            if let Some(targets) = targets.take() {
                targets.remove();
            }
            started.send(Err(error)).ok();
            return Err(not_started());
        }
    };
    if let Some(targets) = targets {
        targets.remove();
    }
    outcome
}

fn start(
    ground: Laid,
    surroundings: Surroundings,
    make_job: MakeJob,
    targets: &mut Option<Targets>,
) -> Result<Process, Error> {
    let (home, ground) = ground?;
    let result = surroundings
        .assemble(ground, targets)
        .and_then(|assembled| launch(&make_job(assembled)));
    // So that the step's mounts end with its processes.
    home.enter();
    result
}

/// No handler of Kiln may run on this thread: the new process shares its memory until it executes its command.
pub(crate) fn block_signals() {
    // SAFETY: both calls only write the set given to them; the mask is this thread's own.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
    }
}

fn launch(job: &Job) -> Result<Process, Error> {
    let _dumpable = (job.uid != 0 || job.gid != 0).then(KeepDumpable::new);
    let (pid, pidfd) = clone(job).context("start", "the process")?;
    let Some((stage, errno)) = job.report.take() else {
        return Ok(Process { pid, pidfd });
    };
    // It has ended by itself; nothing else tells of it.
    wait(pid)?;
    Err(failure(job, stage, errno))
}

fn clone(job: &Job) -> Result<(libc::pid_t, OwnedFd), Errno> {
    /// Plenty: the process makes system calls and fills one buffer of 256 bytes at a time.
    const STACK: usize = 256 << 10;
    let mut stack = vec![0_u128; STACK / size_of::<u128>()];
    let mut pidfd: c_int = -1;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::CLONE_NEWPID | libc::SIGCHLD;
    // SAFETY: CLONE_VFORK holds this thread until the process has executed its command or ended, so `job` and `stack`
    // outlive its use of them; the stack's end is aligned to 16 bytes; `main` returns or executes, and never unwinds.
    let pid = unsafe {
        libc::clone(
            main,
            stack.as_mut_ptr_range().end.cast(),
            flags,
            std::ptr::from_ref(job).cast_mut().cast(),
            &raw mut pidfd,
        )
    };
    if pid < 0 {
        return Err(last_errno());
    }
    // SAFETY: CLONE_PIDFD stored a new descriptor, which nobody else owns.
    Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

fn failure(job: &Job, stage: Stage, errno: Errno) -> Error {
    let command = job.command.name.clone();
    match stage {
        Stage::ExecMissing => Error::CommandNotFound { command },
        Stage::ExecInterpreter => {
            let reason = "its interpreter or dynamic loader does not exist in the image";
            let source = std::io::Error::new(std::io::ErrorKind::NotFound, reason);
            Error::CommandNotExecutable { command, source }
        }
        Stage::Exec => Error::CommandNotExecutable {
            command,
            source: errno.into(),
        },
        Stage::Uid | Stage::Gid | Stage::Groups if errno == Errno::INVAL => {
            let reason = "the id lies outside the range of the user namespace; give the user more subordinate ids";
            let subject = format!("{}:{}", job.uid, job.gid);
            Error::Setup {
                step: stage.describe(),
                subject,
                source: std::io::Error::other(reason),
            }
        }
        Stage::EnterCwd => Error::setup(stage.describe(), job.cwd.to_string_lossy(), errno),
        _ => Error::setup(stage.describe(), "", errno),
    }
}

fn wait(pid: libc::pid_t) -> Result<Exit, Error> {
    let mut status: c_int = 0;
    // SAFETY: all-zero bytes are a valid `rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: wait4 writes one status and one `rusage`; `pid` is our own child that nobody else waits for.
        if unsafe { libc::wait4(pid, &raw mut status, libc::__WALL, &raw mut usage) } == pid {
            break;
        }
        match last_errno() {
            Errno::INTR => {}
            errno => {
                return Err(Error::Follow {
                    step: "wait for",
                    source: errno.into(),
                });
            }
        }
    }
    let exited = libc::WIFEXITED(status);
    Ok(Exit {
        code: exited.then(|| libc::WEXITSTATUS(status)),
        signal: (!exited).then(|| libc::WTERMSIG(status)),
        // Linux counts KiB.
        max_rss: u64::try_from(usage.ru_maxrss).unwrap_or_default() * 1024,
        peak_memory: None,
        out_of_memory: false,
        user_time: duration(usage.ru_utime),
        system_time: duration(usage.ru_stime),
    })
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or_default())
}

/// A process that changes its user while it shares Kiln's memory makes the kernel mark that memory as "not dumpable"
/// (rightly: a process of that user must not look into it). Once no such process shares it any more the mark is taken
/// off again, since it would give Kiln's own `/proc` entries to root.
struct KeepDumpable;

/// How many such processes there are, and whether the memory was dumpable before the first.
static SHARING: Mutex<(usize, bool)> = Mutex::new((0, false));

impl KeepDumpable {
    fn new() -> Self {
        let mut sharing = SHARING.lock().unwrap_or_else(PoisonError::into_inner);
        if sharing.0 == 0 {
            // SAFETY: prctl without pointers.
            sharing.1 = unsafe { libc::prctl(libc::PR_GET_DUMPABLE) } == 1;
        }
        sharing.0 += 1;
        Self
    }
}

impl Drop for KeepDumpable {
    fn drop(&mut self) {
        let mut sharing = SHARING.lock().unwrap_or_else(PoisonError::into_inner);
        sharing.0 -= 1;
        if *sharing == (0, true) {
            // SAFETY: prctl without pointers. A failure leaves the stricter setting.
            unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) };
        }
    }
}
