//! When to try again (RFC 9110 section 10.2.3, `Retry-After`).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::{Error, OnRetry, Settings, Stop};

/// No wait between two attempts is longer; a server that wants a longer one gets no further attempt.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The longest `Retry-After` that is honoured.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(120);

/// The wait that a server asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetryAfter(pub(crate) Duration);

impl RetryAfter {
    /// Reads seconds or an HTTP date.
    pub(crate) fn parse(text: &str, now: SystemTime) -> Option<Self> {
        let text = text.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Self(Duration::from_secs(seconds)));
        }
        let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        let wait = SystemTime::from(at).duration_since(now).unwrap_or_default();
        Some(Self(wait))
    }
}

/// Exponential back-off with jitter.
#[derive(Debug, Clone, Copy)]
struct Backoff {
    left: u32,
    delay: Duration,
}

impl Backoff {
    /// `retries` further attempts, the first after about `delay`.
    const fn new(retries: u32, delay: Duration) -> Self {
        Self { left: retries, delay }
    }

    /// How long to wait before the next attempt; `None` where there is to be none.
    fn next(&mut self, asked: Option<RetryAfter>) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let base = self.delay.min(LONGEST_WAIT);
        self.delay = self.delay.saturating_mul(2);
        // Half to full: many clients that failed together do not come back together.
        let wait = base.mul_f64(0.5 + fastrand::f64() / 2.0);
        match asked {
            Some(RetryAfter(asked)) if asked > LONGEST_RETRY_AFTER => None,
            Some(RetryAfter(asked)) => Some(wait.max(asked)),
            None => Some(wait),
        }
    }
}

/// What is left of the readiness to try again.
pub(crate) struct Patience {
    any: Backoff,
    connects: u32,
    on_retry: Option<Arc<OnRetry>>,
    stop: Stop,
}

impl Patience {
    /// As much as the settings say; after failures to connect no more than `connects` attempts.
    pub(crate) fn new(settings: &Settings, connects: u32, stop: &Stop) -> Self {
        Self {
            any: Backoff::new(settings.retries, settings.retry_delay),
            connects: connects.min(settings.retries),
            on_retry: settings.on_retry.clone(),
            stop: stop.clone(),
        }
    }

    /// Sleeps before the next attempt, or gives the error back if there is to be none.
    pub(crate) fn wait(&mut self, error: Error) -> Result<(), Error> {
        if !error.is_transient() {
            return Err(error);
        }
        if error.is_connect() {
            match self.connects.checked_sub(1) {
                Some(left) => self.connects = left,
                None => return Err(error),
            }
        }
        let asked = match &error {
            Error::Status(_, refusal) => refusal.retry_after,
            _ => None,
        };
        match self.any.next(asked) {
            Some(wait) => {
                if let Some(tell) = &self.on_retry {
                    tell(&error, wait);
                }
                // The next attempt fails by itself if it is stopped.
                self.stop.sleep(wait);
                Ok(())
            }
            None => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_retry_after() {
        // RFC 9110's own example date, and half a minute before it.
        let date = "Fri, 31 Dec 1999 23:59:59 GMT";
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(946_684_799 - 30);
        for (text, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            (date, Some(30)),
            ("Fri, 31 Dec 1999 23:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let parsed = RetryAfter::parse(text, now).map(|after| after.0.as_secs());
            assert_eq!(parsed, seconds, "{text}");
        }
    }

    #[test]
    fn waits_grow_and_end() {
        let mut backoff = Backoff::new(3, Duration::from_millis(100));
        let waits: Vec<_> = std::iter::from_fn(|| backoff.next(None)).collect();
        assert_eq!(waits.len(), 3);
        for (wait, most) in waits.iter().zip([100, 200, 400]) {
            let range = Duration::from_millis(most / 2)..=Duration::from_millis(most);
            assert!(range.contains(wait), "{wait:?}");
        }
    }

    #[test]
    fn the_servers_wish_is_honoured_within_reason() {
        let after = |seconds| Some(RetryAfter(Duration::from_secs(seconds)));
        assert_eq!(
            Backoff::new(1, Duration::ZERO).next(after(7)),
            Some(Duration::from_secs(7))
        );
        assert_eq!(Backoff::new(1, Duration::ZERO).next(after(21_600)), None);
    }
}
