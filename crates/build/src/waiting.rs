//! Waiting for locks that other builds have, without being deaf to the end of this one.

use std::time::Duration;

use kiln_store::{LockGuard, Store};

use crate::cancel::Cancel;
use crate::error::{StepError, StepResult};

/// Who else may have a lock at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Share {
    /// Whoever shares it too.
    Shared,
    /// Nobody.
    Alone,
}

/// The pause after the first attempt; it doubles up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(50);
/// After this long the user wants to know what takes so long.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is said while a lock is waited for that somebody else has for `what`.
pub(crate) fn explanation(what: &str) -> String {
    format!("kiln: another step or build has {what}, waiting for it")
}

/// Waits for the lock of that name until it is there or the build is cancelled. Calls `explain` if it takes long.
pub(crate) fn lock(
    store: &Store,
    cancel: &Cancel,
    name: &str,
    share: Share,
    explain: impl FnOnce(),
) -> StepResult<LockGuard> {
    let mut explain = Some(explain);
    let mut pause = SHORTEST;
    let mut waited = Duration::ZERO;
    loop {
        let got = match share {
            Share::Alone => store.try_lock_key(name)?,
            Share::Shared => store.try_lock_key_shared(name)?,
        };
        if let Some(guard) = got {
            return Ok(guard);
        }
        if cancel.wait(pause)? {
            return Err(StepError::Canceled);
        }
        waited += pause;
        pause = (pause * 2).min(LONGEST);
        if waited > PATIENCE
            && let Some(explain) = explain.take()
        {
            explain();
        }
    }
}
