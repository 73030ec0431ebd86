//! Whether known vulnerabilities of an image's packages may be in it.

use std::fmt::Write as _;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use kiln_inspect::packages::{Package, Packages};
use kiln_inspect::vulnerabilities::{Rating, Vulnerabilities, Vulnerability};
use serde::Deserialize;

use super::Verdict;
use crate::vulnerabilities::severity;

const CHECK: &str = "max-severity";

/// The most severe that may be; `None` if none may be known, however severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct MaxSeverity(Option<Rating>);

impl MaxSeverity {
    const ALL: [Self; 6] = [
        Self(None),
        Self(Some(Rating::Negligible)),
        Self(Some(Rating::Low)),
        Self(Some(Rating::Medium)),
        Self(Some(Rating::High)),
        Self(Some(Rating::Critical)),
    ];

    /// What nobody rated may be critical, and passes wherever something may be.
    fn allows(self, rating: Rating) -> bool {
        self.0.is_some_and(|most| rating <= most)
    }

    const fn name(self) -> &'static str {
        match self.0 {
            None => "none",
            Some(rating) => rating.name(),
        }
    }
}

impl ValueEnum for MaxSeverity {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self.0 {
            None => "None may be known, however severe",
            Some(Rating::Negligible) => "Weaknesses that are no problem by themselves",
            Some(Rating::Low) => "Scores of CVSS below 4",
            Some(Rating::Medium) => "Scores below 7",
            Some(Rating::High) => "Scores below 9",
            Some(Rating::Critical | Rating::Unknown) => "All",
        };
        Some(PossibleValue::new(self.name()).help(help))
    }
}

impl TryFrom<String> for MaxSeverity {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let found = Self::ALL.into_iter().find(|one| one.name() == text);
        found.ok_or_else(|| format!("`{text}` is none of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// A vulnerability that does not count.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Ignored {
    /// Any of its names.
    id: String,
    /// The only package where it does not count.
    package: Option<String>,
    /// Why it does not.
    reason: Reason,
    /// The last day on which it does not.
    until: Option<Day>,
}

/// A text that is not empty.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Reason(String);

impl TryFrom<String> for Reason {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.trim().is_empty() {
            return Err("the reason is empty: say why the vulnerability does not count");
        }
        Ok(Self(text))
    }
}

/// A day, as `2026-12-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct Day(Date);

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let day = text.parse().map(Self);
        day.map_err(|_| format!("`{text}` is no day, like 2026-12-31"))
    }
}

impl Ignored {
    fn is_meant(&self, vulnerability: &Vulnerability, package: &Package) -> bool {
        vulnerability.is_called(&self.id) && self.package.as_ref().is_none_or(|name| *name == package.name)
    }
}

/// What may be.
pub(crate) struct Policy<'a> {
    pub(crate) most: MaxSeverity,
    /// Whether what nobody fixed yet does not count.
    pub(crate) ignores_unfixed: bool,
    pub(crate) ignored: &'a [Ignored],
}

/// What becomes of a vulnerability.
enum Outcome<'a> {
    Passes,
    Ignored,
    Fails,
    /// It was ignored until a day that is over.
    Expired(&'a Ignored),
}

/// Without a database nothing can be told.
pub(crate) fn without_database() -> Verdict {
    let verdict = Verdict::fail(CHECK, "cannot tell: there is no database of known vulnerabilities");
    verdict.mend("`--vulnerability-db PATH` names one")
}

impl Policy<'_> {
    /// One failure for each vulnerability of a package that may not be.
    pub(crate) fn verdicts(&self, packages: &Packages, found: &Vulnerabilities) -> Vec<Verdict> {
        let today = Day(Timestamp::now().to_zoned(TimeZone::UTC).date());
        self.on(today, packages, found)
    }

    fn on(&self, today: Day, packages: &Packages, found: &Vulnerabilities) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        let (mut ignored, mut unrated) = (0, 0);
        let found_or_not = [(&found.found, true), (&found.undecided, false)];
        let all = found_or_not
            .iter()
            .flat_map(|(all, is_decided)| all.iter().map(move |one| (one, *is_decided)));
        for (vulnerability, is_decided) in all {
            let package = &packages.packages[vulnerability.package];
            let expired = match self.outcome(vulnerability, package, today) {
                Outcome::Passes => {
                    unrated += usize::from(is_decided && vulnerability.severity.rating == Rating::Unknown);
                    continue;
                }
                Outcome::Ignored => {
                    ignored += usize::from(is_decided);
                    continue;
                }
                Outcome::Fails => None,
                Outcome::Expired(ignored) => Some(ignored),
            };
            verdicts.push(failure(vulnerability, is_decided, expired).of_package(package));
        }
        verdicts.extend(super::unread(CHECK, packages));
        if !found.uncovered.is_empty() {
            let kinds = found.uncovered.join(", ");
            let verdict = Verdict::fail(CHECK, format!("cannot tell: the database has no record of {kinds}"));
            verdicts.push(verdict.mend("give `--vulnerability-db` once more, with records of it"));
        }
        if verdicts.is_empty() {
            let known = found.found.len() - ignored;
            let mut message = match self.most.0 {
                _ if packages.packages.is_empty() => "there are no packages that are known of".to_owned(),
                None => "none known".to_owned(),
                Some(most) => format!("{known} known, none above {}", most.name()),
            };
            if unrated > 0 {
                let _ = write!(message, "; nobody rated {unrated} of them");
            }
            if ignored > 0 {
                let _ = write!(message, "; {ignored} ignored");
            }
            if !found.undecided.is_empty() {
                let _ = write!(message, "; of {} it cannot be told", found.undecided.len());
            }
            verdicts.push(Verdict::pass(CHECK, message));
        }
        verdicts
    }

    fn outcome(&self, vulnerability: &Vulnerability, package: &Package, today: Day) -> Outcome<'_> {
        if self.most.allows(vulnerability.severity.rating) {
            return Outcome::Passes;
        }
        if self.ignores_unfixed && vulnerability.fixed.is_none() {
            return Outcome::Ignored;
        }
        let mut meant = self
            .ignored
            .iter()
            .filter(|ignored| ignored.is_meant(vulnerability, package))
            .peekable();
        let first = meant.peek().copied();
        match (
            meant.any(|ignored| ignored.until.is_none_or(|until| until >= today)),
            first,
        ) {
            (true, _) => Outcome::Ignored,
            (false, Some(expired)) => Outcome::Expired(expired),
            (false, None) => Outcome::Fails,
        }
    }
}

fn failure(vulnerability: &Vulnerability, is_decided: bool, expired: Option<&Ignored>) -> Verdict {
    let mut message = if is_decided { "" } else { "cannot tell whether it has " }.to_owned();
    let _ = write!(message, "{}, {}", vulnerability.id, severity(vulnerability.severity));
    if !vulnerability.summary.is_empty() {
        let _ = write!(message, ": {}", vulnerability.summary);
    }
    if let Some((ignored, until)) = expired.and_then(|ignored| Some((ignored, ignored.until?))) {
        let _ = write!(message, " (ignored until {}: {})", until.0, ignored.reason.0);
    }
    const ELSE: &str = "another package, or `[[check.ignored-vulnerabilities]]` with the reason";
    let mend = match (&vulnerability.fixed, &vulnerability.last_affected) {
        (Some(fixed), _) => format!("{fixed} has it no more"),
        (None, Some(last)) => format!("versions above {last}, if there are any, are not known to have it; {ELSE}"),
        (None, None) => format!("nobody fixed it yet: {ELSE}"),
    };
    Verdict::fail(CHECK, message).mend(mend)
}

#[cfg(test)]
mod tests {
    use kiln_inspect::packages::Ecosystem;
    use kiln_inspect::vulnerabilities::Severity;

    use super::*;

    fn packages() -> Packages {
        let package = Package {
            ecosystem: Ecosystem::Deb,
            name: "openssl".to_owned(),
            version: "3.0.9-1".to_owned(),
            architecture: None,
            source: None,
            source_version: None,
            licenses: Vec::new(),
            bytes: None,
            layer: 0,
            path: Vec::new(),
        };
        Packages {
            packages: vec![package],
            ..Packages::default()
        }
    }

    fn found(rating: Rating, fixed: Option<&str>) -> Vulnerabilities {
        let one = Vulnerability {
            id: "CVE-1".to_owned(),
            aliases: vec!["DEBIAN-CVE-1".to_owned()],
            summary: String::new(),
            severity: Severity { rating, tenths: None },
            fixed: fixed.map(str::to_owned),
            last_affected: None,
            package: 0,
        };
        Vulnerabilities {
            found: vec![one],
            ..Vulnerabilities::default()
        }
    }

    fn ignored(rest: &str) -> Result<Ignored, toml::de::Error> {
        toml::from_str(&format!("id = \"DEBIAN-CVE-1\"\nreason = \"x\"\n{rest}"))
    }

    #[test]
    fn what_fails() {
        let today = Day("2026-12-01".parse().unwrap());
        let check = |most, ignores_unfixed, ignored: &[Ignored], found: &Vulnerabilities| {
            let policy = Policy {
                most,
                ignores_unfixed,
                ignored,
            };
            policy.on(today, &packages(), found).remove(0)
        };
        let [none, negligible, low, medium, high_at_most, critical] = MaxSeverity::ALL;
        let high = found(Rating::High, Some("3.0.11"));
        assert!(check(high_at_most, false, &[], &high).passed);
        assert!(!check(medium, false, &[], &high).passed);
        assert!(!check(medium, true, &[], &high).passed);
        assert!(check(medium, true, &[], &found(Rating::High, None)).passed);
        let unknown = found(Rating::Unknown, None);
        let verdict = check(negligible, false, &[], &unknown);
        assert!(verdict.passed);
        assert_eq!(
            verdict.message,
            "1 known, none above negligible; nobody rated 1 of them"
        );
        assert!(!check(none, false, &[], &unknown).passed);
        for (rest, expected) in [
            ("", true),
            ("until = \"2026-12-01\"", true),
            ("until = \"2026-11-30\"", false),
            ("package = \"openssl\"", true),
            ("package = \"other\"", false),
        ] {
            let verdict = check(low, false, &[ignored(rest).unwrap()], &high);
            assert_eq!(verdict.passed, expected, "{rest} {}", verdict.message);
        }
        let undecided = |rating, fixed| Vulnerabilities {
            undecided: found(rating, fixed).found,
            ..Vulnerabilities::default()
        };
        let critical_one = undecided(Rating::Critical, Some("3.0.11"));
        let verdict = check(high_at_most, false, &[], &critical_one);
        assert_eq!(
            (verdict.passed, &*verdict.message),
            (false, "cannot tell whether it has CVE-1, critical")
        );
        assert!(!check(high_at_most, true, &[], &critical_one).passed);
        assert!(check(high_at_most, false, &[ignored("").unwrap()], &critical_one).passed);
        assert!(check(none, true, &[], &undecided(Rating::Unknown, None)).passed);
        assert!(!check(none, false, &[], &undecided(Rating::Unknown, None)).passed);
        let verdict = check(critical, false, &[], &critical_one);
        assert_eq!(
            (verdict.passed, &*verdict.message),
            (true, "0 known, none above critical; of 1 it cannot be told")
        );
        let message = |most, packages: &Packages| {
            let policy = Policy {
                most,
                ignores_unfixed: false,
                ignored: &[],
            };
            policy
                .on(today, packages, &Vulnerabilities::default())
                .remove(0)
                .message
        };
        assert_eq!(message(none, &packages()), "none known");
        assert_eq!(message(low, &packages()), "0 known, none above low");
        assert_eq!(
            message(low, &Packages::default()),
            "there are no packages that are known of"
        );
        let uncovered = Vulnerabilities {
            uncovered: vec!["npm".to_owned()],
            ..Vulnerabilities::default()
        };
        assert!(!check(critical, false, &[], &uncovered).passed);
    }

    #[test]
    fn names_of_the_most_severe() {
        for (name, most) in ["none", "negligible", "low", "medium", "high", "critical"]
            .into_iter()
            .zip(MaxSeverity::ALL)
        {
            assert_eq!(MaxSeverity::try_from(name.to_owned()), Ok(most));
            assert_eq!(MaxSeverity::from_str(name, false), Ok(most));
        }
        let error = MaxSeverity::try_from("unknown".to_owned()).unwrap_err();
        assert_eq!(
            error,
            "`unknown` is none of none, negligible, low, medium, high, critical"
        );
    }

    #[test]
    fn reasons_are_given() {
        for text in ["until = \"tomorrow\"", "why = \"x\""] {
            assert!(ignored(text).is_err(), "{text}");
        }
        for text in ["id = \"a\"", "id = \"a\"\nreason = \" \""] {
            assert!(toml::from_str::<Ignored>(text).is_err(), "{text}");
        }
    }
}
