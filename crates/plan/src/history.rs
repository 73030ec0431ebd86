//! History entries: BuildKit's texts, which are Go's `%v` and `%q` of its own values.

use kiln_dockerfile::expand::Env;
use kiln_image::{Healthcheck, HistoryEntry};

use crate::vars::Declared;

/// What BuildKit's Dockerfile frontend puts into every entry.
const COMMENT: &str = "buildkit.dockerfile.v0";

/// An entry, without time. `layer`: whether the instruction made one.
pub(crate) fn entry(created_by: String, layer: bool) -> HistoryEntry {
    HistoryEntry {
        created_by,
        comment: COMMENT.to_owned(),
        empty_layer: !layer,
        ..HistoryEntry::default()
    }
}

/// RUN: `RUN |1 VERSION=2 /bin/sh -c make # buildkit`, with the declared ARGs (also those without value) in order.
pub(crate) fn run(args: &[String], declared: &Declared, vars: &dyn Env) -> String {
    let mut words = vec!["RUN".to_owned()];
    if !declared.is_empty() {
        words.push(format!("|{}", declared.len()));
        let value = |name, value: Option<&'_ _>| vars.get(name).or(value).unwrap_or_default().to_owned();
        words.extend(
            declared
                .iter()
                .map(|(name, own)| format!("{name}={}", value(name, own))),
        );
    }
    words.extend(args.iter().cloned());
    words.push("# buildkit".to_owned());
    words.join(" ")
}

/// ENV and LABEL: `ENV A=1 B=2`.
pub fn pairs(keyword: &str, pairs: &[(String, String)]) -> String {
    let mut text = keyword.to_owned();
    for (name, value) in pairs {
        text.extend([" ", name, "=", value]);
    }
    text
}

/// VOLUME, SHELL and EXPOSE: `VOLUME [/a /b]`.
pub fn list(keyword: &str, items: &[String]) -> String {
    format!("{keyword} [{}]", items.join(" "))
}

/// CMD and ENTRYPOINT: `CMD ["a" "b"]`.
pub fn quoted(keyword: &str, items: &[String]) -> String {
    format!("{keyword} {}", quoted_list(items))
}

/// `HEALTHCHECK &{["CMD" "true"] "30s" "0s" "0s" "0s" '\x03'}`
pub(crate) fn healthcheck(check: &Healthcheck) -> String {
    let durations = [check.interval, check.timeout, check.start_period, check.start_interval];
    let durations = durations.map(|nanoseconds| format!("\"{}\"", duration(nanoseconds)));
    let retries = u32::try_from(check.retries)
        .ok()
        .and_then(char::from_u32)
        .unwrap_or('\u{fffd}');
    format!(
        "HEALTHCHECK &{{{} {} '{}'}}",
        quoted_list(&check.test),
        durations.join(" "),
        escaped(retries, '\'')
    )
}

fn quoted_list(items: &[String]) -> String {
    let quoted = items.iter().map(|item| {
        let inner: String = item.chars().map(|c| escaped(c, '"')).collect();
        format!("\"{inner}\"")
    });
    format!("[{}]", quoted.collect::<Vec<_>>().join(" "))
}

/// A character as Go's `strconv.Quote` writes it inside `quote`.
fn escaped(c: char, quote: char) -> String {
    match c {
        '\x07' => "\\a".to_owned(),
        '\x08' => "\\b".to_owned(),
        '\x0c' => "\\f".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\x0b' => "\\v".to_owned(),
        '\\' => "\\\\".to_owned(),
        c if c == quote => format!("\\{c}"),
        c if c.is_ascii_control() => format!("\\x{:02x}", u32::from(c)),
        c if c.is_control() || (c.is_whitespace() && c != ' ') => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    }
}

/// A duration as Go writes it: `1m30s`, `1.5s`, `2ms`.
fn duration(nanoseconds: u64) -> String {
    const SECOND: u64 = 1_000_000_000;
    if nanoseconds == 0 {
        return "0s".to_owned();
    }
    if nanoseconds < SECOND {
        let (unit, size) = match nanoseconds {
            0..1_000 => ("ns", 1),
            1_000..1_000_000 => ("µs", 1_000),
            _ => ("ms", 1_000_000),
        };
        return fraction(nanoseconds, size) + unit;
    }
    let (minutes, rest) = (nanoseconds / (60 * SECOND), nanoseconds % (60 * SECOND));
    let seconds = fraction(rest, SECOND);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// `amount / unit` in decimal, without trailing zeros; `unit` is a power of ten.
fn fraction(amount: u64, unit: u64) -> String {
    let whole = amount / unit;
    if amount.is_multiple_of(unit) {
        return whole.to_string();
    }
    let digits = unit.ilog10() as usize;
    let rest = format!("{:0digits$}", amount % unit);
    format!("{whole}.{}", rest.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(items: &[&str]) -> Vec<String> {
        items.iter().map(|&item| item.to_owned()).collect()
    }

    #[test]
    fn durations_as_go_writes_them() {
        for (nanoseconds, expected) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (2_000_000, "2ms"),
            (1_500_000_000, "1.5s"),
            (30_000_000_000, "30s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
            (5_430_050_000_000, "1h30m30.05s"),
        ] {
            assert_eq!(duration(nanoseconds), expected);
        }
    }

    #[test]
    fn texts_as_buildkit_writes_them() {
        let check = Healthcheck {
            test: strings(&["CMD-SHELL", "curl \"x\" || exit 1"]),
            interval: 30_000_000_000,
            retries: 3,
            ..Healthcheck::default()
        };
        assert_eq!(
            healthcheck(&check),
            r#"HEALTHCHECK &{["CMD-SHELL" "curl \"x\" || exit 1"] "30s" "0s" "0s" "0s" '\x03'}"#
        );
        assert_eq!(quoted("CMD", &strings(&["a\tb", "é"])), r#"CMD ["a\tb" "é"]"#);
        assert_eq!(list("VOLUME", &strings(&["/a", "/b"])), "VOLUME [/a /b]");
    }

    #[test]
    fn run_names_its_arguments() {
        let vars = crate::vars::Vars::default();
        let mut declared = Declared::default();
        declared.declare("A", Some("1".to_owned()));
        declared.declare("B", None);
        declared.declare("A", Some("2".to_owned()));
        assert_eq!(
            run(&strings(&["/bin/sh", "-c", "x"]), &declared, &vars),
            "RUN |2 A=2 B= /bin/sh -c x # buildkit"
        );
    }
}
