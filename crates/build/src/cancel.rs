//! Stopping a build from outside: Ctrl-C, or a step that failed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};

/// A flag that threads can look at and, as a descriptor that becomes readable, wait for.
#[derive(Debug)]
pub struct Cancel {
    flag: AtomicBool,
    event: OwnedFd,
}

impl Cancel {
    /// A token that is not cancelled. Fails only if the process has no descriptor left.
    pub fn new() -> std::io::Result<Self> {
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

    /// Becomes readable when cancelled, and stays so.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
