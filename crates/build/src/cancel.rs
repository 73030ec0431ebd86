//! Stopping a build from outside: Ctrl-C, or a step that failed.

use std::fs::File;
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
    registry: kiln_registry::Stop,
}

impl Cancel {
    /// A token that is not cancelled. Fails only if the process has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            flag: AtomicBool::new(false),
            event,
            registry: kiln_registry::Stop::default(),
        })
    }

    /// Cancels. May be called from anywhere, any number of times.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::SeqCst);
        self.registry.stop();
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

    /// A reader of a file or pipe that fails once this is cancelled, even while nothing comes.
    pub fn reading(&self, file: File) -> impl io::Read {
        Waiting { file, cancel: self }
    }

    /// Ends what waits for a registry.
    pub(crate) fn registry(&self) -> kiln_registry::Stop {
        self.registry.clone()
    }

    /// Becomes readable when cancelled, and stays so.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

/// See [`Cancel::reading`].
struct Waiting<'a> {
    file: File,
    cancel: &'a Cancel,
}

impl io::Read for Waiting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut fds = [
            PollFd::new(&self.file, PollFlags::IN),
            PollFd::from_borrowed_fd(self.cancel.fd(), PollFlags::IN),
        ];
        rustix::io::retry_on_intr(|| poll(&mut fds, None))?;
        if self.cancel.is_canceled() {
            return Err(io::Error::other("canceled"));
        }
        io::Read::read(&mut self.file, buffer)
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn reading_ends_with_the_build() {
        let (pipe, mut writer) = io::pipe().unwrap();
        let cancel = Cancel::new().unwrap();
        let mut reader = cancel.reading(OwnedFd::from(pipe).into());
        writer.write_all(b"some").unwrap();
        let mut buffer = [0; 10];
        assert_eq!(reader.read(&mut buffer).unwrap(), 4);
        std::thread::scope(|scope| {
            // The writer stays open: nothing but the token can end this.
            let read = scope.spawn(|| reader.read(&mut [0; 10]));
            cancel.cancel();
            assert!(read.join().unwrap().is_err());
        });
    }
}
