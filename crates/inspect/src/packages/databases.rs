//! Lists of packages that systems keep: dpkg's, and what distroless images have in its place; apk's; rpm's.

use std::collections::HashMap;

use super::{Ecosystem, LARGEST_DATABASE, LARGEST_FILE, Package, Packages, each, is_cut, is_file, rpm, word};
use crate::error::Error;
use crate::image::Image;
use crate::index::{Kind, LARGEST_COPYRIGHT, LayerIndex};
use crate::licenses;
use crate::tree::{Place, Tree};

/// What a list has, and why that is not all, if it is not.
pub(crate) type Listed = (Vec<Package>, Option<&'static str>);

type Parse = fn(&[u8]) -> Listed;

const LISTS: &[(&str, Parse)] = &[
    ("var/lib/dpkg/status", |text| {
        (dpkg(&String::from_utf8_lossy(text)), None)
    }),
    ("lib/apk/db/installed", |text| {
        (apk(&String::from_utf8_lossy(text)), None)
    }),
    ("usr/lib/apk/db/installed", |text| {
        (apk(&String::from_utf8_lossy(text)), None)
    }),
    ("usr/lib/sysimage/rpm/rpmdb.sqlite", rpm::sqlite),
    ("var/lib/rpm/rpmdb.sqlite", rpm::sqlite),
];

/// A file for each package, in the format of dpkg's list.
const DIRECTORY: &[u8] = b"var/lib/dpkg/status.d";

pub(super) fn read(image: &Image, tree: &Tree<'_>, found: &mut Packages) -> Result<(), Error> {
    let mut seen = Vec::new();
    for (path, parse) in LISTS {
        if let Some((node, _)) = tree.file(path.as_bytes())
            && !seen.contains(&node)
        {
            seen.push(node);
            list(image, tree, &tree.path(node), *parse, found)?;
        }
    }
    directory(image, tree, found)
}

/// Debian's packages say what their licenses are in a file each, which several may share.
pub(super) fn copyrights(image: &Image, tree: &Tree<'_>, found: &mut Packages) -> Result<(), Error> {
    let mut places: Vec<Place> = Vec::new();
    let mut numbers: HashMap<u32, usize> = HashMap::new();
    let mut of_packages = Vec::new();
    let debian = found.packages.iter().enumerate();
    for (package, named) in debian.filter(|(_, package)| package.ecosystem == Ecosystem::Deb) {
        // A name that leads elsewhere leads to nothing but another file of the image.
        let path = format!("usr/share/doc/{}/copyright", named.name);
        let Some((node, place)) = tree.file(path.as_bytes()) else {
            continue;
        };
        let number = *numbers.entry(node).or_insert_with(|| {
            places.push(place);
            places.len() - 1
        });
        of_packages.push((package, number));
    }
    let mut licenses = vec![(Vec::new(), false); places.len()];
    let mut unread = Vec::new();
    for (number, place) in places.iter().enumerate() {
        match image.kept_licenses(*place) {
            Some(kept) => licenses[number] = (kept, false),
            None => unread.push((number, *place)),
        }
    }
    let (numbers, places): (Vec<usize>, Vec<Place>) = unread.into_iter().unzip();
    each(image, &places, LARGEST_COPYRIGHT, |number, text| {
        let (names, has_more) = licenses::of_copyright(&String::from_utf8_lossy(text));
        // The rest of what is too large may have others.
        let has_more = has_more || is_cut(text, LARGEST_COPYRIGHT).is_some();
        licenses[numbers[number]] = (names, has_more);
    })?;
    for (package, number) in of_packages {
        let package = &mut found.packages[package];
        let (names, has_more) = &licenses[number];
        package.licenses.clone_from(names);
        package.may_have_more_licenses = *has_more;
    }
    Ok(())
}

/// A list in all layers that have one: a package is of the layer from which on every list has it.
fn list(image: &Image, tree: &Tree<'_>, path: &[u8], parse: Parse, found: &mut Packages) -> Result<(), Error> {
    let mut packages: HashMap<(String, String, Option<String>), Package> = HashMap::new();
    let mut unread = None;
    for (layer, index) in (0..).zip(image.indexes()) {
        let Some(entry) = find(index, path) else { continue };
        match index.entry(entry).kind {
            Kind::File => {}
            Kind::Whiteout => {
                packages.clear();
                unread = None;
                continue;
            }
            _ => continue,
        }
        let text = image.read_file(tree, Place { layer, entry }, LARGEST_DATABASE + 1)?;
        let (listed, why) = parse(&text);
        unread = is_cut(&text, LARGEST_DATABASE).or(why);
        let mut now = HashMap::new();
        for mut package in listed {
            let key = (
                package.name.clone(),
                package.version.clone(),
                package.architecture.clone(),
            );
            package.layer = packages.get(&key).map_or(layer, |known| known.layer);
            package.path = path.to_vec();
            now.insert(key, package);
        }
        packages = now;
    }
    found.packages.extend(packages.into_values());
    found.unread.extend(unread.map(|why| (path.to_vec(), why)));
    let log = [path, b"-wal"].concat();
    if path.ends_with(b".sqlite") && tree.file(&log).is_some_and(|(_, place)| tree.entry(place).size > 0) {
        found.unread.push((log, rpm::LOG));
    }
    Ok(())
}

/// The entry of a path in a layer.
fn find(index: &LayerIndex, path: &[u8]) -> Option<u32> {
    path.split(|byte| *byte == b'/').try_fold(0, |directory, name| {
        let mut entries = (0..).zip(index.entries()).skip(1);
        entries
            .find(|(_, entry)| entry.parent == directory && index.name(entry) == name)
            .map(|(number, _)| number)
    })
}

fn directory(image: &Image, tree: &Tree<'_>, found: &mut Packages) -> Result<(), Error> {
    let Ok(directory) = tree.resolve(0, DIRECTORY) else {
        return Ok(());
    };
    let is_list = |name: &[u8]| !name.ends_with(b".md5sums");
    let files: Vec<(u32, Place)> = tree
        .children(directory.node)
        .filter(|(name, _, place)| is_list(name) && is_file(tree, *place))
        .map(|(_, node, place)| (node, place))
        .collect();
    let places: Vec<Place> = files.iter().map(|(_, place)| *place).collect();
    let mut unread = Vec::new();
    each(image, &places, LARGEST_FILE, |number, text| {
        let path = || tree.path(files[number].0);
        unread.extend(is_cut(text, LARGEST_FILE).map(|why| (path(), why)));
        for mut package in dpkg(&String::from_utf8_lossy(text)) {
            package.layer = places[number].layer;
            package.path = path();
            found.packages.push(package);
        }
    })?;
    found.unread.extend(unread);
    Ok(())
}

/// Stanzas of `Name: value` (deb-control(5)). What is not installed, or removed but for its configuration, is left out; what
/// dpkg unpacked and did not set up is there (dpkg(1), "Package states").
fn dpkg(text: &str) -> Vec<Package> {
    let mut packages = Vec::new();
    for stanza in stanzas(text) {
        let field = |name: &str| {
            let value = |line: &'_ str| -> Option<String> {
                let (field, value) = line.split_once(':')?;
                field.eq_ignore_ascii_case(name).then(|| word(value)).flatten()
            };
            stanza.iter().find_map(|line| value(line))
        };
        // Without a status it is one of those that have a file each.
        let is_there =
            |status: &str| !matches!(status.split_whitespace().nth(2), Some("not-installed" | "config-files"));
        let is_installed = field("Status").is_none_or(|status| is_there(&status));
        let (Some(name), Some(version), true) = (field("Package"), field("Version"), is_installed) else {
            continue;
        };
        let kibibytes = field("Installed-Size").and_then(|size| size.parse::<u64>().ok());
        let source = field("Source");
        let mut source = source.iter().flat_map(|source| source.split_whitespace());
        let (source, of_source) = (source.next().map(str::to_owned), source.next());
        // `glibc (2.36-9)`, where the package was built from that again, or has a version of its own.
        let of_source = of_source.and_then(|version| version.strip_prefix('(')?.strip_suffix(')'));
        packages.push(Package {
            source_version: of_source.filter(|of_source| *of_source != version).map(str::to_owned),
            source: source.filter(|source| *source != name),
            architecture: field("Architecture"),
            bytes: kibibytes.and_then(|size| size.checked_mul(1024)),
            ..Package::new(Ecosystem::Deb, name, version)
        });
    }
    packages
}

/// Stanzas of `L:value` with letters for names (apk's database, version 2).
fn apk(text: &str) -> Vec<Package> {
    let mut packages = Vec::new();
    for stanza in stanzas(text) {
        let field = |letter: char| {
            let value =
                |line: &'_ str| -> Option<String> { line.strip_prefix(letter)?.strip_prefix(':').and_then(word) };
            stanza.iter().find_map(|line| value(line))
        };
        let (Some(name), Some(version)) = (field('P'), field('V')) else {
            continue;
        };
        packages.push(Package {
            source: field('o').filter(|origin| *origin != name),
            architecture: field('A'),
            licenses: field('L').and_then(|text| licenses::named(&text)).into_iter().collect(),
            bytes: field('I').and_then(|size| size.parse().ok()),
            ..Package::new(Ecosystem::Apk, name, version)
        });
    }
    packages
}

/// Lines up to an empty one.
fn stanzas(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let mut lines = text.lines();
    std::iter::from_fn(move || {
        let mut stanza = Vec::new();
        for line in lines.by_ref() {
            if !line.trim().is_empty() {
                stanza.push(line);
            } else if !stanza.is_empty() {
                return Some(stanza);
            }
        }
        (!stanza.is_empty()).then_some(stanza)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_dpkg() {
        let text = "\
Package: libc6
Status: install ok installed
Installed-Size: 13
Architecture: amd64
Source: glibc (2.36-9)
Version: 2.36-9+deb12u4
Description: the library
 Version: of nothing

Package: gone
Status: deinstall ok config-files
Version: 1

Package: unconfigured
Status: install ok half-configured
Version: 2

Package: purged
Status: purge ok not-installed
Version: 3

Package: held
Status: hold ok installed
Version: 1:2-3
Architecture: all


package: lower
version: 5
Package: second
";
        let found: Vec<_> = dpkg(text)
            .into_iter()
            .map(|package| (package.name, package.version, package.source, package.bytes))
            .collect();
        let row = |name: &str, version: &str, source: Option<&str>, bytes| {
            (name.to_owned(), version.to_owned(), source.map(str::to_owned), bytes)
        };
        assert_eq!(
            found,
            [
                row("libc6", "2.36-9+deb12u4", Some("glibc"), Some(13 << 10)),
                row("unconfigured", "2", None, None),
                row("held", "1:2-3", None, None),
                row("lower", "5", None, None),
            ]
        );
        for text in [
            "",
            "\n\n",
            "Package",
            "Package: a",
            "Package: a\nVersion: \u{1b}[2J\n",
            "\u{fffd}",
        ] {
            assert_eq!(dpkg(text), [], "{text:?}");
        }
    }

    #[test]
    fn lists_of_apk() {
        let text =
            "C:Q1abc=\nP:musl\nV:1.2.4-r2\nA:x86_64\nI:634880\no:musl\n\nP:musl-utils\nV:1.2.4-r2\nA:x86_64\no:musl\n";
        let found: Vec<_> = apk(text)
            .into_iter()
            .map(|package| (package.name, package.source, package.bytes))
            .collect();
        let row = |name: &str, source: Option<&str>, bytes| (name.to_owned(), source.map(str::to_owned), bytes);
        assert_eq!(
            found,
            [row("musl", None, Some(634_880)), row("musl-utils", Some("musl"), None)]
        );
        assert_eq!(apk("P:\nV:1\n"), []);
    }
}
