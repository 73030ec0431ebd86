//! Files that describe a package each: of Python, Node and Ruby.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Ecosystem, LARGEST_FILE, Package, Packages, bytes_below, each, is_cut, is_file, word};
use crate::error::Error;
use crate::image::Image;
use crate::licenses;
use crate::tree::{Place, Tree};

/// A file that may describe a package.
struct Candidate {
    ecosystem: Ecosystem,
    place: Place,
    path: Vec<u8>,
    /// The directory that has the package's files and nothing else, if there is one.
    directory: Option<u32>,
}

pub(super) fn read(image: &Image, tree: &Tree<'_>, found: &mut Packages) -> Result<(), Error> {
    let candidates: Vec<Candidate> = tree
        .live()
        .filter(|(_, place)| is_file(tree, *place))
        .filter_map(|(node, place)| candidate(tree, node, place))
        .collect();
    let places: Vec<Place> = candidates.iter().map(|candidate| candidate.place).collect();
    let first = found.packages.len();
    let mut directories = HashMap::new();
    each(image, &places, LARGEST_FILE, |number, text| {
        let candidate = &candidates[number];
        let parsed = match candidate.ecosystem {
            Ecosystem::Npm => npm(text),
            Ecosystem::Gem => gem(&String::from_utf8_lossy(text)),
            _ => python(&String::from_utf8_lossy(text)),
        };
        let Some(parsed) = parsed else {
            let why = is_cut(text, LARGEST_FILE);
            found.unread.extend(why.map(|why| (candidate.path.clone(), why)));
            return;
        };
        if let Some(directory) = candidate.directory {
            directories.insert(directory, found.packages.len());
        }
        found.packages.push(Package {
            layer: candidate.place.layer,
            path: candidate.path.clone(),
            ..parsed
        });
    })?;
    for (number, bytes) in bytes_below(tree, &directories) {
        found.packages[number].bytes = Some(bytes);
    }
    let records: Vec<usize> = (first..found.packages.len())
        .filter(|number| found.packages[*number].ecosystem == Ecosystem::Pypi)
        .collect();
    python_sizes(image, tree, &records, found)
}

fn candidate(tree: &Tree<'_>, node: u32, place: Place) -> Option<Candidate> {
    let layer = &tree.layers()[place.layer as usize];
    let name = layer.name(layer.entry(place.entry));
    // Most names need no path.
    if !may_describe(name) {
        return None;
    }
    let path = tree.path(node);
    let ecosystem = described(&path)?;
    let directory = match ecosystem {
        Ecosystem::Npm => Some(tree.parent(node)),
        Ecosystem::Gem => gem_directory(tree, node, name),
        _ => None,
    };
    Some(Candidate {
        ecosystem,
        place,
        path,
        directory,
    })
}

fn may_describe(name: &[u8]) -> bool {
    matches!(name, b"METADATA" | b"PKG-INFO" | b"package.json")
        || name.ends_with(b".egg-info")
        || name.ends_with(b".gemspec")
}

/// What a file describes a package of, by its path.
fn described(path: &[u8]) -> Option<Ecosystem> {
    let names: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    match &names[..] {
        [.., info, b"METADATA"] if info.ends_with(b".dist-info") => Some(Ecosystem::Pypi),
        [.., info, b"PKG-INFO"] if info.ends_with(b".egg-info") => Some(Ecosystem::Pypi),
        [.., b"site-packages" | b"dist-packages", file] if file.ends_with(b".egg-info") => Some(Ecosystem::Pypi),
        [.., b"node_modules", _, b"package.json"] => Some(Ecosystem::Npm),
        [.., b"node_modules", scope, _, b"package.json"] if scope.starts_with(b"@") => Some(Ecosystem::Npm),
        [.., b"specifications", file] | [.., b"specifications", b"default", file] if file.ends_with(b".gemspec") => {
            Some(Ecosystem::Gem)
        }
        _ => None,
    }
}

/// Whether [`read`] would look into a file of that path.
pub(crate) fn is_read(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    let is_record = name == b"RECORD" && path.ends_with(b".dist-info/RECORD");
    is_record || (may_describe(name) && described(path).is_some())
}

/// Fields of the core metadata, up to the first empty line.
fn python(text: &str) -> Option<Package> {
    let field = |name: &str| {
        let mut lines = text.lines().take_while(|line| !line.trim().is_empty());
        lines.find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| word(value)).flatten()
        })
    };
    Some(Package {
        licenses: python_license(text).into_iter().collect(),
        ..Package::new(Ecosystem::Pypi, field("Name")?, field("Version")?)
    })
}

/// An expression (since metadata 2.4), else what the classifiers say, else what the author wrote, which may be anything.
fn python_license(text: &str) -> Option<String> {
    let fields = || {
        let lines = text.lines().take_while(|line| !line.trim().is_empty());
        lines.filter_map(|line| line.split_once(':'))
    };
    let value = |name: &str| {
        let mut named = fields().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.find_map(|(_, value)| licenses::named(value))
    };
    let classified = || {
        let classifiers = fields().filter(|(field, _)| field.eq_ignore_ascii_case("Classifier"));
        licenses::of_classifiers(classifiers.map(|(_, value)| value)).map(str::to_owned)
    };
    value("License-Expression")
        .or_else(classified)
        .or_else(|| value("License"))
}

/// Wheels say in RECORD which files they have, and how large each is.
fn python_sizes(image: &Image, tree: &Tree<'_>, packages: &[usize], found: &mut Packages) -> Result<(), Error> {
    let record = |number: &usize| {
        let path = found.packages[*number].path.strip_suffix(b"METADATA")?;
        let (_, place) = tree.file(&[path, b"RECORD"].concat())?;
        Some((*number, place))
    };
    let records: Vec<(usize, Place)> = packages.iter().filter_map(record).collect();
    let places: Vec<Place> = records.iter().map(|(_, place)| *place).collect();
    each(image, &places, 8 * LARGEST_FILE, |at, text| {
        let text = String::from_utf8_lossy(text);
        // `path,hash,size`; a path may have commas, and then quotes.
        let sizes = text
            .lines()
            .filter_map(|line| line.rsplit(',').next()?.trim().parse::<u64>().ok());
        let bytes = sizes.fold(0, u64::saturating_add);
        found.packages[records[at].0].bytes = Some(bytes);
    })
}

/// `package.json`. One without a version is no package that somebody installed.
fn npm(text: &[u8]) -> Option<Package> {
    #[derive(Deserialize)]
    struct Manifest {
        name: String,
        version: String,
        #[serde(default)]
        license: Value,
        #[serde(default)]
        licenses: Value,
    }
    // Node skips the mark of the order of bytes that editors leave.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let manifest: Manifest = serde_json::from_slice(text).ok()?;
    let license = npm_license(&manifest.license).or_else(|| npm_license(&manifest.licenses));
    Some(Package {
        licenses: license.into_iter().collect(),
        ..Package::new(Ecosystem::Npm, word(&manifest.name)?, word(&manifest.version)?)
    })
}

/// An expression, or as packages had it before: an object with a type, or several of which one will do.
fn npm_license(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => licenses::named(text),
        Value::Object(object) => licenses::named(object.get("type")?.as_str()?),
        Value::Array(all) => {
            let all: Option<Vec<String>> = all.iter().map(npm_license).collect();
            licenses::named(&all?.join(" OR "))
        }
        _ => None,
    }
}

/// What `gem` writes when it installs: Ruby, of a form that does not change.
fn gem(text: &str) -> Option<Package> {
    let field = |name: &str| {
        let value = |line: &str| {
            let rest = line.trim_start().strip_prefix("s.")?.strip_prefix(name)?;
            let rest = rest.trim_start().strip_prefix('=')?.trim_start();
            let rest = rest.strip_prefix("Gem::Version.new(").unwrap_or(rest);
            let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
            word(rest[1..].split(quote).next()?)
        };
        text.lines().find_map(value)
    };
    Some(Package {
        licenses: gem_licenses(text),
        architecture: field("platform").filter(|platform| platform != "ruby"),
        ..Package::new(Ecosystem::Gem, field("name")?, field("version")?)
    })
}

/// `s.licenses = ["Ruby".freeze, "BSD-2-Clause".freeze]`. Whether of several one will do is not said: all count.
fn gem_licenses(text: &str) -> Vec<String> {
    let list = text.lines().find_map(|line| {
        let rest = line.trim_start().strip_prefix("s.license")?;
        rest.trim_start_matches('s').trim_start().strip_prefix('=')
    });
    let quoted = list.unwrap_or_default().split(['"', '\'']).skip(1).step_by(2);
    quoted.filter_map(licenses::named).collect()
}

/// The files of a gem are beside its specification. Those of a default gem are among Ruby's own.
fn gem_directory(tree: &Tree<'_>, node: u32, file: &[u8]) -> Option<u32> {
    let home = tree.parent(tree.parent(node));
    let path = [b"gems/", file.strip_suffix(b".gemspec")?].concat();
    Some(tree.resolve(home, &path).ok()?.node)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(package: Option<Package>) -> Option<(String, String)> {
        package.map(|package| (package.name, package.version))
    }

    fn expected(name: &str, version: &str) -> (String, String) {
        (name.to_owned(), version.to_owned())
    }

    #[test]
    fn python_says() {
        let text = "Metadata-Version: 2.1\nName: requests\nVersion: 2.31.0\n\nName: other\n";
        assert_eq!(row(python(text)), Some(expected("requests", "2.31.0")));
        for text in ["", "Name: a", "\nName: a\nVersion: 1\n", "Name:\nVersion: 1"] {
            assert_eq!(python(text), None, "{text:?}");
        }
    }

    #[test]
    fn node_says() {
        let text = br#"{"name": "@a/b", "version": "1.2.3", "main": "x.js", "deep": {"version": 5}}"#;
        assert_eq!(row(npm(text)), Some(expected("@a/b", "1.2.3")));
        assert_eq!(
            row(npm(&[b"\xef\xbb\xbf", &text[..]].concat())),
            Some(expected("@a/b", "1.2.3"))
        );
        let deep = format!("{{\"name\":\"a\",\"version\":\"1\",\"x\":{}", "[".repeat(100_000));
        for text in [
            &b""[..],
            b"{}",
            br#"{"name": "a"}"#,
            br#"{"name": 5, "version": "1"}"#,
            deep.as_bytes(),
        ] {
            assert_eq!(npm(text), None);
        }
    }

    #[test]
    fn licenses_of_python() {
        for (fields, expected) in [
            (
                "License-Expression: MIT OR Apache-2.0\nLicense: other",
                Some("MIT OR Apache-2.0"),
            ),
            (
                "License: BSD\nClassifier: License :: OSI Approved :: MIT License",
                Some("MIT"),
            ),
            (
                "License: Apache 2.0\nClassifier: License :: OSI Approved",
                Some("Apache-2.0"),
            ),
            (
                "Classifier: License :: OSI Approved :: MIT License\nClassifier: License :: OSI Approved :: ISC License (ISCL)",
                None,
            ),
            (
                "Classifier: License :: OSI Approved :: MIT License\nClassifier: License :: OSI Approved :: GNU General Public License (GPL)",
                None,
            ),
            ("License: GNU General Public License v3", Some("GPL-3.0-only")),
            (
                "License: GNU Lesser General Public License v2.1 or later",
                Some("LGPL-2.1-or-later"),
            ),
            ("License: UNKNOWN", None),
            ("\nLicense: MIT", None),
        ] {
            assert_eq!(
                python_license(&format!("Name: a\n{fields}\n")).as_deref(),
                expected,
                "{fields}"
            );
        }
    }

    #[test]
    fn licenses_of_node_and_ruby() {
        for (fields, expected) in [
            (r#""license": "MIT""#, Some("MIT")),
            (r#""license": "(MIT OR GPL-3.0)""#, Some("MIT OR GPL-3.0-only")),
            (r#""license": {"type": "ISC", "url": "x"}"#, Some("ISC")),
            (
                r#""licenses": [{"type": "MIT"}, {"type": "GPL-2.0"}]"#,
                Some("MIT OR GPL-2.0-only"),
            ),
            (r#""license": "SEE LICENSE IN x""#, None),
            (r#""license": 5, "licenses": [5]"#, None),
        ] {
            let text = format!(r#"{{"name": "a", "version": "1", {fields}}}"#);
            assert_eq!(
                npm(text.as_bytes()).unwrap().licenses.first().map(String::as_str),
                expected,
                "{fields}"
            );
        }
        assert_eq!(
            gem_licenses("  s.licenses = [\"Ruby\".freeze, 'BSD-2-Clause'.freeze]"),
            ["Ruby", "BSD-2-Clause"]
        );
        assert_eq!(gem_licenses("  s.license = \"MIT\""), ["MIT"]);
        for text in ["", "s.licenses =", "s.licenses = [", "s.licensed = \"MIT\""] {
            assert_eq!(gem_licenses(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn ruby_says() {
        let text = "\
# -*- encoding: utf-8 -*-
Gem::Specification.new do |s|
  s.name = \"rake\".freeze
  s.version = \"13.0.6\"
  s.platform = \"x86_64-linux\".freeze
";
        assert_eq!(row(gem(text)), Some(expected("rake", "13.0.6")));
        assert_eq!(
            row(gem("s.name = 'a'\ns.version = Gem::Version.new(\"1\")")),
            Some(expected("a", "1"))
        );
        for text in [
            "",
            "s.name = \"a\"",
            "s.name = a\ns.version = \"1\"",
            "s.name=\"\ns.version=\"1",
        ] {
            assert_eq!(gem(text), None, "{text:?}");
        }
    }
}
