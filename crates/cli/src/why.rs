//! Why steps ran, in words and as JSON.

use std::fmt::Write as _;

use kiln_build::{Difference, Look, Value, Why};
use kiln_store::BuildId;
use serde_json::json;

use crate::progress::text::{cut, escaped, one_line};
use crate::time;
use crate::values::size;

/// How much of a value is shown in a line.
const SHOWN: usize = 60;

/// One line. Without a time where the clock is not told.
pub(crate) fn sentence(why: &Why) -> String {
    match why {
        Why::Cached { build, .. } => format!("made by {}", maker(*build)),
        Why::NoCache => "told to run in any case (--no-cache)".to_owned(),
        Why::First => "nothing like it ran here before".to_owned(),
        Why::Gone { build, .. } => format!("the same as in build {build}, whose result is no longer there"),
        Why::Changed { differences, count, .. } => {
            let first = differences.first().map(difference).unwrap_or_default();
            match count.saturating_sub(1) {
                0 => first,
                more => format!("{first}, and {more} more"),
            }
        }
    }
}

/// Who made what is cached.
fn maker(build: BuildId) -> String {
    if build == BuildId::ELSEWHERE {
        return "another machine, from a cache".to_owned();
    }
    format!("build {build}")
}

/// All there is to say, line by line.
pub(crate) fn paragraph(why: &Why, now: i64) -> String {
    let mut text = String::new();
    let ago = |made: i64| time::ago(made, now).to_lowercase();
    match why {
        Why::Cached { build, made } => {
            let _ = writeln!(text, "cached: made by {}, {}", maker(*build), ago(*made));
        }
        Why::Changed {
            build,
            made,
            differences,
            count,
        } => {
            let _ = writeln!(text, "ran: not the same as in build {build}, {}:", ago(*made));
            for each in differences {
                let _ = writeln!(text, "  {}", difference(each));
            }
            if *count > differences.len() {
                let _ = writeln!(text, "  and {} more", count - differences.len());
            }
        }
        other => {
            let _ = writeln!(text, "ran: {}", sentence(other));
        }
    }
    text
}

/// For programs.
pub(crate) fn object(why: &Why) -> serde_json::Value {
    match why {
        Why::Cached { build, made } => json!({"reason": "cached", "build": number(*build), "made": made}),
        Why::NoCache => json!({"reason": "no-cache"}),
        Why::First => json!({"reason": "first"}),
        Why::Gone { build, made } => json!({"reason": "gone", "build": number(*build), "made": made}),
        Why::Changed {
            build,
            made,
            differences,
            count,
        } => json!({
            "reason": "changed", "build": number(*build), "made": made, "differences": differences, "count": count,
        }),
    }
}

/// `null` for one on another machine.
fn number(build: BuildId) -> serde_json::Value {
    let number = build.to_string().parse().ok().filter(|_| build != BuildId::ELSEWHERE);
    number.map_or(serde_json::Value::Null, |number: i64| number.into())
}

fn difference(difference: &Difference) -> String {
    let Difference { kind, name, old, new } = difference;
    let name = one_line(name);
    match (kind.as_str(), old, new) {
        ("base", Some(Value::Text(old)), Some(Value::Text(new))) => base(old, new),
        ("tree", Some(Value::Text(old)), Some(Value::Text(new))) => format!("mount {name}: {}", base(old, new)),
        ("file", Some(Value::File(old)), Some(Value::File(new))) => file(&name, old, new),
        _ => {
            let what = if name.is_empty() {
                kind.clone()
            } else {
                format!("{kind} {name}")
            };
            match (old, new) {
                (None, Some(Value::Text(new))) => format!("{what} is new: {}", quoted(new)),
                (Some(Value::Text(old)), None) => format!("{what} is gone, was {}", quoted(old)),
                (Some(Value::Text(old)), Some(Value::Text(new))) => text(&what, old, new),
                (None, _) => format!("{what} is new"),
                (_, None) => format!("{what} is gone"),
                _ => format!("{what} changed"),
            }
        }
    }
}

/// What the step stands on: another image, another step, or another result of the same step.
fn base(old: &str, new: &str) -> String {
    if old == new {
        format!("{} came out anew", step_name(new))
    } else {
        format!("based on {}, was {}", step_name(new), step_name(old))
    }
}

fn step_name(name: &str) -> String {
    cut(&one_line(name), SHOWN, '…')
}

/// Of texts of several lines the first line that is not the same.
fn text(what: &str, old: &str, new: &str) -> String {
    if !old.contains('\n') && !new.contains('\n') {
        let (old, new) = (quoted(old), quoted(new));
        return if old == new {
            format!("{what} changed: {new}")
        } else {
            format!("{what}: {old} → {new}")
        };
    }
    let (olds, news) = (old.split_inclusive('\n'), new.split_inclusive('\n'));
    let same = olds.clone().zip(news.clone()).take_while(|(old, new)| old == new);
    let same = same.count();
    match (olds.clone().nth(same), news.clone().nth(same)) {
        // Of very long texts only the beginning is known.
        (None, None) => format!("{what} changed"),
        (Some(_), None) => format!("{what} lost its last lines"),
        (old, Some(new)) => {
            let (old, new) = without_ends(old.unwrap_or_default(), new);
            format!("{what} changed in line {}: {} → {}", same + 1, quoted(old), quoted(new))
        }
    }
}

/// Lines without their ends, unless those are the difference.
fn without_ends<'a>(old: &'a str, new: &'a str) -> (&'a str, &'a str) {
    let bare = |line: &'a str| line.strip_suffix('\n').unwrap_or(line);
    if bare(old) == bare(new) {
        (old, new)
    } else {
        (bare(old), bare(new))
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", cut(&escaped(text), SHOWN, '…'))
}

fn file(path: &str, old: &Look, new: &Look) -> String {
    if old.kind != new.kind {
        return format!("{path} was a {} and is a {}", old.kind, new.kind);
    }
    let sizes = [old.size, new.size].map(size::show);
    if sizes[0] != sizes[1] {
        return format!("file {path} changed ({} → {})", sizes[0], sizes[1]);
    }
    if old.digest != new.digest {
        return format!(
            "{} {path} changed ({} → {})",
            old.kind,
            beginning(&old.digest),
            beginning(&new.digest)
        );
    }
    if old.mode != new.mode {
        return format!("mode of {path}: {} → {}", old.mode, new.mode);
    }
    format!("owner of {path}: {} → {}", old.owner, new.owner)
}

fn beginning(digest: &str) -> &str {
    digest.get(..8).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_several_lines() {
        for (old, new, expected) in [
            ("a", "b", r#"x: "a" → "b""#),
            ("a\nb", "a\nc", r#"x changed in line 2: "b" → "c""#),
            ("a\nb\nc\n", "a\nB\nc\n", r#"x changed in line 2: "b" → "B""#),
            ("a\nb\n", "a\nb\nc\n", r#"x changed in line 3: "" → "c""#),
            ("a\nb\nc\n", "a\nb\n", "x lost its last lines"),
            ("a\nb", "a", r#"x changed in line 1: "a\n" → "a""#),
            ("a\nb", "a\nb\n", r#"x changed in line 2: "b" → "b\n""#),
            ("a\nb\n", "a\nb", r#"x changed in line 2: "b\n" → "b""#),
            ("a\nb\n", "a\nb\n\n", r#"x changed in line 3: "" → "\n""#),
            ("a\r\nb", "a\nb", r#"x changed in line 1: "a\r" → "a""#),
            ("a\n… (9999 bytes)", "a\n… (9999 bytes)", "x changed"),
        ] {
            assert_eq!(text("x", old, new), expected, "{old:?} {new:?}");
        }
        let long = |end| "a".repeat(SHOWN) + end;
        let shown = "a".repeat(SHOWN - 1);
        assert_eq!(text("x", &long("b"), &long("c")), format!("x changed: \"{shown}…\""));
    }

    #[test]
    fn nothing_of_it_changes_a_terminal() {
        let evil = "\x1b[2J\u{202e}";
        let named = |kind: &str, value: &str| Difference {
            kind: kind.to_owned(),
            name: format!("/{evil}name"),
            old: Some(Value::Text("old".to_owned())),
            new: Some(Value::Text(value.to_owned())),
        };
        assert_eq!(difference(&named("tree", evil)), "mount /name: based on , was old");
        assert_eq!(
            difference(&named("variable", evil)),
            r#"variable /name: "old" → "\u{1b}[2J\u{202e}""#
        );
    }
}
