//! Times of modification that are not the files' own.

/// What becomes of times of modification. Seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Times {
    /// Nothing.
    #[default]
    Keep,
    /// Later ones become this.
    AtMost(i64),
    /// All become this.
    Set(i64),
}

impl Times {
    /// The time of a file that has `own`: seconds, nanoseconds.
    pub(crate) fn of(self, own: (i64, u32)) -> (i64, u32) {
        match self {
            Self::Set(time) => (time, 0),
            Self::AtMost(latest) if own > (latest, 0) => (latest, 0),
            Self::Keep | Self::AtMost(_) => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_of_a_time() {
        for (times, own, expected) in [
            (Times::Keep, (7, 8), (7, 8)),
            (Times::AtMost(6), (7, 8), (6, 0)),
            (Times::AtMost(7), (7, 8), (7, 0)),
            (Times::AtMost(8), (7, 8), (7, 8)),
            (Times::Set(6), (7, 8), (6, 0)),
            (Times::Set(8), (7, 8), (8, 0)),
        ] {
            assert_eq!(times.of(own), expected, "{times:?}");
        }
    }
}
