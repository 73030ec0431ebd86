//! `registries.conf`, version 2 (containers-registries.conf(5)): mirrors, other locations, blocked and
//! insecure registries. Short names and search registries are not used: an image without registry is one
//! of docker.io, as with docker.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kiln_image::Reference;
use serde::Deserialize;

use crate::{Error, host};

/// What all files together say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistriesConf {
    registries: Vec<Registry>,
}

/// One `[[registry]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Registry {
    /// Which images it is for: `host[:port][/path…]`, or `*.domain`; the location where empty.
    #[serde(default)]
    pub prefix: String,
    /// What replaces the prefix; the prefix where empty.
    #[serde(default)]
    pub location: String,
    /// Plain HTTP and unknown certificates are accepted.
    #[serde(default)]
    pub insecure: bool,
    /// Nothing may be pulled from or pushed to it.
    #[serde(default)]
    pub blocked: bool,
    /// Mirrors serve only references with a digest.
    #[serde(default)]
    pub mirror_by_digest_only: bool,
    /// Places to ask before the location, when pulling.
    #[serde(default, rename = "mirror")]
    pub mirrors: Vec<Mirror>,
}

/// One `[[registry.mirror]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Mirror {
    /// What replaces the prefix.
    pub location: String,
    /// Plain HTTP and unknown certificates are accepted.
    #[serde(default)]
    pub insecure: bool,
    /// For which references the mirror is asked.
    #[serde(default)]
    pub pull_from_mirror: PullFromMirror,
}

/// For which references a mirror is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullFromMirror {
    /// For all.
    #[default]
    #[serde(alias = "")]
    All,
    /// For those with a digest.
    DigestOnly,
    /// For those without.
    TagOnly,
}

/// The shape of a file. Keys that are not named here have no meaning for Kiln.
#[derive(Deserialize)]
struct File {
    #[serde(default, rename = "registry")]
    registries: Vec<Registry>,
    /// Version 1.
    #[serde(default, rename = "registries")]
    version_1: Option<Version1>,
}

#[derive(Deserialize)]
struct Version1 {
    #[serde(default)]
    insecure: Version1List,
    #[serde(default)]
    block: Version1List,
}

#[derive(Default, Deserialize)]
struct Version1List {
    #[serde(default)]
    registries: Vec<String>,
}

/// Whether the registry is read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Pull,
    Push,
}

/// One place where an image may be had.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// Host and port as references name them.
    pub(crate) registry: String,
    /// The path within.
    pub(crate) repository: String,
    /// Whether plain HTTP and unknown certificates are accepted.
    pub(crate) insecure: bool,
}

impl RegistriesConf {
    /// Reads `files` and then the `*.conf` files of `drop_ins` in the order of their names. What is missing
    /// is skipped; of entries with the same prefix the last wins.
    pub fn load(files: &[PathBuf], drop_ins: &[PathBuf]) -> Result<Self, Error> {
        let mut all = Self::default();
        let mut paths = files.to_vec();
        for directory in drop_ins {
            paths.extend(drop_in_files(directory)?);
        }
        for path in paths {
            match fs::read_to_string(&path) {
                Ok(text) => all.merge(Self::parse(&text, &path)?),
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(e) => return Err(config_error(&path, format!("cannot be read: {e}"))),
            }
        }
        Ok(all)
    }

    /// Reads the text of one file; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let file: File = toml::from_str(text).map_err(|e| config_error(path, e.to_string()))?;
        let mut registries = file.registries;
        if let Some(old) = file.version_1 {
            registries.extend(old.insecure.registries.into_iter().map(|location| Registry {
                location,
                insecure: true,
                ..Registry::default()
            }));
            registries.extend(old.block.registries.into_iter().map(|location| Registry {
                location,
                blocked: true,
                ..Registry::default()
            }));
        }
        for registry in &mut registries {
            registry.complete().map_err(|reason| config_error(path, reason))?;
        }
        let mut conf = Self::default();
        conf.merge(Self { registries });
        Ok(conf)
    }

    /// Adds what `later` says; its entries replace those with the same prefix.
    pub fn merge(&mut self, later: Self) {
        for registry in later.registries {
            match self.registries.iter_mut().find(|r| r.prefix == registry.prefix) {
                Some(same) => *same = registry,
                None => self.registries.push(registry),
            }
        }
    }

    /// All entries.
    pub fn registries(&self) -> &[Registry] {
        &self.registries
    }

    /// Where to go for `reference`, in order; never empty.
    pub(crate) fn places(&self, reference: &Reference, purpose: Purpose) -> Result<Vec<Place>, Error> {
        let name = format!("{}/{}", reference.registry(), reference.repository());
        let Some((registry, matched)) = self.find(reference, &name) else {
            return Ok(vec![Place {
                registry: reference.registry().to_owned(),
                repository: reference.repository().to_owned(),
                insecure: false,
            }]);
        };
        if registry.blocked {
            return Err(Error::Blocked {
                reference: reference.to_string(),
                prefix: registry.prefix.clone(),
            });
        }
        // A prefix with a tag or digest stands for the whole name.
        let rest = name.get(matched..).unwrap_or_default();
        let place = |location: &str, insecure: bool| {
            let full = if location == registry.prefix || location.is_empty() {
                name.clone()
            } else {
                format!("{location}{rest}")
            };
            let (host, repository) = full.split_once('/').unwrap_or((&full, ""));
            Place {
                registry: host.to_owned(),
                repository: repository.to_owned(),
                insecure,
            }
        };
        let mut places = Vec::new();
        if purpose == Purpose::Pull {
            let serves = |m: &&Mirror| m.serves(reference, registry.mirror_by_digest_only);
            let mirrors = registry.mirrors.iter().filter(serves);
            places.extend(mirrors.map(|m| place(&m.location, m.insecure)));
        }
        places.push(place(&registry.location, registry.insecure));
        Ok(places)
    }

    /// Whether plain HTTP and unknown certificates are accepted from `host` (with port) itself.
    pub(crate) fn is_insecure(&self, host: &str) -> bool {
        self.registries.iter().any(|registry| {
            let own = registry.insecure && host_of(&registry.location) == host;
            let mirrors = registry.mirrors.iter();
            own || mirrors.filter(|m| m.insecure).any(|m| host_of(&m.location) == host)
        })
    }

    /// The entry with the longest prefix that fits, and how much of `name` it covers.
    fn find(&self, reference: &Reference, name: &str) -> Option<(&Registry, usize)> {
        let matches = self.registries.iter().filter_map(|registry| {
            let length = match_prefix(&registry.prefix, reference, name)?;
            Some((registry, length))
        });
        // An exact host beats a wildcard that covers the same length.
        matches.max_by_key(|(registry, length)| (*length, !registry.prefix.starts_with("*.")))
    }
}

impl Registry {
    /// Fills in the defaults and refuses what cannot work.
    fn complete(&mut self) -> Result<(), String> {
        for text in [&mut self.prefix, &mut self.location] {
            clean(text)?;
        }
        if self.prefix.is_empty() {
            self.prefix.clone_from(&self.location);
        }
        if self.prefix.is_empty() {
            return Err("a [[registry]] has neither prefix nor location".to_owned());
        }
        let wildcard = self.prefix.starts_with("*.");
        if self.prefix.contains('*') && !wildcard {
            return Err(format!(
                "prefix `{}`: a wildcard must be `*.` and a domain",
                self.prefix
            ));
        }
        if self.location.is_empty() && !wildcard {
            self.location.clone_from(&self.prefix);
        }
        if self.prefix != self.location && !self.location.is_empty() {
            check_location(&self.location)?;
        }
        for mirror in &mut self.mirrors {
            clean(&mut mirror.location)?;
            check_location(&mirror.location)?;
        }
        Ok(())
    }
}

impl Mirror {
    fn serves(&self, reference: &Reference, digest_only: bool) -> bool {
        let pinned = reference.digest().is_some();
        match self.pull_from_mirror {
            PullFromMirror::All => pinned || !digest_only,
            PullFromMirror::DigestOnly => pinned,
            PullFromMirror::TagOnly => !pinned,
        }
    }
}

fn clean(text: &mut String) -> Result<(), String> {
    if text.contains("://") {
        return Err(format!(
            "`{text}` must not name a scheme; for plain HTTP say insecure = true"
        ));
    }
    *text = text.trim().trim_end_matches('/').to_owned();
    Ok(())
}

fn check_location(location: &str) -> Result<(), String> {
    host::check(host_of(location)).map_err(|e| format!("location: {e}"))?;
    match location.split_once('/') {
        Some((_, path)) if path.contains(['@', ':']) => {
            Err(format!("location `{location}` must not have a tag or digest"))
        }
        _ => Ok(()),
    }
}

fn host_of(location: &str) -> &str {
    location.split('/').next().unwrap_or(location)
}

/// How much of `name` (registry and repository) `prefix` covers, or `None` if it does not fit.
fn match_prefix(prefix: &str, reference: &Reference, name: &str) -> Option<usize> {
    if let Some(domain) = prefix.strip_prefix('*') {
        let host = reference.registry();
        let (bare, _) = host::split(host);
        return (bare.len() > domain.len() && bare.ends_with(domain)).then_some(host.len());
    }
    if let Some(rest) = name.strip_prefix(prefix) {
        return (rest.is_empty() || rest.starts_with('/')).then_some(prefix.len());
    }
    let tag = prefix.strip_prefix(name)?;
    let fits = match (tag.strip_prefix(':'), tag.strip_prefix('@')) {
        (Some(tag), _) => reference.tag() == Some(tag),
        (_, Some(digest)) => reference.digest().is_some_and(|own| own.to_string() == digest),
        _ => false,
    };
    fits.then_some(prefix.len())
}

fn drop_in_files(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let error = |e: io::Error| config_error(directory, format!("cannot be listed: {e}"));
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(e) => return Err(error(e)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(error)?.path();
        if path.extension().is_some_and(|extension| extension == "conf") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn config_error(path: &Path, reason: String) -> Error {
    Error::Config {
        path: path.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"
unqualified-search-registries = ["ignored.example"]
short-name-mode = "enforcing"

[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "127.0.0.1:5000"
insecure = true
[[registry.mirror]]
location = "cache.example/hub"
pull-from-mirror = "digest-only"

[[registry]]
prefix = "docker.io/library"
location = "other.example/base/"

[[registry]]
prefix = "example.com/foo"
insecure = true
location = "internal.example:8443/bar"

[[registry]]
prefix = "*.corp.example"
insecure = true

[[registry]]
prefix = "exact.corp.example"
location = "moved.example"

[[registry]]
location = "bad.example"
blocked = true

[[registry]]
prefix = "pin.example/app:v1"
location = "v1.example/app"

[aliases]
"debian" = "docker.io/library/debian"
"#;

    fn conf(text: &str) -> RegistriesConf {
        RegistriesConf::parse(text, Path::new("registries.conf")).unwrap()
    }

    fn pull(conf: &RegistriesConf, reference: &str) -> Vec<String> {
        let reference: Reference = reference.parse().unwrap();
        let places = conf.places(&reference, Purpose::Pull).unwrap();
        let show = |p: Place| format!("{}/{}{}", p.registry, p.repository, if p.insecure { "!" } else { "" });
        places.into_iter().map(show).collect()
    }

    #[test]
    fn longest_prefix_decides() {
        let conf = conf(TABLE);
        let digest = kiln_image::Digest::of(b"");
        for (reference, places) in [
            ("user/app", vec!["127.0.0.1:5000/user/app!", "docker.io/user/app"]),
            ("debian", vec!["other.example/base/debian"]),
            (
                &format!("user/app@{digest}"),
                vec![
                    "127.0.0.1:5000/user/app!",
                    "cache.example/hub/user/app",
                    "docker.io/user/app",
                ],
            ),
            ("example.com/foo/image:1", vec!["internal.example:8443/bar/image!"]),
            ("example.com/foo", vec!["internal.example:8443/bar!"]),
            ("example.com/foobar", vec!["example.com/foobar"]),
            ("example.com:5000/foo/image", vec!["example.com:5000/foo/image"]),
            ("a.b.corp.example/x", vec!["a.b.corp.example/x!"]),
            ("a.corp.example:5000/x", vec!["a.corp.example:5000/x!"]),
            ("corp.example/x", vec!["corp.example/x"]),
            ("evilcorp.example/x", vec!["evilcorp.example/x"]),
            ("exact.corp.example/x", vec!["moved.example/x"]),
            ("pin.example/app:v1", vec!["v1.example/app"]),
            ("pin.example/app:v2", vec!["pin.example/app"]),
            ("unknown.example/x", vec!["unknown.example/x"]),
        ] {
            assert_eq!(pull(&conf, reference), places, "{reference}");
        }
    }

    #[test]
    fn pushes_go_to_the_location_alone() {
        let reference: Reference = "user/app".parse().unwrap();
        let places = conf(TABLE).places(&reference, Purpose::Push).unwrap();
        assert_eq!(places.len(), 1);
        assert_eq!(places[0].registry, "docker.io");
    }

    #[test]
    fn blocked_is_refused() {
        let reference: Reference = "bad.example/x".parse().unwrap();
        let error = conf(TABLE).places(&reference, Purpose::Pull).unwrap_err();
        assert!(matches!(error, Error::Blocked { .. }));
    }

    #[test]
    fn insecure_hosts() {
        let conf = conf(TABLE);
        assert!(conf.is_insecure("127.0.0.1:5000"));
        assert!(conf.is_insecure("internal.example:8443"));
        assert!(!conf.is_insecure("docker.io"));
    }

    #[test]
    fn refuses_what_cannot_work() {
        for (text, word) in [
            ("[[registry]]\n", "neither prefix nor location"),
            ("[[registry]]\nlocation = \"http://a\"\n", "scheme"),
            (
                "[[registry]]\nprefix = \"a\"\nlocation = \"b c\"\n",
                "names no registry",
            ),
            ("[[registry]]\nprefix = \"a\"\nlocation = \"b/c:1\"\n", "tag or digest"),
            ("[[registry]]\nprefix = \"*example.com\"\n", "wildcard"),
            ("registry = 1\n", "registries.conf"),
            (
                "[[registry]]\nlocation = \"a\"\n[[registry.mirror]]\ninsecure = true\n",
                "location",
            ),
        ] {
            let error = RegistriesConf::parse(text, Path::new("registries.conf")).unwrap_err();
            assert!(error.to_string().contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn version_1_is_understood() {
        let conf = conf(
            "[registries.search]\nregistries = ['x']\n[registries.insecure]\nregistries = ['a:5000']\n[registries.block]\nregistries = ['b']\n",
        );
        assert!(conf.is_insecure("a:5000"));
        assert!(conf.registries()[1].blocked);
    }

    #[test]
    fn drop_ins_override_by_prefix() {
        let directory = tempfile::tempdir().unwrap();
        let main = directory.path().join("registries.conf");
        let drop_ins = directory.path().join("registries.conf.d");
        fs::create_dir(&drop_ins).unwrap();
        fs::write(
            &main,
            "[[registry]]\nlocation = 'a'\ninsecure = true\n[[registry]]\nlocation = 'b'\n",
        )
        .unwrap();
        fs::write(
            drop_ins.join("10-x.conf"),
            "[[registry]]\nprefix = 'a'\nlocation = 'c'\n",
        )
        .unwrap();
        fs::write(
            drop_ins.join("20-x.conf"),
            "[[registry]]\nprefix = 'a'\nlocation = 'd'\n",
        )
        .unwrap();
        fs::write(drop_ins.join("30-x.txt"), "not toml").unwrap();
        let missing = directory.path().join("missing");
        let conf = RegistriesConf::load(&[main, missing.clone()], &[drop_ins, missing]).unwrap();
        let shown: Vec<_> = conf
            .registries()
            .iter()
            .map(|r| (r.prefix.as_str(), r.location.as_str()))
            .collect();
        assert_eq!(shown, [("a", "d"), ("b", "b")]);
    }
}
