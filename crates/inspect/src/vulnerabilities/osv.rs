//! A record of OSV (schema 1.7), and whether a version is affected by it.

use std::cmp::Ordering;
use std::rc::Rc;

use serde::Deserialize;
use serde_json::Value;

use super::{Hit, Rating, Search, Severity};
use crate::packages::{Ecosystem, compare};

/// Of a summary no more is kept, in characters.
pub(super) const LONGEST_SUMMARY: usize = 200;

#[derive(Debug, Deserialize)]
struct Record {
    id: String,
    #[serde(default)]
    withdrawn: Option<String>,
    #[serde(default)]
    aliases: Option<Vec<String>>,
    #[serde(default)]
    upstream: Option<Vec<String>>,
    #[serde(default)]
    summary: Option<String>,
    #[serde(default)]
    severity: Option<Vec<Score>>,
    #[serde(default)]
    affected: Option<Vec<Affected>>,
    #[serde(default)]
    database_specific: Value,
}

#[derive(Debug, Deserialize)]
struct Score {
    #[serde(rename = "type")]
    kind: String,
    score: String,
}

#[derive(Debug, Deserialize)]
struct Affected {
    #[serde(default)]
    package: Option<Named>,
    #[serde(default)]
    severity: Option<Vec<Score>>,
    #[serde(default)]
    ranges: Option<Vec<Range>>,
    #[serde(default)]
    versions: Option<Vec<String>>,
    #[serde(default)]
    ecosystem_specific: Value,
}

#[derive(Debug, Deserialize)]
struct Named {
    ecosystem: String,
    name: String,
}

#[derive(Debug, Deserialize)]
struct Range {
    #[serde(rename = "type")]
    kind: String,
    events: Vec<Event>,
}

#[derive(Debug, Deserialize)]
struct Event {
    #[serde(default)]
    introduced: Option<String>,
    #[serde(default)]
    fixed: Option<String>,
    #[serde(default)]
    last_affected: Option<String>,
    #[serde(default)]
    limit: Option<String>,
}

/// Takes what a record says of the packages that are looked for.
pub(super) fn take(bytes: &[u8], search: &mut Search<'_>) -> Result<(), serde_json::Error> {
    if !search.wanted.may_be_meant(bytes) {
        return Ok(());
    }
    let record: Record = serde_json::from_slice(bytes)?;
    if record.withdrawn.is_some() {
        return Ok(());
    }
    let covers = record.covers();
    for affected in record.affected.iter().flatten() {
        let Some(named) = &affected.package else { continue };
        for number in search.wanted.named(&named.ecosystem, &named.name) {
            let package = search.wanted.package(number);
            let has = affected.has(package.ecosystem, package.known_version());
            if has != Some(false) {
                let covers = Rc::clone(&covers);
                let hit = Hit {
                    covers,
                    ..record.hit(affected, package.ecosystem, package.known_version())
                };
                search.hit(number, hit, has.is_some());
            }
        }
    }
    Ok(())
}

impl Record {
    fn hit(&self, affected: &Affected, ecosystem: Ecosystem, version: &str) -> Hit {
        let upstream = self.upstream.as_deref().unwrap_or_default();
        let mut names = vec![self.id.clone()];
        // What it brings together are names of others.
        let is_own = |name: &&String| upstream.len() < 2 || !upstream.contains(name);
        names.extend(self.aliases.iter().flatten().filter(is_own).cloned());
        if let [one] = upstream {
            names.push(one.clone());
        }
        let summary = self.summary.as_deref().unwrap_or_default();
        Hit {
            names,
            summary: summary.chars().take(LONGEST_SUMMARY).collect(),
            severity: self.severity(affected),
            fixed: affected.fixed(ecosystem, version),
            last_affected: affected.last_affected(ecosystem, version),
            ..Hit::default()
        }
    }

    /// What an advisory for several vulnerabilities brings together. A distribution's record of one is that one.
    fn covers(&self) -> Rc<[String]> {
        let upstream = self.upstream.iter().filter(|upstream| upstream.len() > 1);
        upstream.flatten().cloned().collect()
    }

    /// A score comes before words, what is said of the package before what is said of all. Words that rate nothing, as
    /// `not yet assigned`, leave it to others. That Debian or Ubuntu counts it as none, whatever its score, comes first: it is
    /// of their package, and the score of what others build.
    fn severity(&self, affected: &Affected) -> Severity {
        let both = [&affected.severity, &self.severity].map(|scores| scores.as_deref().unwrap_or_default());
        let most = |scores: &[Score], kind: &str, read: &dyn Fn(&str) -> Option<Severity>| {
            let scores = scores.iter().filter(|score| score.kind == kind);
            scores.filter_map(|score| read(&score.score)).max()
        };
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).and_then(Severity::named);
        let first = |kind: &str, read: &dyn Fn(&str) -> Option<Severity>| {
            let mut both = both.iter();
            both.find_map(|scores| most(scores, kind, read))
        };
        let ubuntu = first("Ubuntu", &Severity::named);
        let debian = text(&affected.ecosystem_specific, "urgency");
        let is_none = |said: &Severity| said.rating == Rating::Negligible;
        ubuntu
            .filter(is_none)
            .or_else(|| debian.filter(is_none))
            .or_else(|| first("CVSS_V3", &Severity::of_vector))
            .or(ubuntu)
            .or(debian)
            .or_else(|| text(&affected.ecosystem_specific, "severity"))
            .or_else(|| text(&self.database_specific, "severity"))
            .unwrap_or_default()
    }
}

impl Affected {
    /// Whether it has a version; `None` if that cannot be told.
    fn has(&self, ecosystem: Ecosystem, version: &str) -> Option<bool> {
        let is_same =
            |listed: &String| listed == version || compare(ecosystem, listed, version) == Some(Ordering::Equal);
        if self.versions.iter().flatten().any(is_same) {
            return Some(true);
        }
        let ranges = self.ranges.iter().flatten().filter(|range| range.kind != "GIT");
        let outcomes: Vec<_> = ranges.map(|range| range.has(ecosystem, version)).collect();
        let has_versions = self.versions.iter().flatten().next().is_some();
        if outcomes.contains(&Some(true)) {
            Some(true)
        } else if outcomes.contains(&None) || (has_versions && compare(ecosystem, version, version).is_none()) {
            None
        } else {
            Some(false)
        }
    }

    /// The next version that is fixed. Of what is no version any other may be the next.
    fn fixed(&self, ecosystem: Ecosystem, version: &str) -> Option<String> {
        self.next(ecosystem, version, |event| event.fixed.as_deref(), Ordering::is_gt)
    }

    /// The next version that is the last affected one: that a later one exists is not said.
    fn last_affected(&self, ecosystem: Ecosystem, version: &str) -> Option<String> {
        self.next(
            ecosystem,
            version,
            |event| event.last_affected.as_deref(),
            Ordering::is_ge,
        )
    }

    /// The lowest version that events say something of, among those that have a place relative to `version`.
    fn next(
        &self,
        ecosystem: Ecosystem,
        version: &str,
        said: fn(&Event) -> Option<&str>,
        is_meant: fn(Ordering) -> bool,
    ) -> Option<String> {
        let ranges = self.ranges.iter().flatten().filter(|range| range.kind != "GIT");
        let all = ranges.flat_map(|range| &range.events).filter_map(said);
        let is_version = compare(ecosystem, version, version).is_some();
        let meant = all.filter(|at| !is_version || compare(ecosystem, at, version).is_some_and(is_meant));
        let next = meant.min_by(|a, b| compare(ecosystem, a, b).unwrap_or(Ordering::Equal));
        next.map(str::to_owned)
    }
}

/// What happens at a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Introduced,
    Fixed,
    LastAffected,
}

impl Range {
    /// The schema's section "Evaluation".
    fn has(&self, ecosystem: Ecosystem, version: &str) -> Option<bool> {
        compare(ecosystem, version, version)?;
        let mut turns: Vec<(Turn, &str)> = Vec::new();
        let mut limits = Vec::new();
        for event in &self.events {
            turns.extend(event.introduced.as_deref().map(|at| (Turn::Introduced, at)));
            turns.extend(event.fixed.as_deref().map(|at| (Turn::Fixed, at)));
            turns.extend(event.last_affected.as_deref().map(|at| (Turn::LastAffected, at)));
            limits.extend(event.limit.as_deref().filter(|limit| *limit != "*"));
        }
        let is_version = |at: &str| at == "0" || compare(ecosystem, at, at).is_some();
        if !turns.iter().all(|(_, at)| is_version(at)) || !limits.iter().all(|at| is_version(at)) {
            return None;
        }
        let order = |a: &str, b: &str| match (a, b) {
            ("0", "0") => Ordering::Equal,
            ("0", _) => Ordering::Less,
            (_, "0") => Ordering::Greater,
            (a, b) => compare(ecosystem, a, b).unwrap_or(Ordering::Equal),
        };
        let is_within = limits.is_empty() || limits.iter().any(|limit| order(version, limit).is_lt());
        turns.sort_by(|a, b| order(a.1, b.1));
        let mut is_affected = false;
        for (turn, at) in turns {
            match (turn, order(version, at)) {
                (Turn::Introduced, Ordering::Greater | Ordering::Equal) => is_affected = true,
                (Turn::Fixed, Ordering::Greater | Ordering::Equal) | (Turn::LastAffected, Ordering::Greater) => {
                    is_affected = false;
                }
                _ => {}
            }
        }
        Some(is_affected && is_within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After the examples of the schema's own page.
    #[test]
    fn ranges() {
        let check = |events: &str, version: &str, expected: Option<bool>| {
            let range = format!(r#"{{"type": "SEMVER", "events": {events}}}"#);
            let range: Range = serde_json::from_str(&range).unwrap();
            assert_eq!(range.has(Ecosystem::Npm, version), expected, "{events} {version}");
        };
        let simple = r#"[{"introduced": "0"}, {"fixed": "1.0.2"}]"#;
        check(simple, "0.0.0", Some(true));
        check(simple, "1.0.1", Some(true));
        check(simple, "1.0.2-rc.1", Some(true));
        check(simple, "1.0.2", Some(false));
        check(simple, "latest", None);
        let twice = r#"[{"fixed": "2.1.0"}, {"introduced": "1.0.0"}, {"fixed": "1.0.2"}, {"introduced": "2.0.0"}]"#;
        check(twice, "0.9.0", Some(false));
        check(twice, "1.0.0", Some(true));
        check(twice, "1.5.0", Some(false));
        check(twice, "2.0.0", Some(true));
        check(twice, "3.0.0", Some(false));
        let last = r#"[{"introduced": "1.0.0"}, {"last_affected": "1.4.0"}]"#;
        check(last, "1.4.0", Some(true));
        check(last, "1.4.1", Some(false));
        let limit = r#"[{"introduced": "0"}, {"limit": "2.0.0"}]"#;
        check(limit, "1.9.9", Some(true));
        check(limit, "2.0.0", Some(false));
        check(r#"[{"introduced": "1.0.0"}]"#, "9.0.0", Some(true));
        check(r#"[{"introduced": "0"}, {"limit": "*"}]"#, "9.0.0", Some(true));
        check(r#"[{"introduced": "x"}]"#, "9.0.0", None);
        check("[]", "9.0.0", Some(false));
    }

    #[test]
    fn what_is_said_of_how_severe_it_is() {
        let vector = |vector: &str| format!(r#"[{{"type": "CVSS_V3", "score": "CVSS:3.1/{vector}"}}]"#);
        let [critical, low] = [
            "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            "AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N",
        ]
        .map(vector);
        let ubuntu = r#"[{"type": "Ubuntu", "score": "high"}]"#;
        for (of_package, of_all, urgency, severity, expected) in [
            (&*low, &*critical, "high", "HIGH", "Low Some(31)"),
            (ubuntu, &critical, "low", "LOW", "Critical Some(98)"),
            (ubuntu, "[]", "low", "LOW", "High None"),
            ("[]", &critical, "unimportant", "LOW", "Negligible None"),
            (&critical, "[]", "unimportant", "HIGH", "Negligible None"),
            (
                r#"[{"type": "Ubuntu", "score": "negligible"}]"#,
                &critical,
                "",
                "HIGH",
                "Negligible None",
            ),
            ("[]", &critical, "low", "LOW", "Critical Some(98)"),
            (
                "[]",
                r#"[{"type": "CVSS_V4", "score": "x"}]"#,
                "high**",
                "LOW",
                "High None",
            ),
            ("[]", "[]", "not yet assigned", "MODERATE", "Medium None"),
            ("[]", "[]", "end-of-life", "", "Unknown None"),
            (
                r#"[{"type": "Ubuntu", "score": "untriaged"}]"#,
                "[]",
                "",
                "LOW",
                "Low None",
            ),
        ] {
            let record = format!(
                r#"{{"id": "x", "severity": {of_all}, "database_specific": {{"severity": "{severity}"}},
                "affected": [{{"severity": {of_package}, "ecosystem_specific": {{"urgency": "{urgency}"}}}}]}}"#
            );
            let record: Record = serde_json::from_str(&record).unwrap();
            let found = record.severity(&record.affected.as_ref().unwrap()[0]);
            let found = format!("{:?} {:?}", found.rating, found.tenths);
            assert_eq!(found, expected, "{of_package} {of_all} {urgency} {severity}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_no_answer() {
        let has = |affected: &str, version: &str| {
            let affected: Affected = serde_json::from_str(affected).unwrap();
            (
                affected.has(Ecosystem::Npm, version),
                affected.fixed(Ecosystem::Npm, version),
            )
        };
        let listed = r#"{"versions": ["1.0.0", "odd"]}"#;
        assert_eq!(has(listed, "odd"), (Some(true), None));
        assert_eq!(has(listed, "other"), (None, None));
        assert_eq!(has(listed, "2.0.0"), (Some(false), None));
        let last = r#"{"ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"last_affected": "1.4.0"}]}]}"#;
        // Nobody says that there is a version behind it.
        assert_eq!(has(last, "1.4.0"), (Some(true), None));
        let last: Affected = serde_json::from_str(last).unwrap();
        let last = |version: &str| last.last_affected(Ecosystem::Npm, version);
        assert_eq!(last("1.3.0").as_deref(), Some("1.4.0"));
        assert_eq!(last("1.5.0"), None);
        let range = r#"{"ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.4.0"}]}]}"#;
        assert_eq!(has(range, "odd"), (None, Some("1.4.0".to_owned())));
    }

    #[test]
    fn listed_versions_and_fixes() {
        let affected: Affected = serde_json::from_str(
            r#"{"versions": ["1.0.0"], "ranges": [
                {"type": "GIT", "events": [{"introduced": "0"}]},
                {"type": "ECOSYSTEM", "events": [{"introduced": "2.0"}, {"fixed": "2.5"}, {"introduced": "3"}, {"fixed": "3.1"}]}
            ]}"#,
        )
        .unwrap();
        for (version, expected, fixed) in [
            ("1.0", true, Some("2.5")),
            ("1.1", false, Some("2.5")),
            ("2.4", true, Some("2.5")),
            ("3.0rc1", false, Some("3.1")),
            ("3.0", true, Some("3.1")),
            ("3.1", false, None),
        ] {
            assert_eq!(affected.has(Ecosystem::Pypi, version), Some(expected), "{version}");
            assert_eq!(affected.fixed(Ecosystem::Pypi, version).as_deref(), fixed, "{version}");
        }
    }
}
