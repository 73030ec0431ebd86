//! Packages of an image: what package managers of systems and languages write down of what they installed, and what Go's
//! linker writes into programs.
//!
//! All of it is foreign: texts are read up to a limit, and what makes no sense is left out or named in
//! [`Packages::unread`].

mod change;
mod databases;
mod files;
mod programs;
pub(crate) mod rpm;
mod version;

use std::collections::HashMap;

pub(crate) use files::is_read;

pub use change::{Outcome, PackageChange, changes};
pub use version::compare;

use crate::error::Error;
use crate::image::{Image, Piece};
use crate::index::Kind;
use crate::tree::{Place, Tree};

/// What a package is of. The names are those of package URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ecosystem {
    /// Debian's and its relatives'.
    Deb,
    /// Alpine's and its relatives'.
    Apk,
    /// Of Fedora, Red Hat, SUSE and their relatives.
    Rpm,
    /// Of Python.
    Pypi,
    /// Of Node.
    Npm,
    /// Of Ruby.
    Gem,
    /// Modules that a Go program is linked from, and the language itself (`stdlib`).
    Golang,
}

impl Ecosystem {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Deb,
        Self::Apk,
        Self::Rpm,
        Self::Pypi,
        Self::Npm,
        Self::Gem,
        Self::Golang,
    ];

    /// Its type in package URLs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::Apk => "apk",
            Self::Rpm => "rpm",
            Self::Pypi => "pypi",
            Self::Npm => "npm",
            Self::Gem => "gem",
            Self::Golang => "golang",
        }
    }
}

/// A package that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// What it is of.
    pub ecosystem: Ecosystem,
    /// Its name.
    pub name: String,
    /// Its version; empty if none is said.
    pub version: String,
    /// For which machines, where that is said.
    pub architecture: Option<String>,
    /// The source package that it was built from, where that has another name.
    pub source: Option<String>,
    /// The version of that source package, where it is another one.
    pub source_version: Option<String>,
    /// Its licenses, as expressions of SPDX where it names them so that one can tell; all of them apply. Empty if they are
    /// not known, or nobody asked ([`Packages::with_licenses`]).
    pub licenses: Vec<String>,
    /// Whether there may be others besides: what says them is larger, or has more of them, than what is read.
    pub may_have_more_licenses: bool,
    /// Bytes that it takes, as its package manager says or as its files are; `None` if nobody knows.
    pub bytes: Option<u64>,
    /// The layer that brought this version, the lowest is 0.
    pub layer: u32,
    /// The file that says that it is there, without a slash before its path.
    pub path: Vec<u8>,
}

impl Package {
    /// One of which no more is known yet.
    pub fn new(ecosystem: Ecosystem, name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            ecosystem,
            name: name.into(),
            version: version.into(),
            architecture: None,
            source: None,
            source_version: None,
            licenses: Vec::new(),
            may_have_more_licenses: false,
            bytes: None,
            layer: 0,
            path: Vec::new(),
        }
    }
}

impl Package {
    /// Whether its version is one by the rules of its ecosystem, so that it can be told whether it is newer than another.
    pub fn has_comparable_version(&self) -> bool {
        let version = self.known_version();
        compare(self.ecosystem, version, version).is_some()
    }

    /// The version that databases mean: of the source package where that has another one.
    pub(crate) fn known_version(&self) -> &str {
        self.source_version.as_deref().unwrap_or(&self.version)
    }
}

/// What is known of an image's packages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packages {
    /// By ecosystem and name.
    pub packages: Vec<Package>,
    /// The system, as it calls itself in `os-release`.
    pub system: Option<String>,
    /// The system, for programs.
    pub distribution: Option<Distribution>,
    /// Files that would say more and cannot be read, and why.
    pub unread: Vec<(Vec<u8>, &'static str)>,
}

/// Which system it is (os-release(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// `ID`: `debian`, `alpine`.
    pub id: String,
    /// `VERSION_ID`: `12`, `3.19.1`; a system that is always the newest has none.
    pub version: Option<String>,
    /// `VERSION_CODENAME`: `bookworm`.
    pub codename: Option<String>,
}

/// A list of packages of a system is not larger: Debian's with everything has 100 MB.
const LARGEST_DATABASE: u64 = 128 << 20;

/// More of a file that describes one package is not read.
const LARGEST_FILE: u64 = 1 << 20;

const BERKELEY: &str = "a database of rpm in the format of Berkeley DB, of which only those of SQLite are read";
const NDB: &str = "a database of rpm in the format ndb, of which only those of SQLite are read";

const MANIFEST: &str = "a list of rpm's packages in an image without rpm, which is not read";
const PACMAN: &str = "a database of pacman, which is not read";
const OPKG: &str = "a list of opkg's packages, which is not read";
const NIX: &str = "a database of Nix, which is not read";
const XBPS: &str = "a database of XBPS, which is not read";
const PORTAGE: &str = "a list of Portage's packages, which is not read";

/// Databases that nothing here reads: an image that has one has packages that are not known.
const FOREIGN: &[(&str, &str)] = &[
    ("var/lib/rpm/Packages", BERKELEY),
    ("usr/lib/sysimage/rpm/Packages", BERKELEY),
    ("var/lib/rpm/Packages.db", NDB),
    ("usr/lib/sysimage/rpm/Packages.db", NDB),
    ("var/lib/rpmmanifest/container-manifest-1", MANIFEST),
    ("var/lib/rpmmanifest/container-manifest-2", MANIFEST),
    ("var/lib/pacman/local/ALPM_DB_VERSION", PACMAN),
    ("usr/lib/opkg/status", OPKG),
    ("var/lib/opkg/status", OPKG),
    ("nix/var/nix/db/db.sqlite", NIX),
    ("var/db/xbps/pkgdb-0.38.plist", XBPS),
    ("var/lib/portage/world", PORTAGE),
];

impl Packages {
    /// Looks for the packages of an image. The licenses of Debian's are not among it: [`Self::with_licenses`].
    pub fn of(image: &Image, tree: &Tree<'_>) -> Result<Self, Error> {
        let mut found = Self::of_system(image, tree)?;
        files::read(image, tree, &mut found)?;
        programs::read(image, tree, &mut found)?;
        Ok(found.sorted())
    }

    /// Adds the licenses of Debian's packages, which are in a file of each. Those of others are known already.
    pub fn with_licenses(mut self, image: &Image, tree: &Tree<'_>) -> Result<Self, Error> {
        databases::copyrights(image, tree, &mut self)?;
        Ok(self)
    }

    /// Looks for those that the system's own package manager installed.
    pub fn of_system(image: &Image, tree: &Tree<'_>) -> Result<Self, Error> {
        let (system, distribution) = system(image, tree)?;
        let mut found = Self {
            system,
            distribution,
            ..Self::default()
        };
        databases::read(image, tree, &mut found)?;
        let mut seen = Vec::new();
        for (path, why) in FOREIGN {
            // One directory of rpm's may be a link to the other.
            if let Some((node, _)) = tree.file(path.as_bytes())
                && !seen.contains(&node)
            {
                seen.push(node);
                found.unread.push((path.as_bytes().to_vec(), why));
            }
        }
        Ok(found.sorted())
    }

    fn sorted(mut self) -> Self {
        let key = |package: &Package| {
            (
                package.ecosystem,
                package.name.clone(),
                package.version.clone(),
                package.path.clone(),
            )
        };
        self.packages.sort_by_cached_key(key);
        self.packages
            .dedup_by(|a, b| key(a) == key(b) && a.architecture == b.architecture);
        self
    }
}

/// How the system calls itself, for people and for programs.
fn system(image: &Image, tree: &Tree<'_>) -> Result<(Option<String>, Option<Distribution>), Error> {
    let paths: [&[u8]; 2] = [b"etc/os-release", b"usr/lib/os-release"];
    let Some((_, place)) = paths.iter().find_map(|path| tree.file(path)) else {
        return Ok((None, None));
    };
    let text = image.read_file(tree, place, LARGEST_FILE)?;
    let text = String::from_utf8_lossy(&text);
    let value = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        let value = line.trim().trim_matches(['"', '\'']).to_owned();
        (!value.is_empty()).then_some(value)
    };
    let distribution = value("ID").map(|id| Distribution {
        id,
        version: value("VERSION_ID"),
        codename: value("VERSION_CODENAME"),
    });
    Ok((value("PRETTY_NAME").or_else(|| value("NAME")), distribution))
}

/// Gives each of some files to `read`, one after the other, with its number: no more of one than `limit` bytes, and another
/// one of what is larger, so that [`is_cut`] knows it.
fn each(image: &Image, places: &[Place], limit: u64, mut read: impl FnMut(usize, &[u8]) + Send) -> Result<(), Error> {
    let mut current: Option<usize> = None;
    let mut bytes = Vec::new();
    image.read_files(places, limit + 1, &mut |number, piece| match piece {
        Piece::Begin => {
            if let Some(number) = current.replace(number) {
                read(number, &bytes);
            }
            bytes.clear();
        }
        Piece::Bytes(piece) => bytes.extend_from_slice(piece),
    })?;
    if let Some(number) = current {
        read(number, &bytes);
    }
    Ok(())
}

/// Bytes of the files that are below each of some directories of the tree, but not below another of them in it.
fn bytes_below(tree: &Tree<'_>, directories: &HashMap<u32, usize>) -> HashMap<usize, u64> {
    let mut sums = HashMap::new();
    if directories.is_empty() {
        return sums;
    }
    for (node, _, entry) in tree.live_files() {
        let mut at = node;
        while at != 0 {
            at = tree.parent(at);
            if let Some(number) = directories.get(&at) {
                *sums.entry(*number).or_default() += entry.size;
                break;
            }
        }
    }
    sums
}

/// Why not all of a file is known of which no more than `limit` bytes count, if so.
const fn is_cut(text: &[u8], limit: u64) -> Option<&'static str> {
    if text.len() as u64 > limit {
        Some("it is larger than what is read of such a file")
    } else {
        None
    }
}

/// Whether there is a regular file at a place.
fn is_file(tree: &Tree<'_>, place: Place) -> bool {
    tree.entry(place).kind == Kind::File
}

/// Text that is one word of a list: without control characters, and not longer than any name is.
fn word(text: &str) -> Option<String> {
    const LONGEST: usize = 512;
    let text = text.trim();
    let is_fit = !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control);
    is_fit.then(|| text.to_owned())
}
