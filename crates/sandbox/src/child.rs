//! A running step, as its caller sees it.

use crate::{Error, Spec, Stdio};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

/// A running step. Dropping it kills the step and waits for its end.
#[derive(Debug)]
pub struct Child {
    pidfd: OwnedFd,
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

/// How a step ended, and what it used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code, if it ended by itself.
    pub code: Option<i32>,
    /// The signal that killed it, otherwise.
    pub signal: Option<i32>,
    /// Largest resident memory of any of its processes, in bytes (at least Kiln's own at the time of the start, as the
    /// kernel counts).
    pub max_rss: u64,
    /// Processor time in user mode, of the process and its descendants.
    pub user_time: Duration,
    /// Processor time in the kernel.
    pub system_time: Duration,
}

/// Starts a step. Returns once its command runs.
pub fn spawn(spec: &Spec<'_>, stdin: Stdio, stdout: Stdio, stderr: Stdio) -> Result<Child, Error> {
    drop((stdin, stdout, stderr));
    let _ = spec;
    Err(Error::InvalidSpec("not written yet".to_owned()))
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

    /// Readable once the step has ended; for `poll`.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        use std::os::fd::AsFd;
        self.pidfd.as_fd()
    }

    /// Waits for the end of the step and of all its descendants, and removes the mount points made for it.
    pub fn wait(&mut self) -> Result<Exit, Error> {
        Err(Error::InvalidSpec("not written yet".to_owned()))
    }

    /// Kills the step and all its descendants. Not an error if it has ended already.
    pub fn kill(&self) -> Result<(), Error> {
        Ok(())
    }
}
