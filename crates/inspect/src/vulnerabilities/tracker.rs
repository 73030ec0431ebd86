//! The JSON of Debian's security tracker: an object of source packages, each with its vulnerabilities, and for each of these
//! what is true of each release.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufReader, Read};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::wanted::version;
use super::{Hit, Search, Severity};
use crate::packages::{Ecosystem, compare};

#[derive(Debug, Deserialize)]
struct Issue {
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    releases: BTreeMap<String, Release>,
}

#[derive(Debug, Deserialize)]
struct Release {
    status: String,
    #[serde(default)]
    fixed_version: Option<String>,
    #[serde(default)]
    urgency: Option<String>,
}

/// Takes what it says of the packages that are looked for, one vulnerability after the other.
pub(super) fn take(reader: impl Read, largest: u64, search: &mut Search<'_>) -> Result<(), serde_json::Error> {
    let left = Cell::new(largest);
    let reader = Limited { reader, left: &left };
    let mut deserializer = serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 16, reader));
    deserializer.deserialize_map(Sources {
        release: search.wanted.release().map(str::to_owned),
        is_known: false,
        largest,
        left: &left,
        search,
    })?;
    deserializer.end()
}

/// Stops where one vulnerability has more than any has: all of it is in memory.
struct Limited<'l, R> {
    reader: R,
    left: &'l Cell<u64>,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left.get() == 0 {
            let why = "what it has of one vulnerability is larger than that can be";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let count = self.reader.read(buffer)?;
        self.left.set(self.left.get().saturating_sub(count as u64));
        Ok(count)
    }
}

/// The source packages.
struct Sources<'s, 'p> {
    /// The release that is looked for; `None` if there is none.
    release: Option<String>,
    /// Whether something was said of that release.
    is_known: bool,
    largest: u64,
    left: &'s Cell<u64>,
    search: &'s mut Search<'p>,
}

impl<'de> Visitor<'de> for Sources<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of source packages")
    }

    fn visit_map<M: MapAccess<'de>>(mut self, mut map: M) -> Result<(), M::Error> {
        while let Some(source) = map.next_key::<String>()? {
            let packages = self.search.wanted.of_debian(&source);
            let sources = &mut self;
            map.next_value_seed(Issues { packages, sources })?;
        }
        Ok(())
    }
}

/// The vulnerabilities of a source package.
struct Issues<'i, 's, 'p> {
    /// Those that were built from it.
    packages: Vec<usize>,
    sources: &'i mut Sources<'s, 'p>,
}

impl<'de> DeserializeSeed<'de> for Issues<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Issues<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of vulnerabilities")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let Self { packages, sources } = self;
        loop {
            sources.left.set(sources.largest);
            let Some(id) = map.next_key::<String>()? else {
                return Ok(());
            };
            // Others tell no more than that the release is known.
            let release = sources.release.as_deref();
            let Some(release) = release.filter(|_| !packages.is_empty() || !sources.is_known) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let mut issue: Issue = map.next_value()?;
            let Some(state) = issue.releases.remove(release) else {
                continue;
            };
            if !sources.is_known {
                sources.is_known = true;
                sources.search.wanted.saw_debian();
            }
            let summary = issue.description.unwrap_or_default();
            for number in &packages {
                say(&id, &summary, &state, *number, sources.search);
            }
        }
    }
}

/// What is true of one package.
fn say(id: &str, summary: &str, state: &Release, number: usize, search: &mut Search<'_>) {
    let installed = version(search.wanted.package(number));
    let is_fixed = |fixed: &str| compare(Ecosystem::Deb, installed, fixed).is_some_and(std::cmp::Ordering::is_ge);
    let fixed = match (state.status.as_str(), state.fixed_version.as_deref()) {
        ("resolved", Some(fixed)) if !is_fixed(fixed) => Some(fixed.to_owned()),
        ("open", _) => None,
        ("undetermined", _) => {
            search.undecided(number, id);
            return;
        }
        _ => return,
    };
    let hit = Hit {
        names: vec![id.to_owned()],
        summary: summary.chars().take(super::osv::LONGEST_SUMMARY).collect(),
        severity: state.urgency.as_deref().map(Severity::named).unwrap_or_default(),
        fixed,
        ..Hit::default()
    };
    search.hit(number, hit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::{Distribution, Package, Packages};

    fn uncovered(json: &str, largest: u64) -> Result<Vec<String>, String> {
        let package = Package {
            ecosystem: Ecosystem::Deb,
            name: "libc6".to_owned(),
            version: "2".to_owned(),
            architecture: None,
            source: Some("glibc".to_owned()),
            source_version: None,
            licenses: Vec::new(),
            bytes: None,
            layer: 0,
            path: Vec::new(),
        };
        let packages = Packages {
            packages: vec![package],
            distribution: Some(Distribution {
                id: "debian".to_owned(),
                version: Some("12".to_owned()),
                codename: None,
            }),
            ..Packages::default()
        };
        let mut search = Search::new(&packages);
        let taken = take(json.as_bytes(), largest, &mut search);
        taken.map_err(|error| error.to_string())?;
        Ok(search.end().uncovered)
    }

    #[test]
    fn only_a_release_that_it_has_is_covered() {
        let of = |release: &str| {
            format!(r#"{{"other": {{"CVE-1": {{"releases": {{"{release}": {{"status": "open"}}}}}}}}}}"#)
        };
        assert_eq!(uncovered(&of("bookworm"), 1000), Ok(Vec::new()));
        for json in ["{}", r#"{"glibc": {}}"#, &of("trixie")] {
            assert_eq!(uncovered(json, 1000), Ok(vec!["Debian:12".to_owned()]), "{json}");
        }
    }

    #[test]
    fn one_vulnerability_has_a_bound() {
        let issue = |text: &str| format!(r#""CVE-{text}": {{"description": "{text}", "releases": {{}}}}"#);
        let several: Vec<String> = (10..99).map(|number| issue(&number.to_string().repeat(5000))).collect();
        let several = format!(r#"{{"glibc": {{{}}}}}"#, several.join(", "));
        assert!(several.len() > 500_000, "{}", several.len());
        assert_eq!(uncovered(&several, 100_000), Ok(vec!["Debian:12".to_owned()]));
        let one = format!(r#"{{"glibc": {{{}}}}}"#, issue(&"1".repeat(300_000)));
        let error = uncovered(&one, 100_000).unwrap_err();
        assert!(
            error.contains("one vulnerability is larger than that can be"),
            "{error}"
        );
    }
}
