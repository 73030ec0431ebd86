//! Whether known vulnerabilities of an image's packages may be in it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use kiln_inspect::packages::{Ecosystem, Package, Packages};
use kiln_inspect::vulnerabilities::{Rating, Uncovered, Vulnerabilities, Vulnerability};
use serde::Deserialize;

use super::Verdict;
use super::not_covered::{self, Answer, Day, NotCovered, Reason};
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

/// Vulnerabilities that do not count.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Entry")]
pub(crate) struct Ignored {
    meant: Meant,
    /// Why they do not.
    reason: Reason,
    /// The last day on which they do not.
    until: Option<Day>,
}

/// Which they are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meant {
    /// One, by any of its names, of a package or of all.
    One { id: String, package: Option<String> },
    /// All of a package of which it cannot be told whether it has them.
    Undecided { package: String },
}

/// An entry of `kiln.toml`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Entry {
    id: Option<String>,
    package: Option<String>,
    reason: Reason,
    until: Option<Day>,
}

impl TryFrom<Entry> for Ignored {
    type Error = &'static str;

    fn try_from(entry: Entry) -> Result<Self, Self::Error> {
        let meant = match (entry.id, entry.package) {
            (Some(id), package) => Meant::One { id, package },
            (None, Some(package)) => Meant::Undecided { package },
            (None, None) => {
                return Err(
                    "there is neither `id` nor `package`: name the vulnerability, or the package of which it cannot be told",
                );
            }
        };
        Ok(Self {
            meant,
            reason: entry.reason,
            until: entry.until,
        })
    }
}

impl Ignored {
    fn is_meant(&self, vulnerability: &Vulnerability, is_decided: bool, of: &Package) -> bool {
        match &self.meant {
            Meant::One { id, package } => {
                vulnerability.is_called(id) && package.as_ref().is_none_or(|name| *name == of.name)
            }
            Meant::Undecided { package } => !is_decided && *package == of.name,
        }
    }
}

/// What may be.
pub(crate) struct Policy<'a> {
    pub(crate) most: MaxSeverity,
    /// Whether what nobody fixed yet does not count.
    pub(crate) ignores_unfixed: bool,
    pub(crate) ignored: &'a [Ignored],
    /// Packages and lists of them of which nothing need be known.
    pub(crate) not_covered: &'a [NotCovered],
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
    /// One failure for each vulnerability of a package that may not be, and one for each package without a version.
    pub(crate) fn verdicts(&self, packages: &Packages, found: &Vulnerabilities) -> Vec<Verdict> {
        self.on(Day::today(), packages, found)
    }

    fn on(&self, today: Day, packages: &Packages, found: &Vulnerabilities) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        let (mut known, mut undecided) = (found.found.len(), found.undecided.len());
        let mut unrated = 0;
        let mut of_no_version: BTreeMap<usize, Vec<Failed<'_>>> = BTreeMap::new();
        let decided = found.found.iter().map(|one| (one, true));
        for (vulnerability, is_decided) in decided.chain(found.undecided.iter().map(|one| (one, false))) {
            let package = &packages.packages[vulnerability.package];
            let expired = match self.outcome(vulnerability, is_decided, package, today) {
                Outcome::Passes => {
                    unrated += usize::from(is_decided && vulnerability.severity.rating == Rating::Unknown);
                    continue;
                }
                Outcome::Ignored => {
                    *(if is_decided { &mut known } else { &mut undecided }) -= 1;
                    continue;
                }
                Outcome::Fails => None,
                Outcome::Expired(ignored) => Some(ignored),
            };
            let failed = Failed { vulnerability, expired };
            if is_decided || package.has_comparable_version() {
                verdicts.push(failed.verdict(is_decided).of_package(package));
            } else {
                of_no_version.entry(vulnerability.package).or_default().push(failed);
            }
        }
        for (package, failed) in of_no_version {
            let package = &packages.packages[package];
            verdicts.push(without_version(package, &failed).of_package(package));
        }
        verdicts.extend(super::unread(CHECK, packages, self.not_covered, today));
        verdicts.extend(found.uncovered.iter().filter_map(|kind| self.uncovered(kind, today)));
        if verdicts.is_empty() {
            let accepted = packages.unread.len() + found.uncovered.len();
            let ignored = found.found.len() + found.undecided.len() - known - undecided;
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
            if undecided > 0 {
                let _ = write!(message, "; of {undecided} it cannot be told");
            }
            if accepted > 0 {
                let _ = write!(message, "; {accepted} kinds or lists of packages not covered");
            }
            verdicts.push(Verdict::pass(CHECK, message));
        }
        verdicts
    }

    /// What is said of packages of which the database has no record.
    fn uncovered(&self, kind: &Uncovered, today: Day) -> Option<Verdict> {
        let Answer::Fails(over) = not_covered::of_kind(kind.ecosystem, self.not_covered, today) else {
            return None;
        };
        let name = &kind.name;
        if kind.has_name {
            let message = format!("cannot tell: the database has no record of {name}{over}");
            let mend = "give `--vulnerability-db` once more, with records of it";
            return Some(Verdict::fail(CHECK, message).mend(mend));
        }
        let message = format!("cannot tell: Kiln cannot look up {name}{over}");
        let mend = format!(
            "`[[check.not-covered]]` with `kind = \"{}\"` and the reason accepts it",
            kind.ecosystem.name()
        );
        Some(Verdict::fail(CHECK, message).mend(mend))
    }

    fn outcome(&self, vulnerability: &Vulnerability, is_decided: bool, package: &Package, today: Day) -> Outcome<'_> {
        if self.most.allows(vulnerability.severity.rating) {
            return Outcome::Passes;
        }
        if self.ignores_unfixed && vulnerability.fixed.is_none() {
            return Outcome::Ignored;
        }
        let mut meant = self
            .ignored
            .iter()
            .filter(|ignored| ignored.is_meant(vulnerability, is_decided, package))
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

const ELSE: &str = "another package, or `[[check.ignored-vulnerabilities]]` with the reason";

/// A vulnerability that may not be.
struct Failed<'a> {
    vulnerability: &'a Vulnerability,
    /// It was ignored until a day that is over.
    expired: Option<&'a Ignored>,
}

impl Failed<'_> {
    /// What is said of it alone.
    fn verdict(&self, is_decided: bool) -> Verdict {
        let one = self.vulnerability;
        let mut message = if is_decided { "" } else { "cannot tell whether it has " }.to_owned();
        let _ = write!(message, "{}, {}", one.id, severity(one.severity));
        if !one.summary.is_empty() {
            let _ = write!(message, ": {}", one.summary);
        }
        message += &self.over();
        let mend = match (&one.fixed, &one.last_affected) {
            (Some(fixed), _) => format!("{fixed} has it no more"),
            (None, Some(last)) => format!("versions above {last}, if there are any, are not known to have it; {ELSE}"),
            (None, None) => format!("nobody fixed it yet: {ELSE}"),
        };
        Verdict::fail(CHECK, message).mend(mend)
    }

    /// Until when it was ignored, and why; empty if it was not.
    fn over(&self) -> String {
        let expired = self.expired.and_then(|ignored| Some((ignored, ignored.until?)));
        expired.map_or_else(String::new, |(ignored, until)| {
            format!(" (ignored until {}: {})", until.0, ignored.reason.0)
        })
    }
}

/// What is said once of a package whose version tells nothing: a database has every vulnerability that it ever had. The first
/// is the most severe.
fn without_version(package: &Package, failed: &[Failed<'_>]) -> Verdict {
    let why = if package.version.is_empty() {
        "no version is said".to_owned()
    } else {
        format!("version `{}` is none", package.version)
    };
    let are = if failed.len() == 1 { "is" } else { "are" };
    let mut message = format!("cannot tell: {why}; {} that {are} known of it may apply", failed.len());
    if let Some(worst) = failed.first() {
        let severity = severity(worst.vulnerability.severity);
        let _ = write!(message, ", the worst {severity}: {}", worst.vulnerability.id);
        message += &worst.over();
    }
    let ignore = "`[[check.ignored-vulnerabilities]]` with its `package` and the reason";
    Verdict::fail(CHECK, message).mend(match (package.ecosystem, &*package.version) {
        (Ecosystem::Golang, "(devel)") => {
            format!("build it with Go 1.24 or later and `-buildvcs=true`, from a commit that has a tag; or {ignore}")
        }
        (Ecosystem::Golang, "") => {
            format!("a directory is in its place in `go.mod`: take a version of it; or {ignore}")
        }
        _ => format!("give it a version; or {ignore}"),
    })
}

#[cfg(test)]
mod tests {
    use kiln_inspect::vulnerabilities::Severity;

    use super::*;

    fn packages() -> Packages {
        let package = Package::new(Ecosystem::Deb, "openssl", "3.0.9-1");
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
                not_covered: &[],
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
                not_covered: &[],
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
    }

    #[test]
    fn what_cannot_be_looked_up() {
        let today = Day("2026-12-01".parse().unwrap());
        let uncovered = |name: &str, ecosystem, has_name| Uncovered {
            name: name.to_owned(),
            ecosystem,
            has_name,
        };
        let known = Vulnerabilities {
            uncovered: vec![
                uncovered("npm", Ecosystem::Npm, true),
                uncovered("rpm of rhel", Ecosystem::Rpm, false),
            ],
            ..Vulnerabilities::default()
        };
        let mut packages = packages();
        packages.unread.push((b"var/lib/rpm/Packages".to_vec(), "not read"));
        let check = |entries: &[&str]| -> Vec<String> {
            let entry = |text: &&str| toml::from_str(&format!("reason = \"x\"\n{text}")).unwrap();
            let policy = Policy {
                most: MaxSeverity(Some(Rating::Critical)),
                ignores_unfixed: false,
                ignored: &[],
                not_covered: &entries.iter().map(entry).collect::<Vec<NotCovered>>(),
            };
            let verdicts = policy.on(today, &packages, &known).into_iter();
            let shown = verdicts.map(|one| format!("{} {}: {}", one.passed, one.message, one.mend.unwrap_or_default()));
            shown.collect()
        };
        let [unread, npm, rpm] = [
            "false cannot tell: not read: `[[check.not-covered]]` with its `path` and the reason accepts it",
            "false cannot tell: the database has no record of npm: give `--vulnerability-db` once more, with records of it",
            "false cannot tell: Kiln cannot look up rpm of rhel: `[[check.not-covered]]` with `kind = \"rpm\"` and the reason accepts it",
        ];
        assert_eq!(check(&[]), [unread, npm, rpm]);
        assert_eq!(check(&["kind = \"rpm\"", "kind = \"deb\""]), [unread, npm]);
        assert_eq!(check(&["path = \"/var/lib/rpm/Packages\""]), [npm, rpm]);
        assert_eq!(
            check(&["kind = \"rpm\"", "kind = \"npm\"", "path = \"/var/*\""]),
            ["true 0 known, none above critical; 3 kinds or lists of packages not covered: "]
        );
    }

    /// A version that is none may have all that was ever known: that is said once.
    #[test]
    fn packages_without_a_version() {
        let mut packages = packages();
        let package = &mut packages.packages[0];
        package.ecosystem = Ecosystem::Golang;
        package.version = "(devel)".to_owned();
        let mut known = Vulnerabilities::default();
        for number in 1..=5 {
            known.undecided.extend(found(Rating::High, Some("1.0.0")).found);
            known.undecided[number - 1].id = format!("CVE-{number}");
        }
        known.undecided[0].severity.rating = Rating::Critical;
        let today = Day("2026-12-01".parse().unwrap());
        let check = |entries: &[&str], packages: &Packages, known: &Vulnerabilities| {
            let entry = |text: &&str| toml::from_str(&format!("reason = \"x\"\n{text}")).unwrap();
            let policy = Policy {
                most: MaxSeverity(Some(Rating::Medium)),
                ignores_unfixed: false,
                ignored: &entries.iter().map(entry).collect::<Vec<Ignored>>(),
                not_covered: &[],
            };
            let verdicts = policy.on(today, packages, known);
            assert_eq!(verdicts.len(), 1, "{verdicts:?}");
            let verdict = &verdicts[0];
            (
                verdict.passed,
                verdict.message.clone(),
                verdict.mend.clone().unwrap_or_default(),
            )
        };
        let (passed, message, mend) = check(&[], &packages, &known);
        assert!(
            !passed && mend.contains("-buildvcs") && !mend.contains("has it no more"),
            "{mend}"
        );
        assert_eq!(
            message,
            "cannot tell: version `(devel)` is none; 5 that are known of it may apply, the worst critical: CVE-1"
        );
        let (passed, message, _) = check(&["id = \"CVE-1\"", "id = \"CVE-3\""], &packages, &known);
        let rest = "3 that are known of it may apply, the worst high: CVE-2";
        assert!(!passed && message.ends_with(rest), "{message}");
        let (passed, message, _) = check(&["package = \"openssl\""], &packages, &known);
        assert_eq!((passed, &*message), (true, "0 known, none above medium; 5 ignored"));
        assert!(!check(&["package = \"other\""], &packages, &known).0);
        let over = check(&["package = \"openssl\"\nuntil = \"2026-11-30\""], &packages, &known);
        assert!(
            !over.0 && over.1.ends_with("CVE-1 (ignored until 2026-11-30: x)"),
            "{}",
            over.1
        );
        // It is for what cannot be told alone.
        packages.packages[0].version = "v1.0.0".to_owned();
        let decided = found(Rating::High, None);
        assert!(!check(&["package = \"openssl\""], &packages, &decided).0);
        packages.packages[0].version.clear();
        let (_, message, mend) = check(&[], &packages, &known);
        assert!(message.starts_with("cannot tell: no version is said; 5 "), "{message}");
        assert!(mend.contains("go.mod"), "{mend}");
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
        for text in ["id = \"a\"", "id = \"a\"\nreason = \" \"", "reason = \"x\""] {
            assert!(toml::from_str::<Ignored>(text).is_err(), "{text}");
        }
    }
}
