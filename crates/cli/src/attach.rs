//! This terminal on one end, that of a shell or a program on the other.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use kiln_build::shell::{Attach, TerminalSize};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::termios::{Winsize, tcgetwinsize, tcsetwinsize};
use signal_hook::consts::SIGWINCH;
use signal_hook::low_level::{pipe, unregister};

use crate::progress::Progress;
use crate::progress::text::lines;
use crate::terminal::{self, Raw};

/// Who sits in front of Kiln.
pub(crate) struct Console<'a> {
    progress: &'a Progress,
    is_terminal: bool,
}

impl<'a> Console<'a> {
    /// For a shell or a program that has a terminal, or has none.
    pub(crate) const fn new(progress: &'a Progress, is_terminal: bool) -> Self {
        Self { progress, is_terminal }
    }

    /// Whether the shell has a terminal.
    pub(crate) const fn is_terminal(&self) -> bool {
        self.is_terminal
    }
}

/// Whether somebody types at standard input and reads standard output.
pub(crate) fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

impl Attach for Console<'_> {
    fn begin(&self, notes: &[String]) -> Option<TerminalSize> {
        self.progress.finish();
        for note in notes {
            terminal::say(format!("note: {}\n", lines(note)));
        }
        self.is_terminal.then(|| {
            let size = size();
            TerminalSize {
                columns: size.ws_col,
                rows: size.ws_row,
            }
        })
    }

    fn carry(&self, theirs: OwnedFd, ended: BorrowedFd<'_>, stop: BorrowedFd<'_>) -> io::Result<()> {
        let _raw = Raw::enter()?;
        let resized = Resized::watch()?;
        // It may have changed since it was asked for.
        tcsetwinsize(&theirs, size())?;
        rustix::io::ioctl_fionbio(&theirs, true)?;
        Carrier {
            theirs,
            resized,
            typed: Some(Vec::new()),
        }
        .run(ended, stop)
    }
}

/// The size of this terminal; what most have where it cannot be asked.
fn size() -> Winsize {
    let usual = Winsize {
        ws_col: 80,
        ws_row: 24,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let asked = tcgetwinsize(io::stdout());
    asked
        .ok()
        .filter(|size| size.ws_col > 0 && size.ws_row > 0)
        .unwrap_or(usual)
}

/// Hears of changes of this terminal's size.
struct Resized {
    pipe: UnixStream,
    id: signal_hook::SigId,
}

impl Resized {
    fn watch() -> io::Result<Self> {
        let (pipe, write) = UnixStream::pair()?;
        pipe.set_nonblocking(true)?;
        let id = pipe::register(SIGWINCH, write)?;
        Ok(Self { pipe, id })
    }

    fn forget(&self) {
        let mut buffer = [0; 64];
        while rustix::io::read(&self.pipe, &mut buffer).is_ok_and(|read| read > 0) {}
    }
}

impl Drop for Resized {
    fn drop(&mut self) {
        unregister(self.id);
    }
}

/// Carries bytes both ways.
struct Carrier {
    theirs: OwnedFd,
    resized: Resized,
    /// What was typed and not taken yet; `None` once nothing can come any more.
    typed: Option<Vec<u8>>,
}

impl Carrier {
    fn run(mut self, ended: BorrowedFd<'_>, stop: BorrowedFd<'_>) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let Some(ready) = self.wait(ended, stop)? else {
                return Ok(());
            };
            if ready.resized {
                self.resized.forget();
                tcsetwinsize(&self.theirs, size())?;
            }
            // What is written last is still there when the shell has ended.
            if !self.show(&mut buffer)? || ready.ended {
                return Ok(());
            }
            if ready.typed {
                self.read(&mut buffer)?;
            }
            self.pass()?;
        }
    }

    /// `None` when it is to stop.
    fn wait(&self, ended: BorrowedFd<'_>, stop: BorrowedFd<'_>) -> io::Result<Option<Ready>> {
        let stdin = io::stdin();
        let pending = self.typed.as_ref().is_some_and(|typed| !typed.is_empty());
        let wanted = if pending {
            PollFlags::IN | PollFlags::OUT
        } else {
            PollFlags::IN
        };
        let mut fds = vec![
            PollFd::new(&self.theirs, wanted),
            PollFd::from_borrowed_fd(ended, PollFlags::IN),
            PollFd::from_borrowed_fd(stop, PollFlags::IN),
            PollFd::new(&self.resized.pipe, PollFlags::IN),
        ];
        // One thing after the other: what is typed waits in this terminal as long as the shell does not read.
        if self.typed.is_some() && !pending {
            fds.push(PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN));
        }
        rustix::io::retry_on_intr(|| poll(&mut fds, None))?;
        let is_ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        let ready = Ready {
            ended: is_ready(1),
            resized: is_ready(3),
            typed: is_ready(4),
        };
        Ok((!is_ready(2)).then_some(ready))
    }

    /// Shows all that was written; false when nothing more can come.
    fn show(&self, buffer: &mut [u8]) -> io::Result<bool> {
        let mut out = io::stdout().lock();
        loop {
            match rustix::io::read(&self.theirs, &mut *buffer) {
                // All of the shell's programs have closed it.
                Ok(0) | Err(Errno::IO) => return Ok(false),
                Ok(read) => {
                    out.write_all(&buffer[..read])?;
                    out.flush()?;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(true),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Takes what was typed.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let Some(typed) = &mut self.typed else { return Ok(()) };
        match rustix::io::read(io::stdin(), &mut *buffer) {
            // Hung up.
            Ok(0) | Err(Errno::IO) => self.typed = None,
            Ok(read) => typed.extend_from_slice(&buffer[..read]),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(())
    }

    /// Passes on what was typed, as much as is taken now.
    fn pass(&mut self) -> io::Result<()> {
        let Some(typed) = &mut self.typed else { return Ok(()) };
        while !typed.is_empty() {
            match rustix::io::write(&self.theirs, typed) {
                Ok(written) => drop(typed.drain(..written)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                // Nobody is there any more to read it.
                Err(Errno::IO) => typed.clear(),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}

/// What is to be done.
struct Ready {
    ended: bool,
    resized: bool,
    typed: bool,
}
