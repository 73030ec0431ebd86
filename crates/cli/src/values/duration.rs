//! Spans of time: `90`, `90s`, `1h30m`, `250ms`.

use std::time::Duration;

const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];

/// A span of time of at least a millisecond; a number alone is seconds.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no span of time: wanted something like 90s or 1h30m");
    let mut rest = text.trim();
    if let Ok(seconds) = rest.parse::<u64>() {
        return positive(seconds.checked_mul(1000)).ok_or_else(wrong);
    }
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let factor = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1;
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        total = part.and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
        rest = after;
    }
    positive(Some(total)).ok_or_else(wrong)
}

fn positive(milliseconds: Option<u64>) -> Option<Duration> {
    milliseconds.filter(|&some| some > 0).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (text, milliseconds) in [
            ("90", 90_000),
            ("90s", 90_000),
            ("1h30m", 5_400_000),
            ("1m250ms", 60_250),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in [
            "",
            "0",
            "0s",
            "s",
            "1x",
            "-1",
            "1.5s",
            "1s2",
            "99999999999999999999h",
            "99999999999999999h",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
