//! A Kiln that runs beside the test: watched, sent signals, waited for.

use std::fs;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::stage::Stage;

/// How often a condition is looked at before the test gives up, and how long it sleeps in between: time enough for
/// the busiest machine. What passes is never slowed down by it.
const POLLS: u32 = 3000;
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until `found` gives something.
pub fn poll<T>(what: &str, mut found: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    for _ in 0..POLLS {
        if let Some(value) = found()? {
            return Ok(value);
        }
        sleep(PAUSE);
    }
    bail!("looked {POLLS} times, and never: {what}")
}

/// A running program that leads a process group of its own, as one that a shell started does.
#[derive(Debug)]
pub struct Running {
    child: Child,
    log: PathBuf,
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    /// As the kernel says.
    pub status: ExitStatus,
    /// What it wrote to both streams.
    pub log: String,
}

impl Running {
    /// Starts a command of a stage, with nothing on standard input and both outputs in a file.
    pub fn start(stage: &Stage, command: Command) -> Result<Self> {
        Self::start_with(stage, command, None, None)
    }

    /// The same, with standard streams of the caller's.
    pub fn start_with(
        stage: &Stage,
        mut command: Command,
        stdin: Option<Stdio>,
        stdout: Option<Stdio>,
    ) -> Result<Self> {
        let (file, log) = tempfile::Builder::new()
            .prefix("running-")
            .tempfile_in(stage.path(""))?
            .keep()?;
        let child = command
            .stdin(stdin.unwrap_or_else(Stdio::null))
            .stdout(match stdout {
                Some(stdout) => stdout,
                None => Stdio::from(file.try_clone()?),
            })
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child, log })
    }

    /// What it wrote so far.
    pub fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(&self.log)?).into_owned())
    }

    /// Waits until it wrote this.
    pub fn wrote(&mut self, part: &str) -> Result<()> {
        poll(&format!("the program writes {part:?}"), || {
            let log = self.log()?;
            if log.contains(part) {
                return Ok(Some(()));
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended ({status}) before it wrote {part:?}:\n{log}");
            }
            Ok(None)
        })
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to its process group, as a terminal does. Whether it was still there.
    pub fn signal(&mut self, signal: Signal) -> Result<bool> {
        // Not yet waited for, so the number is still its.
        if self.child.try_wait()?.is_some() {
            return Ok(false);
        }
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        match kill_process_group(group.context("no process")?, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error).context("cannot send a signal"),
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits for its end.
    pub fn end(mut self) -> Result<Ended> {
        let status =
            poll("the program ends", || Ok(self.child.try_wait()?)).with_context(|| self.log().unwrap_or_default())?;
        Ok(Ended {
            status,
            log: self.log()?,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only if it has ended.
        let _ended = self.signal(Signal::KILL);
        let _reaped = self.child.wait();
    }
}

impl Ended {
    /// The exit code as a shell gives it: 128 and the number of the signal for what a signal ended.
    pub fn code(&self) -> i32 {
        let by_signal = || self.status.signal().map_or(-1, |signal| 128 + signal);
        self.status.code().unwrap_or_else(by_signal)
    }

    /// An error unless it ended with one of these codes.
    pub fn expect(&self, codes: &[i32]) -> Result<()> {
        if codes.contains(&self.code()) {
            return Ok(());
        }
        bail!("wanted an exit code of {codes:?}, found {}:\n{}", self.status, self.log)
    }
}
