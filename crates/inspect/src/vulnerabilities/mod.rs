//! Known vulnerabilities of packages, from a database on this machine: records of OSV (<https://ossf.github.io/osv-schema/>),
//! one in a file, many in a zip archive or in a directory, and the JSON of Debian's security tracker.
//!
//! A database may have hundreds of megabytes. It goes by record after record; no more is kept than what is about a package
//! that is there.

mod cvss;
mod database;
mod osv;
mod severity;
mod tracker;
mod wanted;
mod zip;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

pub use severity::{Rating, Severity};

use crate::error::Error;
use crate::packages::{Ecosystem, Packages};
use wanted::Wanted;

/// A known vulnerability of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vulnerability {
    /// What it is called: its CVE where it has one.
    pub id: String,
    /// What it is called besides.
    pub aliases: Vec<String>,
    /// What it is about, in a line; empty if the database does not say.
    pub summary: String,
    /// How severe it is, as far as the database says.
    pub severity: Severity,
    /// The next version that does not have it, if there is one.
    pub fixed: Option<String>,
    /// The last version that is known to have it: whether there is a later one is not said.
    pub last_affected: Option<String>,
    /// The place of the package among [`Packages::packages`].
    pub package: usize,
}

impl Vulnerability {
    /// Whether that is one of its names.
    pub fn is_called(&self, name: &str) -> bool {
        self.id == name || self.aliases.iter().any(|alias| alias == name)
    }
}

/// What a database knows of an image's packages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vulnerabilities {
    /// The most severe first.
    pub found: Vec<Vulnerability>,
    /// Those of which it cannot be told whether the package has them: a version is none by the rules of the ecosystem, or the
    /// database has not made up its mind. The most severe first.
    pub undecided: Vec<Vulnerability>,
    /// Kinds of packages that the image has and of which the database has no record at all, by name.
    pub uncovered: Vec<Uncovered>,
}

/// A kind of packages of which a database has no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncovered {
    /// As OSV names it, or in words if it has no name there.
    pub name: String,
    /// What its packages are of.
    pub ecosystem: Ecosystem,
    /// Whether there can be a record of it: of what has no name nothing is looked up.
    pub has_name: bool,
}

impl Vulnerabilities {
    /// The names of what is not covered.
    pub fn uncovered_names(&self) -> Vec<&str> {
        self.uncovered.iter().map(|uncovered| &*uncovered.name).collect()
    }

    /// Looks for packages in databases: files, or directories with all files below that have a name that ends with `.json` or
    /// `.zip`.
    pub fn of(packages: &Packages, paths: &[PathBuf]) -> Result<Self, Error> {
        Ok(Self::of_each(&[packages], paths)?.remove(0))
    }

    /// Looks for the packages of several images, in this order, and reads the databases once.
    pub fn of_each(images: &[&Packages], paths: &[PathBuf]) -> Result<Vec<Self>, Error> {
        let mut searches: Vec<Search<'_>> = images.iter().map(|packages| Search::new(packages)).collect();
        for path in paths {
            database::read(path, &mut searches)?;
            searches.iter().try_for_each(|search| search.is_all(path))?;
        }
        Ok(searches.into_iter().map(Search::end).collect())
    }

    /// Looks for packages in what a database has in one file.
    pub(crate) fn in_file(packages: &Packages, content: &[u8]) -> Result<Self, Error> {
        let mut search = Search::new(packages);
        let path = Path::new("memory");
        let _: database::Content = database::source(path, content, std::slice::from_mut(&mut search))?;
        search.is_all(path)?;
        Ok(search.end())
    }
}

/// With more in one image it is no list that is any good: an image can name the same package as often as it likes.
const MOST: usize = 500_000;

/// What a record says of a package.
#[derive(Debug, Default)]
struct Hit {
    /// All names of the vulnerability.
    names: Vec<String>,
    /// What it brings together, if it is an advisory for several.
    covers: Rc<[String]>,
    summary: String,
    severity: Severity,
    fixed: Option<String>,
    last_affected: Option<String>,
}

/// By package.
type Hits = HashMap<usize, Vec<Hit>>;

/// What was found so far.
struct Search<'p> {
    wanted: Wanted<'p>,
    hits: Hits,
    undecided: Hits,
    /// How many more are kept; `None` if there were more.
    room: Option<usize>,
}

impl<'p> Search<'p> {
    fn new(packages: &'p Packages) -> Self {
        Self {
            wanted: Wanted::new(packages),
            hits: HashMap::new(),
            undecided: HashMap::new(),
            room: Some(MOST),
        }
    }

    /// Takes what was found of a package, or may be so.
    fn hit(&mut self, package: usize, hit: Hit, is_decided: bool) {
        self.room = self.room.and_then(|room| room.checked_sub(hit.names.len()));
        if self.room.is_some() {
            let hits = if is_decided {
                &mut self.hits
            } else {
                &mut self.undecided
            };
            hits.entry(package).or_default().push(hit);
        }
    }

    /// Fails if there was more in a database than is kept.
    fn is_all(&self, path: &Path) -> Result<(), Error> {
        let why = || format!("it names more than {MOST} vulnerabilities of the image's packages");
        self.room.map(|_| ()).ok_or_else(|| Error::Database {
            path: path.to_owned(),
            why: why(),
        })
    }

    fn end(self) -> Vulnerabilities {
        let found = listed(self.hits);
        let mut undecided = listed(self.undecided);
        // Another record may have decided it.
        let names = |one: &Vulnerability| -> Vec<(usize, String)> {
            let names = std::iter::once(&one.id).chain(&one.aliases);
            names.map(|name| (one.package, name.clone())).collect()
        };
        let decided: HashSet<_> = found.iter().flat_map(names).collect();
        undecided.retain(|one| names(one).iter().all(|name| !decided.contains(name)));
        Vulnerabilities {
            found,
            undecided,
            uncovered: self.wanted.uncovered(),
        }
    }
}

/// The most severe first.
fn listed(hits: Hits) -> Vec<Vulnerability> {
    let mut found: Vec<Vulnerability> = Vec::new();
    for (package, hits) in hits {
        found.extend(merged(hits).into_iter().map(|hit| vulnerability(package, hit)));
    }
    found.sort_by(|a, b| {
        let severity = b.severity.cmp(&a.severity);
        severity.then_with(|| (a.package, &a.id).cmp(&(b.package, &b.id)))
    });
    found
}

/// Records that name the same vulnerability as one; without advisories that bring together what others name.
fn merged(hits: Vec<Hit>) -> Vec<Hit> {
    let mut groups: Vec<Option<Hit>> = Vec::new();
    let mut of_name: HashMap<String, usize> = HashMap::new();
    for hit in hits {
        let mut known: Vec<usize> = hit.names.iter().filter_map(|name| of_name.get(name).copied()).collect();
        known.sort_unstable();
        known.dedup();
        // The others go into the one with the most names, so that none of them is moved often.
        let size = |group: &usize| groups[*group].as_ref().map_or(0, |hit| hit.names.len());
        let into = known.iter().copied().max_by_key(size).unwrap_or(groups.len());
        let others = known.iter().filter(|group| **group != into);
        let mut joined: Vec<Hit> = others.filter_map(|group| groups[*group].take()).collect();
        joined.push(hit);
        let names = joined.iter().flat_map(|hit| &hit.names);
        of_name.extend(names.map(|name| (name.clone(), into)));
        if into == groups.len() {
            groups.push(joined.pop());
        } else if let Some(group) = &mut groups[into] {
            for hit in joined {
                group.join(hit);
            }
        }
    }
    // Another advisory that has the name tells no more of it.
    let is_advisory = groups
        .iter()
        .map(|hit| hit.as_ref().is_some_and(|hit| !hit.covers.is_empty()));
    let is_advisory: Vec<bool> = is_advisory.collect();
    let is_told = |name: &String| of_name.get(name).is_some_and(|group| !is_advisory[*group]);
    let is_needless = |hit: &Hit| !hit.covers.is_empty() && hit.covers.iter().all(is_told);
    groups.into_iter().flatten().filter(|hit| !is_needless(hit)).collect()
}

impl Hit {
    fn join(&mut self, other: Self) {
        self.names.extend(other.names);
        if self.covers != other.covers {
            self.covers = Rc::default();
        }
        if self.summary.is_empty() {
            self.summary = other.summary;
        }
        self.severity = self.severity.max(other.severity);
        self.fixed = self.fixed.take().or(other.fixed);
        self.last_affected = self.last_affected.take().or(other.last_affected);
    }
}

fn vulnerability(package: usize, hit: Hit) -> Vulnerability {
    let mut names = hit.names;
    names.sort_by_cached_key(|name| (!name.starts_with("CVE-"), name.clone()));
    names.dedup();
    let id = names.remove(0);
    Vulnerability {
        id,
        aliases: names,
        summary: hit.summary,
        severity: hit.severity,
        fixed: hit.fixed,
        last_affected: hit.last_affected,
        package,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::{Distribution, Package};

    fn hit(names: &[&str], covers: &[&str], fixed: Option<&str>) -> Hit {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Hit {
            names: list(names),
            covers: list(covers).into(),
            fixed: fixed.map(str::to_owned),
            ..Hit::default()
        }
    }

    /// What nothing but advisories names must not vanish with them.
    #[test]
    fn advisories_alone_are_found() {
        let both = &["CVE-1", "CVE-2"];
        for (hits, expected) in [
            (vec![hit(&["USN-1", "CVE-1", "CVE-2"], both, None)], 1),
            (
                vec![
                    hit(&["A-1"], &["B-1", "C-1"], None),
                    hit(&["B-1"], &["A-1", "C-1"], None),
                    hit(&["C-1"], &["A-1", "B-1"], None),
                ],
                3,
            ),
            // The same record twice, and what it brings together.
            (
                vec![
                    hit(&["USN-1"], both, None),
                    hit(&["CVE-1"], &[], None),
                    hit(&["CVE-2"], &[], None),
                    hit(&["USN-1"], both, None),
                ],
                2,
            ),
        ] {
            let shown = format!("{hits:?}");
            assert_eq!(merged(hits).len(), expected, "{shown}");
        }
    }

    /// Several images at once are told what each would be told alone.
    #[test]
    fn each_of_several_images() {
        let image = |ecosystem, name: &str, release: &str| {
            let package = Package::new(ecosystem, name, "1.0.0");
            Packages {
                packages: vec![package],
                distribution: Some(Distribution {
                    id: "debian".to_owned(),
                    version: Some(release.to_owned()),
                    codename: None,
                }),
                ..Packages::default()
            }
        };
        let images = [
            image(Ecosystem::Deb, "bash", "12"),
            image(Ecosystem::Npm, "lodash", "12"),
            image(Ecosystem::Deb, "bash", "13"),
            image(Ecosystem::Deb, "other", "12"),
        ];
        let home = tempfile::tempdir().unwrap();
        let paths = ["tracker.json", "osv.json"].map(|name| home.path().join(name));
        let tracker = r#"{"bash": {"CVE-1": {"releases": {"bookworm": {"status": "open"}}}}}"#;
        std::fs::write(&paths[0], tracker).unwrap();
        let record =
            r#"{"id": "X", "affected": [{"package": {"ecosystem": "npm", "name": "lodash"}, "versions": ["1.0.0"]}]}"#;
        std::fs::write(&paths[1], record).unwrap();
        let together = Vulnerabilities::of_each(&images.each_ref(), &paths).unwrap();
        let alone = images
            .each_ref()
            .map(|image| Vulnerabilities::of(image, &paths).unwrap());
        assert_eq!(together, alone);
        let shown = together
            .iter()
            .map(|one| (one.found.len(), one.uncovered_names().join(" ")));
        let expected = [(1, ""), (1, ""), (0, "Debian:13"), (0, "")];
        assert_eq!(
            shown.collect::<Vec<_>>(),
            expected.map(|(count, rest)| (count, rest.to_owned()))
        );
    }

    #[test]
    fn what_one_record_decides_is_decided() {
        let packages = Packages::default();
        let mut search = Search::new(&packages);
        search.hit(0, hit(&["GHSA-1", "CVE-1"], &[], None), true);
        search.hit(0, hit(&["PYSEC-1", "CVE-1"], &[], None), false);
        search.hit(0, hit(&["CVE-2"], &[], None), false);
        search.hit(1, hit(&["CVE-1"], &[], None), false);
        let undecided = search.end().undecided.into_iter();
        let shown: Vec<_> = undecided.map(|one| (one.package, one.id)).collect();
        assert_eq!(shown, [(0, "CVE-2".to_owned()), (1, "CVE-1".to_owned())]);
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let packages = Packages::default();
        let mut search = Search::new(&packages);
        search.room = Some(3);
        search.hit(0, hit(&["CVE-1", "GHSA-1"], &[], None), true);
        search.hit(0, hit(&["CVE-2"], &[], None), false);
        search.is_all(Path::new("x")).unwrap();
        search.hit(0, hit(&["CVE-3"], &[], None), true);
        search.hit(0, hit(&["CVE-4"], &[], None), false);
        let error = search.is_all(Path::new("x")).unwrap_err().to_string();
        assert!(
            error.contains("x: it names more than 500000 vulnerabilities"),
            "{error}"
        );
        let found = search.end();
        assert_eq!((found.found.len(), found.undecided.len()), (1, 1));
    }

    /// Groups that one name brings together are not copied for each record: that took hours for so many.
    #[test]
    fn many_records_of_one_vulnerability() {
        let start = std::time::Instant::now();
        let several = (0..200_000).map(|number| hit(&[&format!("X-{number}"), "CVE-1"], &[], None));
        let pairs = (0..50_000).map(|number| hit(&[&format!("Y-{number}"), &format!("Y-{}", number + 1)], &[], None));
        // Each odd one joins what is on both sides.
        let pairs: Vec<Hit> = pairs.collect();
        let (odd, even): (Vec<_>, Vec<_>) = pairs.into_iter().enumerate().partition(|(number, _)| number % 2 == 1);
        let hits = several.chain(even.into_iter().chain(odd).map(|(_, hit)| hit));
        let found = merged(hits.collect());
        let names: Vec<usize> = found
            .into_iter()
            .map(|hit| vulnerability(0, hit).aliases.len())
            .collect();
        assert_eq!(names, [200_000, 50_000]);
        assert!(
            start.elapsed() < std::time::Duration::from_secs(60),
            "{:?}",
            start.elapsed()
        );
    }

    #[test]
    fn one_vulnerability_has_many_names() {
        let hits = vec![
            hit(&["GHSA-1", "CVE-1"], &[], None),
            hit(&["PYSEC-2"], &[], None),
            hit(&["DSA-1"], &["CVE-1", "PYSEC-2"], Some("9")),
            hit(&["DSA-2"], &["CVE-1", "CVE-7"], Some("9")),
            hit(&["PYSEC-1", "CVE-1"], &[], Some("2")),
        ];
        let found: Vec<_> = merged(hits)
            .into_iter()
            .map(|hit| vulnerability(0, hit))
            .map(|found| format!("{} {:?} {:?}", found.id, found.aliases, found.fixed))
            .collect();
        assert_eq!(
            found,
            [
                "CVE-1 [\"GHSA-1\", \"PYSEC-1\"] Some(\"2\")",
                "PYSEC-2 [] None",
                "DSA-2 [] Some(\"9\")",
            ]
        );
    }
}
