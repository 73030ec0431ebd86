//! Output: standard output for data, standard error for everything else.

use std::io::{self, IsTerminal as _, Write};

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
