//! Docker's sizes: `64m`, `1.5GiB`, `100`.

/// Bytes; units are powers of 1024 whatever they are called.
pub(super) fn parse(text: &str) -> Option<u64> {
    let number_end = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ')? + 1;
    let (number, unit) = text.split_at(number_end);
    let number = number.strip_suffix(' ').unwrap_or(number);
    let scale = scale(&unit.to_ascii_lowercase())?;
    if !number.contains('.') {
        let whole: u64 = number.parse().ok()?;
        return whole.checked_mul(scale).filter(|bytes| i64::try_from(*bytes).is_ok());
    }
    let (whole, fraction) = number.split_once('.')?;
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let digits: String = fraction.chars().take(18).collect();
    if (number.len() == 1) || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part: u128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    let parts = 10_u128.pow(u32::try_from(digits.len()).ok()?);
    let below = u64::try_from(part * u128::from(scale) / parts).ok()?;
    whole
        .checked_mul(scale)?
        .checked_add(below)
        .filter(|bytes| i64::try_from(*bytes).is_ok())
}

fn scale(unit: &str) -> Option<u64> {
    let unit = match unit {
        "" | "b" => return Some(1),
        _ => unit
            .strip_suffix("ib")
            .or_else(|| unit.strip_suffix('b'))
            .unwrap_or(unit),
    };
    let power = match unit {
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    Some(1024_u64.pow(power))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn sizes() {
        let cases = [
            ("0", Some(0)),
            ("100", Some(100)),
            ("100b", Some(100)),
            ("64m", Some(64 << 20)),
            ("64M", Some(64 << 20)),
            ("64MB", Some(64 << 20)),
            ("64MiB", Some(64 << 20)),
            ("64 MiB", Some(64 << 20)),
            ("1.5g", Some(3 << 29)),
            (".5k", Some(512)),
            ("", None),
            ("m", None),
            (".", None),
            ("1.2.3k", None),
            ("-1", None),
            ("1x", None),
            ("9999999999p", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
