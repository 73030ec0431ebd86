//! Records of pax extended headers: `LENGTH KEY=VALUE\n` (POSIX.1-2017, pax, "pax Extended Header").

use std::collections::BTreeMap;

/// Records to be written, sorted by key.
#[derive(Debug, Default)]
pub(super) struct Records(BTreeMap<Vec<u8>, Vec<u8>>);

impl Records {
    pub(super) fn add(&mut self, key: impl Into<Vec<u8>>, value: &[u8]) {
        self.0.insert(key.into(), value.to_vec());
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (key, value) in &self.0 {
            // Blank, equals sign, newline; and the length counts its own digits.
            let rest = key.len() + value.len() + 3;
            let mut length = rest + digits(rest);
            if digits(length) != digits(rest) {
                length = rest + digits(length);
            }
            out.extend_from_slice(length.to_string().as_bytes());
            out.push(b' ');
            out.extend_from_slice(key);
            out.push(b'=');
            out.extend_from_slice(value);
            out.push(b'\n');
        }
        out
    }
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

/// Key and value.
pub(super) type Record<'a> = (&'a [u8], &'a [u8]);

/// Splits extended header data into keys and values. `Err` says what is wrong.
pub(super) fn parse(mut data: &[u8]) -> Result<Vec<Record<'_>>, &'static str> {
    let mut records = Vec::new();
    while !data.is_empty() {
        let blank = data
            .iter()
            .take(20)
            .position(|&byte| byte == b' ')
            .ok_or("a pax record without length")?;
        let length = decimal(&data[..blank]).ok_or("a pax record whose length is no number")?;
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= data.len() && *length > blank + 1);
        let length = length.ok_or("a pax record whose length is not that of the record")?;
        let (record, rest) = data.split_at(length);
        let record = record[blank + 1..]
            .strip_suffix(b"\n")
            .ok_or("a pax record without end")?;
        let equals = record
            .iter()
            .position(|&byte| byte == b'=')
            .ok_or("a pax record without value")?;
        if equals == 0 {
            return Err("a pax record without key");
        }
        records.push((&record[..equals], &record[equals + 1..]));
        data = rest;
    }
    Ok(records)
}

/// An unsigned decimal number, digits only.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |value, &digit| match digit {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add((digit - b'0').into()),
        _ => None,
    })
}

/// A time: `[-]SECONDS[.FRACTION]`, as seconds and the nanoseconds to add to them.
pub(super) fn time(text: &[u8]) -> Option<(i64, u32)> {
    let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    let dot = text.iter().position(|&byte| byte == b'.').unwrap_or(text.len());
    let seconds = i64::try_from(decimal(&text[..dot])?).ok()?;
    let fraction = text.get(dot + 1..).unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let nanoseconds = (0..9).fold(0, |value, at| {
        value * 10 + fraction.get(at).map_or(0, |digit| u32::from(digit - b'0'))
    });
    Some(match (negative, nanoseconds) {
        (false, nanoseconds) => (seconds, nanoseconds),
        (true, 0) => (-seconds, 0),
        (true, nanoseconds) => (-seconds - 1, 1_000_000_000 - nanoseconds),
    })
}

/// The text that [`time`] reads.
pub(super) fn time_text((seconds, nanoseconds): (i64, u32)) -> String {
    match (seconds, nanoseconds) {
        (seconds, 0) => seconds.to_string(),
        (0.., nanoseconds) => format!("{seconds}.{nanoseconds:09}"),
        // Nanoseconds are added: what stands after the dot is taken away.
        (_, nanoseconds) => format!("-{}.{:09}", -(seconds + 1), 1_000_000_000 - nanoseconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_change_their_own_digits() {
        for size in [
            0, 1, 4, 5, 6, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 983, 984, 985, 986, 987, 988, 989, 990, 991,
            992, 993, 994,
        ] {
            let mut records = Records::default();
            let value = vec![b'='; size];
            records.add("path", &value);
            records.add("uid", b"\n");
            let bytes = records.encode();
            assert_eq!(
                parse(&bytes).unwrap(),
                [(b"path".as_slice(), value.as_slice()), (b"uid", b"\n")],
                "{size}"
            );
        }
    }

    #[test]
    fn refuses_damaged_records() {
        let cases = [
            "x", "5 a=b\n", "7 a=b\n", "99 a=b\n", "0 a=b\n", "2 \n", "6 =bb\n", "6 abb\n", "6 a=bb", "-6 a=b\n",
        ];
        for data in cases.into_iter().chain(["99999999999999999999999 a=b\n", "6 a=b\n\0"]) {
            assert!(parse(data.as_bytes()).is_err(), "{data:?}");
        }
    }

    #[test]
    fn times_are_read_as_they_were_written() {
        for time in [
            (0, 0),
            (-1, 0),
            (7, 1),
            (-1, 750_000_000),
            (-3, 999_999_999),
            (1_700_000_000, 5),
        ] {
            assert_eq!(super::time(time_text(time).as_bytes()), Some(time));
        }
    }

    #[test]
    fn times() {
        let cases: &[(&str, Option<(i64, u32)>)] = &[
            ("0", Some((0, 0))),
            ("12.5", Some((12, 500_000_000))),
            ("12.", Some((12, 0))),
            ("-1", Some((-1, 0))),
            ("-0.25", Some((-1, 750_000_000))),
            ("1.0000000019", Some((1, 1))),
            ("", None),
            ("1e3", None),
            ("1.-5", None),
            ("99999999999999999999", None),
        ];
        for (text, expected) in cases {
            assert_eq!(time(text.as_bytes()), *expected, "{text}");
        }
    }
}
