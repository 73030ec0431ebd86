//! A terminal of the step's own: a pair of pseudoterminals in its `/dev/pts`, so that programs in it find the name of
//! theirs.

use crate::Error;
use crate::mnt::Context;
use rustix::fs::{Gid, Mode, OFlags, Uid, fchown, openat};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};

/// How large a terminal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Characters in a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

/// A terminal that is wanted.
#[derive(Debug)]
pub(crate) struct Terminal {
    pub(crate) size: TerminalSize,
    /// Whom it belongs to.
    pub(crate) uid: u32,
    /// Where our end of it goes.
    pub(crate) ours: Arc<OnceLock<OwnedFd>>,
}

impl Terminal {
    /// Makes the pair in the step's `/dev`, with all that is mounted on it, and gives the step's end.
    pub(crate) fn open(&self, dev: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
        let open = || {
            let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
            let ours = openat(dev, "pts/ptmx", flags, Mode::empty())?;
            unlockpt(&ours)?;
            let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
            let theirs = ioctl_tiocgptpeer(&ours, flags)?;
            fchown(&theirs, Some(Uid::from_raw(self.uid)), None::<Gid>)?;
            let size = Winsize {
                ws_row: self.size.rows,
                ws_col: self.size.columns,
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            tcsetwinsize(&theirs, size)?;
            Ok((ours, theirs))
        };
        let (ours, theirs) = open().context("open", "a terminal")?;
        // Asked for once.
        self.ours.set(ours).ok();
        Ok(theirs)
    }
}
