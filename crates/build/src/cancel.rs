//! Stopping a build from outside: Ctrl-C, or a step that failed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use crate::error::{StepError, StepResult};

/// A flag that threads can look at and, as a descriptor that becomes readable, wait for.
#[derive(Debug)]
pub struct Cancel {
    flag: AtomicBool,
    event: OwnedFd,
}

impl Cancel {
    /// A token that is not cancelled. Fails only if the process has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            flag: AtomicBool::new(false),
            event,
        })
    }

    /// Cancels. May be called from anywhere, any number of times.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::SeqCst);
        // A full counter is readable too, which is all that waiters look for.
        let _full_is_fine = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
    }

    /// Whether it was cancelled.
    pub fn is_canceled(&self) -> bool {
        self.flag.load(Ordering::SeqCst)
    }

    /// Waits so long, or until it is cancelled: whether it is.
    pub(crate) fn wait(&self, time: Duration) -> StepResult<bool> {
        let timeout = Timespec::try_from(time).map_err(|_| StepError::Invalid("a wait without end".to_owned()))?;
        let mut fds = [PollFd::from_borrowed_fd(self.fd(), PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(self.is_canceled()),
            Err(error) => Err(StepError::errno("wait for", "a lock")(error)),
        }
    }

    /// Becomes readable when cancelled, and stays so.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

/// A reader or writer that fails once the build is cancelled, so that long transfers end soon.
pub(crate) struct Watched<'a, T> {
    pub(crate) inner: T,
    pub(crate) cancel: &'a Cancel,
}

impl<T> Watched<'_, T> {
    fn check(&self) -> io::Result<()> {
        if self.cancel.is_canceled() {
            return Err(io::Error::other("canceled"));
        }
        Ok(())
    }
}

impl<T: io::Read> io::Read for Watched<'_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        self.inner.read(buffer)
    }
}

impl<T: io::Write> io::Write for Watched<'_, T> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.check()?;
        self.inner.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
