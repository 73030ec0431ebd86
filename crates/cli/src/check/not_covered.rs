//! What of an image cannot be looked up or read, and passes nonetheless.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use kiln_inspect::packages::Ecosystem;
use kiln_inspect::policy::is_like;
use serde::Deserialize;

/// A text that is not empty.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Reason(pub(super) String);

impl TryFrom<String> for Reason {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.trim().is_empty() {
            return Err("the reason is empty: say why it does not count");
        }
        Ok(Self(text))
    }
}

/// A day, as `2026-12-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Day(pub(super) Date);

impl Day {
    /// The one that it is now, in UTC.
    pub(super) fn today() -> Self {
        Self(Timestamp::now().to_zoned(TimeZone::UTC).date())
    }
}

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let day = text.parse().map(Self);
        day.map_err(|_| format!("`{text}` is no day, like 2026-12-31"))
    }
}

/// Something that passes although nothing can be told of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Entry")]
pub(crate) struct NotCovered {
    meant: Meant,
    /// Why it does.
    reason: Reason,
    /// The last day on which it does.
    until: Option<Day>,
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meant {
    /// Packages of that type, of which a database has no record.
    Kind(Ecosystem),
    /// Files that cannot be read, with a slash before them, where `*` is anything.
    Path(String),
}

/// An entry of `kiln.toml`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Entry {
    kind: Option<String>,
    path: Option<String>,
    reason: Reason,
    until: Option<Day>,
}

impl TryFrom<Entry> for NotCovered {
    type Error = String;

    fn try_from(entry: Entry) -> Result<Self, Self::Error> {
        let meant = match (entry.kind, entry.path) {
            (Some(kind), None) => {
                let found = Ecosystem::ALL.into_iter().find(|one| one.name() == kind);
                let names = || Ecosystem::ALL.map(Ecosystem::name).join(", ");
                Meant::Kind(found.ok_or_else(|| format!("`{kind}` is no kind of packages: they are {}", names()))?)
            }
            (None, Some(path)) if path.starts_with('/') => Meant::Path(path),
            (None, Some(path)) => return Err(format!("the path `{path}` does not begin with a slash")),
            _ => return Err("it must have either `kind` or `path`, to say what is not covered".to_owned()),
        };
        Ok(Self {
            meant,
            reason: entry.reason,
            until: entry.until,
        })
    }
}

/// What becomes of something of which nothing can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It passes.
    Passes,
    /// It fails. Until when it passed, and why, for the end of a message; empty if it never did.
    Fails(String),
}

/// What becomes of packages of a type.
pub(super) fn of_kind(kind: Ecosystem, all: &[NotCovered], today: Day) -> Answer {
    answer(all, today, &|meant| *meant == Meant::Kind(kind))
}

/// What becomes of a file, whose path has no slash before it.
pub(super) fn of_path(path: &[u8], all: &[NotCovered], today: Day) -> Answer {
    let path = [b"/", path].concat();
    answer(all, today, &|meant| match meant {
        Meant::Path(pattern) => is_like(&path, pattern.as_bytes()),
        Meant::Kind(_) => false,
    })
}

fn answer(all: &[NotCovered], today: Day, is_meant: &dyn Fn(&Meant) -> bool) -> Answer {
    let meant = || all.iter().filter(|one| is_meant(&one.meant));
    if meant().any(|one| one.until.is_none_or(|until| until >= today)) {
        return Answer::Passes;
    }
    let over = meant().find_map(|one| Some((one, one.until?)));
    Answer::Fails(over.map_or_else(String::new, |(one, until)| {
        format!(" (not covered until {}: {})", until.0, one.reason.0)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Result<NotCovered, toml::de::Error> {
        toml::from_str(&format!("reason = \"x\"\n{text}"))
    }

    #[test]
    fn what_passes() {
        let today = Day("2026-12-01".parse().unwrap());
        let over = " (not covered until 2026-11-30: x)";
        for (text, kind, path) in [
            ("kind = \"rpm\"", Ok(()), Err("")),
            ("kind = \"rpm\"\nuntil = \"2026-12-01\"", Ok(()), Err("")),
            ("kind = \"rpm\"\nuntil = \"2026-11-30\"", Err(over), Err("")),
            ("kind = \"deb\"", Err(""), Err("")),
            ("path = \"/var/lib/rpm/Packages\"", Err(""), Ok(())),
            ("path = \"/var/*\"", Err(""), Ok(())),
            ("path = \"/var/*\"\nuntil = \"2026-11-30\"", Err(""), Err(over)),
            ("path = \"/opt/*\"", Err(""), Err("")),
        ] {
            let all = [entry(text).unwrap()];
            let answer = |expected: Result<(), &str>| match expected {
                Ok(()) => Answer::Passes,
                Err(why) => Answer::Fails(why.to_owned()),
            };
            assert_eq!(of_kind(Ecosystem::Rpm, &all, today), answer(kind), "{text}");
            assert_eq!(of_path(b"var/lib/rpm/Packages", &all, today), answer(path), "{text}");
        }
    }

    #[test]
    fn what_is_meant_is_said() {
        for (text, expected) in [
            ("", "either `kind` or `path`"),
            ("kind = \"rpm\"\npath = \"/x\"", "either `kind` or `path`"),
            (
                "kind = \"rpms\"",
                "`rpms` is no kind of packages: they are deb, apk, rpm",
            ),
            ("path = \"var\"", "does not begin with a slash"),
            ("name = \"x\"", "unknown field"),
        ] {
            let error = entry(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
