//! A running step, as its caller sees it.

use crate::assemble::Surroundings;
use crate::cgroup::Group;
use crate::command::{c_string, command};
use crate::exec::Job;
use crate::ground::Kind;
use crate::limits::rlimits;
use crate::mnt::Context;
use crate::prepared::{Outcome, Prepared, panicked};
use crate::stage::Report;
use crate::supervise::{MakeJob, supervise};
use crate::terminal::Terminal;
use crate::{Error, Spec, Stdio};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, pidfd_send_signal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A running step. Dropping it kills the step and waits for its end.
#[derive(Debug)]
pub struct Child {
    pidfd: OwnedFd,
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    terminal: Option<OwnedFd>,
    outcome: Option<Receiver<Outcome>>,
    exit: Option<Exit>,
}

/// How a step ended, and what it used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code, if it ended by itself.
    pub code: Option<i32>,
    /// The signal that killed it, otherwise.
    pub signal: Option<i32>,
    /// Largest resident memory of any of its processes, in bytes (at least Kiln's own at the time of the start, as the
    /// kernel counts).
    pub max_rss: u64,
    /// Most memory of all its processes together, in bytes, where their memory was limited.
    pub peak_memory: Option<u64>,
    /// Whether the kernel ended one of its processes because their memory limit was reached.
    pub out_of_memory: bool,
    /// Processor time in user mode, of the process and its descendants.
    pub user_time: Duration,
    /// Processor time in the kernel.
    pub system_time: Duration,
}

/// Starts a step. Returns once its command runs.
///
/// It may be called from any thread, from several at once. The command is process 1 of a PID namespace: its end is the
/// end of all its descendants. It dies with Kiln.
///
/// # Errors
///
/// [`Error::CommandNotFound`] and [`Error::CommandNotExecutable`] are about the image; all others mean that the step
/// could not be set up. Nothing is left over in either case.
pub fn spawn(spec: &Spec<'_>, stdin: Stdio, stdout: Stdio, stderr: Stdio) -> Result<Child, Error> {
    Prepared::new(Kind::of(spec))?.spawn(spec, stdin, stdout, stderr)
}

impl Prepared {
    /// As [`spawn`], in these namespaces if they are of the step's kind.
    pub fn spawn(self, spec: &Spec<'_>, stdin: Stdio, stdout: Stdio, stderr: Stdio) -> Result<Child, Error> {
        if self.kind() != Kind::of(spec) {
            return spawn(spec, stdin, stdout, stderr);
        }
        let terminal = Arc::new(OnceLock::new());
        let wanted = spec.terminal.map(|size| Terminal {
            size,
            uid: spec.user.uid,
            ours: Arc::clone(&terminal),
        });
        let surroundings = Surroundings::new(spec, wanted)?;
        let [stdin, stdout, stderr] = [
            Stream::new(stdin, false)?,
            Stream::new(stdout, true)?,
            Stream::new(stderr, true)?,
        ];
        let stdio = [stdin.ours, stdout.ours, stderr.ours];
        let group = Group::new(&spec.limits)?;
        let make_job = make_job(spec, stdio, group.as_ref())?;
        let emulator = spec.emulator.clone();
        let (pidfd, outcome) = self.carry_out(move |ground, started| {
            let exit = supervise(ground, surroundings, make_job, started)?;
            // What it registers must outlast the step.
            drop(emulator);
            let usage = group.as_ref().map(Group::usage).unwrap_or_default();
            Ok(Exit {
                peak_memory: usage.peak_memory,
                out_of_memory: usage.out_of_memory,
                ..exit
            })
        })?;
        Ok(Child {
            pidfd,
            stdin: stdin.theirs,
            stdout: stdout.theirs,
            stderr: stderr.theirs,
            terminal: Arc::try_unwrap(terminal).ok().and_then(OnceLock::into_inner),
            outcome: Some(outcome),
            exit: None,
        })
    }
}

/// All that the process needs but what only its thread knows.
fn make_job(spec: &Spec<'_>, stdio: [Option<OwnedFd>; 3], group: Option<&Group>) -> Result<MakeJob, Error> {
    let command = command(spec)?;
    let cwd = c_string(&spec.cwd)?;
    let rlimits = rlimits(&spec.ulimits)?;
    let join = group.map_or_else(|| Ok(Vec::new()), Group::join_files)?;
    let filter = if spec.privileged { None } else { Some(filter()?) };
    let (uid, gid, groups) = (spec.user.uid, spec.user.gid, spec.user.groups.clone());
    let (privileged, read_only_root) = (spec.privileged, spec.read_only_root);
    let emulator = spec.emulator.clone();
    Ok(Box::new(move |assembled| Job {
        assembled,
        command,
        cwd,
        stdio,
        uid,
        gid,
        groups,
        privileged,
        read_only_root,
        join,
        emulator,
        rlimits,
        filter,
        report: Report::default(),
    }))
}

fn filter() -> Result<&'static [crate::seccomp::Insn], Error> {
    crate::seccomp::default_program().ok_or_else(|| {
        let reason = "there is no seccomp profile for this architecture; only privileged steps can run";
        Error::InvalidSpec(reason.to_owned())
    })
}

/// The two ends of a standard stream.
struct Stream {
    ours: Option<OwnedFd>,
    theirs: Option<OwnedFd>,
}

impl Stream {
    /// `output`: the step writes to it.
    fn new(stdio: Stdio, output: bool) -> Result<Self, Error> {
        let stream = match stdio {
            Stdio::Inherit => Self {
                ours: None,
                theirs: None,
            },
            Stdio::Fd(fd) => Self {
                ours: Some(fd),
                theirs: None,
            },
            Stdio::Null => {
                let access = if output { OFlags::WRONLY } else { OFlags::RDONLY };
                let null = rustix::fs::open("/dev/null", access | OFlags::CLOEXEC, Mode::empty());
                Self {
                    ours: Some(null.context("open", "/dev/null")?),
                    theirs: None,
                }
            }
            Stdio::Pipe => {
                let (read, write) = pipe_with(PipeFlags::CLOEXEC).context("open", "a pipe")?;
                let (ours, theirs) = if output { (write, read) } else { (read, write) };
                Self {
                    ours: Some(ours),
                    theirs: Some(theirs),
                }
            }
        };
        Ok(stream)
    }
}

impl Child {
    /// The other end of the pipe to its standard input, if one was asked for; once.
    pub fn stdin(&mut self) -> Option<OwnedFd> {
        self.stdin.take()
    }

    /// The other end of the pipe from its standard output, if one was asked for; once.
    pub fn stdout(&mut self) -> Option<OwnedFd> {
        self.stdout.take()
    }

    /// The other end of the pipe from its standard error, if one was asked for; once.
    pub fn stderr(&mut self) -> Option<OwnedFd> {
        self.stderr.take()
    }

    /// Our end of its terminal, if one was asked for; once. What is written to it was typed. When all of the step's
    /// programs have closed theirs, reading fails with `EIO`.
    pub fn terminal(&mut self) -> Option<OwnedFd> {
        self.terminal.take()
    }

    /// Readable once the step has ended; for `poll`.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Waits for the end of the step and of all its descendants, and until the mount points made for it are gone.
    pub fn wait(&mut self) -> Result<Exit, Error> {
        if let Some(outcome) = self.outcome.take() {
            self.exit = Some(outcome.recv().map_err(|_| panicked())??);
        }
        self.exit.ok_or_else(panicked)
    }

    /// Kills the step and all its descendants. Not an error if it has ended already.
    pub fn kill(&self) -> Result<(), Error> {
        self.signal(Signal::KILL)
    }

    /// Sends a signal to the step's first process. Not an error if it has ended already.
    pub fn signal(&self, signal: Signal) -> Result<(), Error> {
        match pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(Error::Follow {
                step: "signal",
                source: errno.into(),
            }),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.outcome.is_some() {
            // Nobody is left who could be told of a failure.
            self.kill().ok();
            self.wait().ok();
        }
    }
}
