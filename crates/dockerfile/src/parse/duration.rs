//! Go's durations: `1h30m`, `1.5s`, `300ms`.

/// Nanoseconds. The messages are Go's.
pub(super) fn parse(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (amount, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        if amount.is_empty() {
            return Err(invalid());
        }
        let (unit, after) = split(after, |c| !c.is_ascii_digit() && c != '.');
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let scale = scale(unit).ok_or_else(|| format!("time: unknown unit {unit:?} in duration {text:?}"))?;
        total = total.saturating_add(amount_of(amount, scale).ok_or_else(invalid)?);
        rest = after;
    }
    let signed = if negative { -total } else { total };
    i64::try_from(signed).map_err(|_| invalid())
}

fn split(text: &str, part: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !part(c)).unwrap_or(text.len()))
}

/// Nanoseconds of a unit.
fn scale(unit: &str) -> Option<i128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// `12`, `1.5`, `.5`, `1.` times the scale, cut off below a nanosecond.
fn amount_of(amount: &str, scale: i128) -> Option<i128> {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let (mut part, mut parts): (i128, i128) = (0, 1);
    // Below a nanosecond nothing counts, so that these many digits are enough.
    for digit in fraction.chars().take(18) {
        part = part * 10 + i128::from(digit.to_digit(10)?);
        parts *= 10;
    }
    whole.checked_mul(scale)?.checked_add(part * scale / parts)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn durations() {
        let cases = [
            ("0", 0),
            ("30s", 30_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("300ms", 300_000_000),
            ("2us", 2_000),
            ("2µs", 2_000),
            ("-1m", -60_000_000_000),
            ("+5s", 5_000_000_000),
            ("0.1234567891s", 123_456_789),
            ("1.0000000000000000000000001s", 1_000_000_000),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn wrong_durations() {
        let cases = [
            ("", "time: invalid duration \"\""),
            ("5", "time: missing unit in duration \"5\""),
            ("s", "time: invalid duration \"s\""),
            ("5x", "time: unknown unit \"x\" in duration \"5x\""),
            ("1..5s", "time: invalid duration \"1..5s\""),
            (".s", "time: invalid duration \".s\""),
            ("9999999999h", "time: invalid duration \"9999999999h\""),
            (
                "99999999999999999999999999999999999999999999999h",
                "time: invalid duration \"99999999999999999999999999999999999999999999999h\"",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Err(expected.to_owned()), "{text}");
        }
    }
}
