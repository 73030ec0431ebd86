//! The JSON of Debian's security tracker: an object of source packages, each with its vulnerabilities, and for each of these
//! what is true of each release.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufReader, Read};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

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
pub(super) fn take(reader: impl Read, largest: u64, searches: &mut [Search<'_>]) -> Result<(), serde_json::Error> {
    let left = Cell::new(largest);
    let reader = Limited { reader, left: &left };
    let mut deserializer = serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 16, reader));
    deserializer.deserialize_map(Sources {
        images: searches.iter_mut().map(Image::new).collect(),
        largest,
        left: &left,
    })?;
    deserializer.end()
}

/// An image whose packages are looked for.
struct Image<'s, 'p> {
    /// The release that it is of; `None` if it is of none.
    release: Option<String>,
    /// Whether something was said of that release.
    is_known: bool,
    search: &'s mut Search<'p>,
}

impl<'s, 'p> Image<'s, 'p> {
    fn new(search: &'s mut Search<'p>) -> Self {
        Self {
            release: search.wanted.release().map(str::to_owned),
            is_known: false,
            search,
        }
    }

    /// Whether what is said of some packages, or of none, matters: other packages tell no more than that the release is known.
    fn wants(&self, packages: &[usize]) -> bool {
        self.release.is_some() && (!packages.is_empty() || !self.is_known)
    }

    fn take(&mut self, id: &str, issue: &Issue, packages: &[usize]) {
        let release = self.release.as_deref();
        let Some(state) = release.and_then(|release| issue.releases.get(release)) else {
            return;
        };
        if !std::mem::replace(&mut self.is_known, true) {
            self.search.wanted.saw_debian();
        }
        let summary = issue.description.as_deref().unwrap_or_default();
        for number in packages {
            say(id, summary, state, *number, self.search);
        }
    }
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
    images: Vec<Image<'s, 'p>>,
    largest: u64,
    left: &'s Cell<u64>,
}

impl<'de> Visitor<'de> for Sources<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of source packages")
    }

    fn visit_map<M: MapAccess<'de>>(mut self, mut map: M) -> Result<(), M::Error> {
        while let Some(source) = map.next_key::<String>()? {
            let images = self.images.iter();
            let packages = images.map(|image| image.search.wanted.of_debian(&source)).collect();
            let sources = &mut self;
            map.next_value_seed(Issues { packages, sources })?;
        }
        Ok(())
    }
}

/// The vulnerabilities of a source package.
struct Issues<'i, 's, 'p> {
    /// Those that were built from it, of each image.
    packages: Vec<Vec<usize>>,
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
            let mut images = sources.images.iter().zip(&packages);
            if !images.any(|(image, packages)| image.wants(packages)) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let issue: Issue = map.next_value()?;
            for (image, packages) in sources.images.iter_mut().zip(&packages) {
                image.take(&id, &issue, packages);
            }
        }
    }
}

/// What is true of one package.
fn say(id: &str, summary: &str, state: &Release, number: usize, search: &mut Search<'_>) {
    let installed = search.wanted.package(number).known_version();
    let is_fixed = |fixed: &str| compare(Ecosystem::Deb, installed, fixed).is_some_and(std::cmp::Ordering::is_ge);
    let (fixed, is_decided) = match (state.status.as_str(), state.fixed_version.as_deref()) {
        ("resolved", Some(fixed)) if is_fixed(fixed) => return,
        ("resolved", Some(fixed)) => (Some(fixed.to_owned()), true),
        ("open", _) => (None, true),
        // `undetermined`, and what is not known here.
        _ => (None, false),
    };
    let hit = Hit {
        names: vec![id.to_owned()],
        summary: summary.chars().take(super::osv::LONGEST_SUMMARY).collect(),
        severity: state.urgency.as_deref().and_then(Severity::named).unwrap_or_default(),
        fixed,
        ..Hit::default()
    };
    search.hit(number, hit, is_decided);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::{Distribution, Package, Packages};
    use crate::vulnerabilities::Vulnerabilities;

    fn uncovered(json: &str, largest: u64) -> Result<Vec<String>, String> {
        found(json, largest).map(|found| found.uncovered_names().into_iter().map(str::to_owned).collect())
    }

    fn found(json: &str, largest: u64) -> Result<Vulnerabilities, String> {
        let package = Package {
            source: Some("glibc".to_owned()),
            ..Package::new(Ecosystem::Deb, "libc6", "2")
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
        let taken = take(json.as_bytes(), largest, std::slice::from_mut(&mut search));
        taken.map_err(|error| error.to_string())?;
        Ok(search.end())
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
    fn states_of_a_package() {
        for (state, expected) in [
            (r#""status": "open""#, (1, 0)),
            (r#""status": "resolved", "fixed_version": "3""#, (1, 0)),
            (r#""status": "resolved", "fixed_version": "2""#, (0, 0)),
            (r#""status": "resolved", "fixed_version": "0""#, (0, 0)),
            (r#""status": "resolved""#, (0, 1)),
            (r#""status": "undetermined""#, (0, 1)),
            (r#""status": "what it says next year""#, (0, 1)),
        ] {
            let json = format!(r#"{{"glibc": {{"CVE-1": {{"releases": {{"bookworm": {{{state}}}}}}}}}}}"#);
            let found = found(&json, 1000).unwrap();
            assert_eq!((found.found.len(), found.undecided.len()), expected, "{state}");
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
