//! What became of packages between two images.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::{Ecosystem, Package, version};

/// A package that two images do not have alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageChange {
    /// What it is of.
    pub ecosystem: Ecosystem,
    /// Its name.
    pub name: String,
    /// Versions that only the first image has.
    pub before: Vec<String>,
    /// Versions that only the second one has.
    pub after: Vec<String>,
    /// What that comes to.
    pub outcome: Outcome,
}

/// What became of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// It is new, or a version of it is.
    Added,
    /// It is gone, or a version of it is.
    Removed,
    /// It is newer.
    Upgraded,
    /// It is older.
    Downgraded,
    /// It is another version, and nobody can say which is newer.
    Changed,
}

impl Outcome {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Upgraded => "upgraded",
            Self::Downgraded => "downgraded",
            Self::Changed => "changed",
        }
    }
}

/// The versions of each package in each of two images.
type Versions<'p> = BTreeMap<(Ecosystem, &'p str), [BTreeSet<&'p str>; 2]>;

/// All packages that two images do not have in the same versions, by ecosystem and name.
pub fn changes(before: &[Package], after: &[Package]) -> Vec<PackageChange> {
    let mut all = Versions::new();
    for (side, packages) in [before, after].into_iter().enumerate() {
        for package in packages {
            let versions = all.entry((package.ecosystem, &package.name)).or_default();
            versions[side].insert(&package.version);
        }
    }
    all.into_iter()
        .filter_map(|((ecosystem, name), [old, new])| {
            let only = |a: &BTreeSet<&str>, b: &BTreeSet<&str>| -> Vec<String> {
                a.difference(b).map(|version| (*version).to_owned()).collect()
            };
            let (before, after) = (only(&old, &new), only(&new, &old));
            let outcome = match (&before[..], &after[..]) {
                ([], []) => return None,
                ([], _) => Outcome::Added,
                (_, []) => Outcome::Removed,
                ([old], [new]) => match version::compare(ecosystem, old, new) {
                    Some(Ordering::Less) => Outcome::Upgraded,
                    Some(Ordering::Greater) => Outcome::Downgraded,
                    Some(Ordering::Equal) | None => Outcome::Changed,
                },
                _ => Outcome::Changed,
            };
            Some(PackageChange {
                ecosystem,
                name: name.to_owned(),
                before,
                after,
                outcome,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_packages() {
        let list = |packages: &[(Ecosystem, &str, &str)]| -> Vec<Package> {
            let all = packages.iter();
            all.map(|(ecosystem, name, version)| Package::new(*ecosystem, *name, *version))
                .collect()
        };
        let before = list(&[
            (Ecosystem::Deb, "same", "1"),
            (Ecosystem::Deb, "gone", "1"),
            (Ecosystem::Deb, "up", "1.9"),
            (Ecosystem::Npm, "several", "1.0.0"),
            (Ecosystem::Npm, "several", "2.0.0"),
            (Ecosystem::Golang, "odd", "(devel)"),
            (Ecosystem::Pypi, "down", "2.0"),
        ]);
        let after = list(&[
            (Ecosystem::Deb, "same", "1"),
            (Ecosystem::Deb, "up", "1.10"),
            (Ecosystem::Deb, "new", "1"),
            (Ecosystem::Npm, "same", "1.0.0"),
            (Ecosystem::Npm, "several", "2.0.0"),
            (Ecosystem::Golang, "odd", "v1.0.0"),
            (Ecosystem::Pypi, "down", "2.0rc1"),
        ]);
        let found: Vec<String> = changes(&before, &after)
            .into_iter()
            .map(|change| {
                format!(
                    "{} {} {:?} {:?}",
                    change.outcome.name(),
                    change.name,
                    change.before,
                    change.after
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                r#"removed gone ["1"] []"#,
                r#"added new [] ["1"]"#,
                r#"upgraded up ["1.9"] ["1.10"]"#,
                r#"downgraded down ["2.0"] ["2.0rc1"]"#,
                r#"added same [] ["1.0.0"]"#,
                r#"removed several ["1.0.0"] []"#,
                r#"changed odd ["(devel)"] ["v1.0.0"]"#,
            ]
        );
    }
}
