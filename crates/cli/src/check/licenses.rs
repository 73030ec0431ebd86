//! Whether the licenses of an image's packages may be in it.

use kiln_inspect::licenses::parse;
use kiln_inspect::packages::{Package, Packages};
use kiln_inspect::policy::is_like;
use serde::Deserialize;

use super::Verdict;
use super::not_covered::{Day, NotCovered};

const CHECK: &str = "licenses";

/// What becomes of packages whose license is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unknown {
    /// They pass, and are counted.
    #[default]
    Allow,
    /// They fail.
    Deny,
}

/// Licenses that may be, and that may not: SPDX's names, other names for them, or patterns with `*`.
pub(crate) struct Licenses<'a> {
    pub(crate) allowed: &'a [String],
    pub(crate) denied: &'a [String],
    pub(crate) unknown: Unknown,
    /// Lists of packages that need not be read.
    pub(crate) not_covered: &'a [NotCovered],
}

impl Licenses<'_> {
    /// Whether there is a package that may not be.
    pub(crate) fn limits(&self) -> bool {
        !self.allowed.is_empty() || !self.denied.is_empty() || self.unknown == Unknown::Deny
    }

    /// One failure for each package that may not be.
    pub(crate) fn verdicts(&self, packages: &Packages) -> Vec<Verdict> {
        let unread = super::unread(CHECK, packages, self.not_covered, Day::today());
        let unread = unread.filter(|_| self.unknown == Unknown::Deny);
        let packages = &packages.packages[..];
        let mut verdicts: Vec<Verdict> = packages.iter().filter_map(|package| self.failure(package)).collect();
        verdicts.extend(unread);
        if verdicts.is_empty() {
            let unknown = packages.iter().filter(|package| !are_known(package)).count();
            let message = match (packages.len(), unknown) {
                (0, _) => "there are no packages that are known of".to_owned(),
                (all, 0) => format!("{all} packages have licenses that may be"),
                (all, unknown) => format!(
                    "{} packages have licenses that may be; those of {unknown} are not known",
                    all - unknown
                ),
            };
            verdicts.push(Verdict::pass(CHECK, message));
        }
        verdicts
    }

    fn failure(&self, package: &Package) -> Option<Verdict> {
        // What is known of it is denied whatever there is besides; that all of it is allowed cannot be told.
        let allowed = if are_known(package) { self.allowed } else { &[] };
        let may_not = |license: &&String| !self.may(license, allowed);
        let licenses: Vec<&str> = package.licenses.iter().filter(may_not).map(String::as_str).collect();
        let verdict = |message: String| Verdict::fail(CHECK, message).of_package(package);
        if !licenses.is_empty() {
            let mend = "another package, or `allowed-licenses` if it may be after all";
            return Some(verdict(format!("{} may not be", licenses.join(", "))).mend(mend));
        }
        if are_known(package) || self.unknown == Unknown::Allow {
            return None;
        }
        Some(verdict(if package.may_have_more_licenses {
            "not all of its licenses are known: there are more than what is read".to_owned()
        } else {
            "its license is not known".to_owned()
        }))
    }

    /// Whether an expression may be; what is none is one name.
    fn may(&self, license: &str, allowed: &[String]) -> bool {
        let is_allowed = |name: &str, whole: Option<&str>| {
            let is_among = |patterns: &[String]| {
                let mut patterns = patterns.iter();
                patterns.any(|pattern| is_meant(pattern, name) || whole.is_some_and(|whole| is_meant(pattern, whole)))
            };
            !is_among(self.denied) && (allowed.is_empty() || is_among(allowed))
        };
        match parse(license) {
            Some(expression) => expression.allows(&is_allowed),
            None => is_allowed(license, None),
        }
    }
}

/// Whether all licenses of a package are known.
const fn are_known(package: &Package) -> bool {
    !package.licenses.is_empty() && !package.may_have_more_licenses
}

/// Whether a name is what a pattern means. SPDX's names are the same in capitals.
fn is_meant(pattern: &str, name: &str) -> bool {
    let lower = |text: &str| text.to_ascii_lowercase().into_bytes();
    if pattern.contains('*') {
        return is_like(&lower(name), &lower(pattern));
    }
    let meant = parse(pattern).map_or_else(|| pattern.to_owned(), |expression| expression.to_string());
    lower(&meant) == lower(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(allowed: &[&str], denied: &[&str], license: &str) -> bool {
        let list = |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
        let licenses = Licenses {
            allowed: &list(allowed),
            denied: &list(denied),
            unknown: Unknown::Allow,
            not_covered: &[],
        };
        licenses.may(license, licenses.allowed)
    }

    #[test]
    fn what_may_be() {
        for (allowed, denied, license, expected) in [
            (&["MIT", "BSD-*"][..], &[][..], "MIT", true),
            (&["MIT", "BSD-*"], &[], "bsd-3-clause", true),
            (&["MIT"], &[], "GPL-3.0-only", false),
            (&["GPL-2+"], &[], "GPL-2.0-or-later", true),
            (&["GPL-2+"], &[], "GPL-2.0-or-later WITH GCC-exception-2.0", true),
            (&["MIT"], &[], "MIT OR GPL-3.0-only", true),
            (&["MIT"], &[], "MIT AND GPL-3.0-only", false),
            (&[], &["AGPL-*", "GPL-3*"], "MIT OR AGPL-3.0-only", true),
            (&[], &["AGPL-*", "GPL-3*"], "MIT AND GPL-3.0-or-later", false),
            (&[], &["AGPL-*"], "GPL-2.0-only", true),
            (&["*"], &["GPL-3.0-only"], "GPL-3.0-only", false),
            (&["Our own *"], &[], "Our own words", true),
            (&["MIT"], &[], "MIT License of ours", false),
        ] {
            assert_eq!(
                may(allowed, denied, license),
                expected,
                "{allowed:?} {denied:?} {license}"
            );
        }
    }
}
