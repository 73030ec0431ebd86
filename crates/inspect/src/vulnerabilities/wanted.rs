//! Which packages are looked for, by what databases call them.

use std::collections::{BTreeMap, HashMap, HashSet};

use memchr::memmem::Finder;

use super::Uncovered;
use crate::packages::{Distribution, Ecosystem, Package, Packages};

/// Packages by what they are called in OSV.
pub(super) struct Wanted<'p> {
    packages: &'p [Package],
    /// By ecosystem, and then by name.
    by_name: HashMap<String, HashMap<String, Vec<usize>>>,
    /// All names.
    names: HashSet<String>,
    /// The ecosystems, and whether a record was of it.
    ecosystems: BTreeMap<String, (Uncovered, bool)>,
    /// Debian's release, if the image is of one.
    debian: Option<Debian>,
    name: Finder<'static>,
    ecosystem: Finder<'static>,
}

impl<'p> Wanted<'p> {
    pub(super) fn new(packages: &'p Packages) -> Self {
        let mut by_name: HashMap<String, HashMap<String, Vec<usize>>> = HashMap::new();
        let mut ecosystems = BTreeMap::new();
        for (number, package) in packages.packages.iter().enumerate() {
            let known = ecosystem(package, packages);
            let uncovered = Uncovered {
                has_name: known.is_some(),
                name: known.clone().unwrap_or_else(|| without_name(package, packages)),
                ecosystem: package.ecosystem,
            };
            ecosystems.insert(uncovered.name.clone(), (uncovered, false));
            let Some(ecosystem) = known else { continue };
            let name = normal(package.ecosystem, source(package)).into_owned();
            by_name
                .entry(ecosystem)
                .or_default()
                .entry(name)
                .or_default()
                .push(number);
        }
        Self {
            names: by_name.values().flat_map(HashMap::keys).cloned().collect(),
            by_name,
            ecosystems,
            packages: &packages.packages,
            debian: packages.distribution.as_ref().and_then(Debian::of),
            name: Finder::new(b"\"name\""),
            ecosystem: Finder::new(b"\"ecosystem\""),
        }
    }

    pub(super) fn package(&self, number: usize) -> &'p Package {
        &self.packages[number]
    }

    /// The packages that an ecosystem of OSV and a name mean.
    pub(super) fn named(&self, ecosystem: &str, name: &str) -> Vec<usize> {
        let name = if ecosystem == "PyPI" {
            normal(Ecosystem::Pypi, name)
        } else {
            name.into()
        };
        // A release of Ubuntu is `Ubuntu:22.04:LTS`, or without the last word.
        let short = ecosystem.strip_suffix(":LTS").unwrap_or(ecosystem);
        let found = self.by_name.get(short).and_then(|names| names.get(&*name));
        found.cloned().unwrap_or_default()
    }

    /// The release of Debian that packages are of, as its tracker calls it; `None` if they are of none, or nobody knows its
    /// name.
    pub(super) fn release(&self) -> Option<&str> {
        self.debian.as_ref()?.codename.as_deref()
    }

    /// The packages from a source of Debian's.
    pub(super) fn of_debian(&self, source: &str) -> Vec<usize> {
        let debian = self.debian.as_ref().map(|debian| &*debian.ecosystem);
        debian.map(|debian| self.named(debian, source)).unwrap_or_default()
    }

    /// Debian's tracker knows the release.
    pub(super) fn saw_debian(&mut self) {
        let debian = self.debian.as_ref();
        if let Some((_, is_seen)) = debian.and_then(|debian| self.ecosystems.get_mut(&debian.ecosystem)) {
            *is_seen = true;
        }
    }

    /// Whether a record may be about one of the packages, without its being parsed: most are not.
    pub(super) fn may_be_meant(&mut self, record: &[u8]) -> bool {
        for at in self.ecosystem.find_iter(record) {
            if let Some(text) = string_behind(&record[at + "\"ecosystem\"".len()..])
                && let Some((_, is_seen)) = self.ecosystems.get_mut(text.strip_suffix(":LTS").unwrap_or(text))
            {
                *is_seen = true;
            }
        }
        self.name.find_iter(record).any(|at| {
            let name = string_behind(&record[at + "\"name\"".len()..]);
            // What is written in an unusual way is parsed.
            name.is_none_or(|name| self.names.contains(name) || self.names.contains(&*normal(Ecosystem::Pypi, name)))
        })
    }

    /// The ecosystems of which there was no record.
    pub(super) fn uncovered(self) -> Vec<Uncovered> {
        let unseen = self.ecosystems.into_values().filter(|(_, is_seen)| !is_seen);
        unseen.map(|(uncovered, _)| uncovered).collect()
    }
}

/// A release of Debian.
struct Debian {
    /// What OSV calls it: `Debian:12`.
    ecosystem: String,
    /// What Debian's tracker calls it: `bookworm`.
    codename: Option<String>,
}

impl Debian {
    /// Releases by number and name, as Debian's package distro-info-data has them.
    const RELEASES: &'static [(&'static str, &'static str)] = &[
        ("8", "jessie"),
        ("9", "stretch"),
        ("10", "buster"),
        ("11", "bullseye"),
        ("12", "bookworm"),
        ("13", "trixie"),
        ("14", "forky"),
        ("15", "duke"),
    ];

    /// Of a system that says at least one of them: distroless images leave the name out, testing and unstable have no number.
    fn of(distribution: &Distribution) -> Option<Self> {
        if distribution.id != "debian" {
            return None;
        }
        let (version, codename) = (distribution.version.as_deref(), distribution.codename.as_deref());
        let known = |is_it: &dyn Fn(&(&str, &str)) -> bool| Self::RELEASES.iter().copied().find(is_it);
        let number = version.or_else(|| known(&|(_, name)| Some(*name) == codename).map(|(number, _)| number));
        let name = codename.or_else(|| known(&|(number, _)| Some(*number) == version).map(|(_, name)| name));
        Some(Self {
            ecosystem: format!("Debian:{}", number.or(name)?),
            codename: name.map(str::to_owned),
        })
    }
}

/// The string that follows a name of an object's field, where nothing in it is escaped.
fn string_behind(bytes: &[u8]) -> Option<&str> {
    let rest = bytes.trim_ascii_start().strip_prefix(b":")?;
    let rest = rest.trim_ascii_start().strip_prefix(b"\"")?;
    let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    (rest[end] == b'"').then(|| std::str::from_utf8(&rest[..end]).ok())?
}

/// Distributions name vulnerabilities by the source packages that they build theirs from.
fn source(package: &Package) -> &str {
    match package.ecosystem {
        Ecosystem::Deb | Ecosystem::Apk => package.source.as_deref().unwrap_or(&package.name),
        _ => &package.name,
    }
}

/// A name as it is compared: Python's are the same in capitals and with other separators (PEP 503).
fn normal(ecosystem: Ecosystem, name: &str) -> std::borrow::Cow<'_, str> {
    let is_normal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if ecosystem != Ecosystem::Pypi || (name.chars().all(is_normal) && !name.contains("--")) {
        return name.into();
    }
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase().into()
}

/// What to call packages of an ecosystem that OSV has no name for.
fn without_name(package: &Package, packages: &Packages) -> String {
    let kind = package.ecosystem.name();
    match &packages.distribution {
        None => format!("{kind} of a distribution that does not say its name"),
        Some(Distribution { id, .. }) if matches!(id.as_str(), "debian" | "ubuntu" | "alpine") => {
            format!("{kind} of {id} (os-release does not say which release)")
        }
        Some(Distribution { id, .. }) => format!("{kind} of {id}"),
    }
}

/// What OSV calls the ecosystem of a package; `None` if it has none, or nobody knows of which release the package is.
fn ecosystem(package: &Package, packages: &Packages) -> Option<String> {
    let release = || {
        let distribution = packages.distribution.as_ref()?;
        let version = distribution.version.as_deref();
        match (distribution.id.as_str(), package.ecosystem) {
            ("debian", Ecosystem::Deb) => Debian::of(distribution).map(|debian| debian.ecosystem),
            ("ubuntu", Ecosystem::Deb) => Some(format!("Ubuntu:{}", version?)),
            ("alpine", Ecosystem::Apk) => {
                let mut numbers = version?.split('.');
                Some(format!("Alpine:v{}.{}", numbers.next()?, numbers.next()?))
            }
            ("wolfi", Ecosystem::Apk) => Some("Wolfi".to_owned()),
            ("chainguard", Ecosystem::Apk) => Some("Chainguard".to_owned()),
            _ => None,
        }
    };
    match package.ecosystem {
        Ecosystem::Deb | Ecosystem::Apk => release(),
        // The names that databases have for them are not those of packages everywhere.
        Ecosystem::Rpm => None,
        Ecosystem::Pypi => Some("PyPI".to_owned()),
        Ecosystem::Npm => Some("npm".to_owned()),
        Ecosystem::Gem => Some("RubyGems".to_owned()),
        Ecosystem::Golang => Some("Go".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_python() {
        for (name, expected) in [
            ("requests", "requests"),
            ("Django", "django"),
            ("zope.interface", "zope-interface"),
            ("a__b-.c", "a-b-c"),
        ] {
            assert_eq!(normal(Ecosystem::Pypi, name), expected);
            assert_eq!(normal(Ecosystem::Npm, name), name);
        }
    }

    #[test]
    fn releases_of_debian() {
        for (version, codename, expected) in [
            (Some("12"), Some("bookworm"), Some(("Debian:12", Some("bookworm")))),
            // Distroless.
            (Some("12"), None, Some(("Debian:12", Some("bookworm")))),
            // Testing and unstable.
            (None, Some("forky"), Some(("Debian:14", Some("forky")))),
            (None, Some("later"), Some(("Debian:later", Some("later")))),
            (Some("99"), None, Some(("Debian:99", None))),
            (None, None, None),
        ] {
            let found = Debian::of(&Distribution {
                id: "debian".to_owned(),
                version: version.map(str::to_owned),
                codename: codename.map(str::to_owned),
            });
            let found = found
                .as_ref()
                .map(|debian| (&*debian.ecosystem, debian.codename.as_deref()));
            assert_eq!(found, expected, "{version:?} {codename:?}");
        }
    }

    #[test]
    fn strings_in_json() {
        for (text, expected) in [
            (": \"a\"", Some("a")),
            (":\"\"", Some("")),
            ("\n :\n\"a b\",", Some("a b")),
            (": \"a\\u0062\"", None),
            (": \"a", None),
            (": 5", None),
            ("", None),
        ] {
            assert_eq!(string_behind(text.as_bytes()), expected, "{text:?}");
        }
    }
}
