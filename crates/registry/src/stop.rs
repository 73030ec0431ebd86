//! Ending a client's calls from another thread.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;

/// Ends all calls of the clients that were given it ([`Client::with_stop`](crate::Client::with_stop)), those that wait
/// now and those to come: they fail with [`Error::Stopped`](crate::Error::Stopped). For good. Clones are the same.
#[derive(Clone)]
pub struct Stop(Arc<Shared>);

struct Shared {
    stopped: watch::Sender<bool>,
    /// For threads that sleep; held while `stopped` changes.
    sleepers: Mutex<()>,
    woken: Condvar,
}

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(Shared {
            stopped: watch::Sender::new(false),
            sleepers: Mutex::new(()),
            woken: Condvar::new(),
        }))
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stop").field(&self.is_stopped()).finish()
    }
}

impl Stop {
    /// Stops. May be called any number of times.
    pub fn stop(&self) {
        let _guard = self.0.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.stopped.send_replace(true);
        self.0.woken.notify_all();
    }

    /// Whether it was stopped.
    pub fn is_stopped(&self) -> bool {
        *self.0.stopped.borrow()
    }

    /// Sleeps so long, or until it is stopped.
    pub(crate) fn sleep(&self, time: Duration) {
        let guard = self.0.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        let woken = self.0.woken.wait_timeout_while(guard, time, |()| !self.is_stopped());
        drop(woken.unwrap_or_else(PoisonError::into_inner));
    }

    /// The result of `work`; `None` if it is stopped before.
    pub(crate) async fn unless<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut watched = self.0.stopped.subscribe();
        // It fails only when the sender is gone, which we hold.
        let mut stopped = pin!(watched.wait_for(|&stopped| stopped));
        let mut work = pin!(work);
        poll_fn(|context| match stopped.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => work.as_mut().poll(context).map(Some),
        })
        .await
    }
}
