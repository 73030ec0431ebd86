//! Somebody at a terminal: Kiln in a session of its own, whose terminal is a pair of pseudoterminals.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Child;

use anyhow::{Context as _, Result, bail};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::running::poll;
use crate::stage::Stage;

/// Kiln at a terminal, and who looks at that.
#[derive(Debug)]
pub struct Typist {
    ours: File,
    /// Stays open, so that the terminal can be asked how it is set when Kiln has ended.
    theirs: OwnedFd,
    child: Child,
    seen: String,
    /// How much of it was waited for.
    read: usize,
}

impl Typist {
    /// Starts Kiln at a terminal of that size.
    pub fn start(stage: &Stage, arguments: &[&str], columns: u16, rows: u16) -> Result<Self> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        unlockpt(&ours)?;
        let name = ptsname(&ours, Vec::new())?;
        let theirs = open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        resize(&theirs, columns, rows)?;
        let program = stage.program().to_string_lossy().into_owned();
        let words = ["--ctty", &program].into_iter().chain(arguments.iter().copied());
        let words: Vec<String> = words.map(str::to_owned).collect();
        let child = stage
            .command("setsid", &words)
            .env("TERM", "xterm")
            .stdin(theirs.try_clone()?)
            .stdout(theirs.try_clone()?)
            .stderr(theirs.try_clone()?)
            .spawn()
            .context("cannot start setsid")?;
        Ok(Self {
            ours: ours.into(),
            theirs,
            child,
            seen: String::new(),
            read: 0,
        })
    }

    /// Changes the size of the terminal.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<()> {
        resize(&self.theirs, columns, rows)
    }

    /// How the terminal is set, as text that can be compared.
    pub fn settings(&self) -> Result<String> {
        let Termios {
            input_modes,
            output_modes,
            control_modes,
            local_modes,
            ..
        } = tcgetattr(&self.theirs)?;
        Ok(format!(
            "{input_modes:?} {output_modes:?} {control_modes:?} {local_modes:?}"
        ))
    }

    /// Types.
    pub fn types(&mut self, keys: &str) -> Result<()> {
        self.ours.write_all(keys.as_bytes()).context("cannot type")
    }

    /// Types a line, and waits until a part of what answers it is there.
    pub fn asks(&mut self, line: &str, answer: &str) -> Result<()> {
        self.types(&format!("{line}\n"))?;
        self.sees(answer)
    }

    /// Waits until this appears, behind what was waited for before.
    pub fn sees(&mut self, part: &str) -> Result<()> {
        poll(&format!("the terminal shows {part:?}"), || {
            self.look()?;
            if let Some(at) = self.seen[self.read..].find(part) {
                self.read += at + part.len();
                return Ok(Some(()));
            }
            if let Some(status) = self.child.try_wait()? {
                self.look()?;
                bail!("it ended ({status}) before it showed {part:?}");
            }
            Ok(None)
        })
        .with_context(|| self.seen.clone())
    }

    /// All that appeared.
    pub fn seen(&self) -> &str {
        &self.seen
    }

    fn look(&mut self) -> Result<()> {
        let mut buffer = [0; 4096];
        loop {
            match self.ours.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => self
                    .seen
                    .push_str(&String::from_utf8_lossy(&buffer[..read]).replace('\r', "")),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if Errno::from_io_error(&error) == Some(Errno::IO) => return Ok(()),
                Err(error) => return Err(error).context("cannot read the terminal"),
            }
        }
    }

    /// Sends Kiln a signal that comes from no key.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let process = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(process.context("no process")?, signal).context("cannot send a signal")
    }

    /// Waits for the end, and gives the exit code, 128 and the number for a signal.
    pub fn end(&mut self) -> Result<i32> {
        let status = poll("the program at the terminal ends", || {
            self.look()?;
            Ok(self.child.try_wait()?)
        })
        .with_context(|| self.seen.clone())?;
        self.look()?;
        let by_signal = || status.signal().map_or(-1, |signal| 128 + signal);
        Ok(status.code().unwrap_or_else(by_signal))
    }
}

impl Drop for Typist {
    fn drop(&mut self) {
        // Fails only if it has ended.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn resize(terminal: &OwnedFd, columns: u16, rows: u16) -> Result<()> {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).context("cannot resize the terminal")
}
