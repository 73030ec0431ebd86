//! Sizes in bytes: `64m`, `1.5g` (docker's `RAMInBytes`: powers of 1024 whatever the unit), and back for people.

/// A size as flags have it.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let trimmed = text.trim().to_ascii_lowercase();
    let digits = trimmed.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = trimmed[digits.len()..].trim();
    let shift = match unit
        .strip_suffix("ib")
        .or_else(|| unit.strip_suffix('b'))
        .unwrap_or(unit)
    {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return Err(format!("`{text}` is not a size: the unit is one of b, k, m, g, t, p")),
    };
    let wrong = || format!("`{text}` is not a size: wanted a number and a unit, like 64m or 1.5g");
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let bytes = whole
        .parse::<u64>()
        .map_err(|_| wrong())?
        .checked_mul(1 << shift)
        .ok_or_else(wrong)?;
    bytes
        .checked_add(fraction_of(fraction, shift).ok_or_else(wrong)?)
        .ok_or_else(wrong)
}

/// A size as [`show`] gives it: units are powers of 1000, unless they have an `i` as `MiB` has.
pub(crate) fn parse_shown(text: &str) -> Result<u64, String> {
    let trimmed = text.trim().to_ascii_lowercase();
    let digits = trimmed.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
    let unit = trimmed[digits.len()..].trim();
    if unit.ends_with("ib") || unit.ends_with('i') {
        return parse(
            unit.strip_suffix('i')
                .map_or(&trimmed, |_| trimmed.trim_end_matches('i')),
        );
    }
    let wrong = || format!("`{text}` is not a size: wanted a number and a unit, like 100MB or 95MiB");
    let power = match unit.strip_suffix('b').unwrap_or(unit) {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return Err(wrong()),
    };
    let factor = 1000_u128.pow(power);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if fraction.len() > 12 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let scale = 10_u128.pow(u32::try_from(fraction.len()).map_err(|_| wrong())?);
    let parts = format!("0{fraction}").parse::<u128>().map_err(|_| wrong())? * factor / scale;
    let bytes = u128::from(whole.parse::<u64>().map_err(|_| wrong())?) * factor + parts;
    u64::try_from(bytes).map_err(|_| wrong())
}

/// The bytes that the digits after the point stand for, rounded down.
fn fraction_of(digits: &str, shift: u32) -> Option<u64> {
    if digits.is_empty() {
        return Some(0);
    }
    if digits.len() > 15 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let scale = 10_u128.pow(u32::try_from(digits.len()).ok()?);
    u64::try_from((digits.parse::<u128>().ok()? << shift) / scale).ok()
}

/// A size for people, in docker's decimal units with three significant digits: `12.3MB`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn show(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB", "PB"] {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    let digits = match value {
        _ if unit == "B" => 0,
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("1", 1),
            ("64m", 64 << 20),
            ("64MB", 64 << 20),
            ("64MiB", 64 << 20),
            ("1.5g", 3 << 29),
            ("1.25k", 1280),
            ("2 GB", 2 << 30),
            ("10b", 10),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "m",
            "-1",
            "1x",
            "1..2m",
            "99999999999999999999",
            "9999999p",
            "1.2.3m",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_sizes_as_they_are_shown() {
        for (text, bytes) in [
            ("0", 0),
            ("100MB", 100_000_000),
            ("20 mb", 20_000_000),
            ("1.5kB", 1500),
            ("95MiB", 95 << 20),
            ("1Gi", 1 << 30),
            ("7b", 7),
        ] {
            assert_eq!(parse_shown(text), Ok(bytes), "{text}");
        }
        for text in ["", "x", "1x", "1.2.3", "-1", "99999999999t", "MB"] {
            assert!(parse_shown(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shows_sizes_as_docker() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (12_345, "12.3kB"),
            (74_800_000, "74.8MB"),
            (117_000_000, "117MB"),
            (999_600, "1MB"),
            (1_230_000_000, "1.23GB"),
        ] {
            assert_eq!(show(bytes), text);
        }
    }
}
