//! Output: standard output for data, standard error for everything else.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::failure::{Failure, Outcome};
use crate::progress::text::lines;

/// Writes data to standard output.
pub(crate) fn print(text: impl AsRef<[u8]>) -> Outcome {
    let mut out = io::stdout().lock();
    out.write_all(text.as_ref())
        .and_then(|()| out.flush())
        .map_err(Failure::output)
}

/// Writes a line of data to standard output.
pub(crate) fn print_line(text: impl std::fmt::Display) -> Outcome {
    print(format!("{text}\n"))
}

/// Writes for people, to standard error. Who closed it does not want to know.
pub(crate) fn say(text: impl AsRef<[u8]>) {
    let mut err = io::stderr().lock();
    let _nobody_listens = err.write_all(text.as_ref());
}

/// Writes a warning to standard error, made fit to be shown.
pub(crate) fn warn(text: impl std::fmt::Display) {
    say(format!("warning: {}\n", lines(&text.to_string())));
}

/// Whether standard output is a terminal.
pub(crate) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether standard error is a terminal.
pub(crate) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Columns and rows of the terminal behind standard error; what most have where it cannot be asked.
pub(crate) fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => (80, 24),
    }
}

/// How the terminal was set before it was made raw.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// A terminal whose keys mean nothing here: all of them are passed on. Set as before when this is dropped.
#[derive(Debug)]
pub(crate) struct Raw(());

impl Raw {
    /// Makes the terminal at standard input raw.
    pub(crate) fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        tcsetattr(io::stdin(), OptionalActions::Drain, &raw)?;
        Ok(Self(()))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

/// Sets the terminal as it was, if it was made raw: also for a process that ends without dropping anything.
pub(crate) fn restore() {
    if let Some(before) = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // Who hung up needs nothing restored.
        let _hung_up = tcsetattr(io::stdin(), OptionalActions::Drain, &before);
    }
}
