//! The terminal while the explorer has it: taken over, and given back however the program ends.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use kiln_build::Cancel;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::SIGWINCH;
use signal_hook::low_level::pipe;

use crate::failure::{Context as _, Failure, Outcome};

/// The other screen, no cursor, the mouse with its buttons and places beyond column 223 (xterm's modes).
const TAKE: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?1000h\x1b[?1006h";
/// All of that back.
const GIVE_BACK: &[u8] = b"\x1b[?1006l\x1b[?1000l\x1b[0m\x1b[?25h\x1b[?1049l";

/// How long the rest of a key may take to come.
const KEY: Duration = Duration::from_millis(25);

/// The terminal as it was, while it is taken.
static BEFORE: OnceLock<Mutex<Option<Termios>>> = OnceLock::new();

/// The terminal, taken over.
#[derive(Debug)]
pub(crate) struct Tty {
    resized: UnixStream,
    cancel: Arc<Cancel>,
}

/// What there is after a wait.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    /// Bytes that were typed.
    pub(crate) typed: Vec<u8>,
    /// The terminal has another size, perhaps.
    pub(crate) resized: bool,
    /// A signal wants the end, or the terminal is gone.
    pub(crate) ended: bool,
}

impl Tty {
    /// Takes the terminal over, until signals cancel.
    pub(crate) fn take(cancel: Arc<Cancel>) -> Result<Self, Failure> {
        check()?;
        let cannot = || "cannot take the terminal over".to_owned();
        let before = tcgetattr(io::stdin()).or_internal(cannot)?;
        let mut raw = before.clone();
        raw.make_raw();
        *saved() = Some(before);
        give_back_on_panic();
        let tty = Self {
            resized: watch_size().or_internal(cannot)?,
            cancel,
        };
        tcsetattr(io::stdin(), OptionalActions::Flush, &raw).or_internal(cannot)?;
        Self::write(TAKE)?;
        Ok(tty)
    }

    /// Columns and rows.
    pub(crate) fn size() -> (usize, usize) {
        match tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
            _ => (80, 24),
        }
    }

    /// Writes to it.
    pub(crate) fn write(bytes: &[u8]) -> Outcome {
        crate::terminal::print(bytes)
    }

    /// Waits until something happens: for ever, or no longer than that; `is_within` waits for the rest of a key.
    pub(crate) fn wait(&mut self, at_most: Option<Duration>, is_within: bool) -> Result<Ready, Failure> {
        let time = if is_within { Some(KEY) } else { at_most };
        let time = time.map(|time| Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        });
        let stdin = io::stdin();
        let mut fds = [
            PollFd::new(&stdin, PollFlags::IN),
            PollFd::new(&self.resized, PollFlags::IN),
            PollFd::from_borrowed_fd(self.cancel.fd(), PollFlags::IN),
        ];
        match poll(&mut fds, time.as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(Ready::default()),
            Err(errno) => return Err(io::Error::from(errno)).or_internal(|| "cannot wait for keys".to_owned()),
        }
        let [typed, resized, ended] = fds.map(|fd| !fd.revents().is_empty());
        let mut ready = Ready {
            typed: Vec::new(),
            resized,
            ended,
        };
        if typed {
            let mut bytes = [0; 4096];
            match rustix::io::read(&stdin, &mut bytes) {
                Ok(0) | Err(rustix::io::Errno::IO) => ready.ended = true,
                Ok(count) => ready.typed = bytes[..count].to_vec(),
                Err(_) => {}
            }
        }
        if resized {
            let mut heard = [0; 64];
            let _how_often_does_not_matter = self.resized.read(&mut heard);
        }
        Ok(ready)
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        give_back();
    }
}

/// Whether there is a terminal to take.
pub(crate) fn check() -> Outcome {
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        return Ok(());
    }
    Err(
        Failure::usage("kiln explore needs a terminal, and standard input or output is none")
            .hint("`kiln waste`, `kiln diff` and `kiln packages` print, `kiln report` writes a page"),
    )
}

fn saved() -> std::sync::MutexGuard<'static, Option<Termios>> {
    BEFORE
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// Gives the terminal back, once.
fn give_back() {
    let Some(before) = saved().take() else { return };
    let mut out = io::stdout();
    let _terminal_may_be_gone = out.write_all(GIVE_BACK).and_then(|()| out.flush());
    let _terminal_may_be_gone = tcsetattr(io::stdin(), OptionalActions::Now, &before);
}

/// A panic's message must be seen, on a terminal that works.
fn give_back_on_panic() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        give_back();
        usual(panic);
    }));
}

/// Becomes readable when the terminal has another size.
fn watch_size() -> io::Result<UnixStream> {
    let (hears, says) = UnixStream::pair()?;
    hears.set_nonblocking(true)?;
    pipe::register(SIGWINCH, says)?;
    Ok(hears)
}
