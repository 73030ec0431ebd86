//! Times for people.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    Timestamp::now().as_second()
}

/// Seconds since 1970 of a time in RFC 3339; 0, which is long ago, for what is none.
pub(crate) fn parse(text: &str) -> i64 {
    text.parse::<Timestamp>().map_or(0, Timestamp::as_second)
}

/// A time like docker's: `2026-11-21 08:00:00 +0000 UTC`.
pub(crate) fn show(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds)
        .unwrap_or_default()
        .to_zoned(TimeZone::UTC);
    time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string()
}

/// How long ago, in docker's words (go-units, `HumanDuration`).
pub(crate) fn ago(seconds: i64, now: i64) -> String {
    let passed = (now - seconds).max(0);
    let (minutes, hours) = (passed / 60, (passed + 1800) / 3600);
    let words = match passed {
        0 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{passed} seconds"),
        60..120 => "About a minute".to_owned(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours <= 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 14 => format!("{} days", hours / 24),
        _ if hours < 24 * 60 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    };
    format!("{words} ago")
}

/// Seconds, to the millisecond.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of a build fit easily")]
pub(crate) fn seconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_how_long_ago() {
        for (passed, words) in [
            (0, "Less than a second ago"),
            (5, "5 seconds ago"),
            (90, "About a minute ago"),
            (600, "10 minutes ago"),
            (3600, "About an hour ago"),
            (7200, "2 hours ago"),
            (3 * 86_400, "3 days ago"),
            (30 * 86_400, "4 weeks ago"),
            (100 * 86_400, "3 months ago"),
            (900 * 86_400, "2 years ago"),
        ] {
            assert_eq!(ago(1_000_000_000 - passed, 1_000_000_000), words);
        }
    }

    #[test]
    fn reads_and_shows_times() {
        assert_eq!(parse("1970-01-01T00:01:00.5Z"), 60);
        assert_eq!(parse("yesterday"), 0);
        assert_eq!(show(60), "1970-01-01 00:01:00 +0000 UTC");
    }
}
