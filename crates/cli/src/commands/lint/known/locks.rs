//! Versions in the lock files of a build context.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use kiln_lint::{Manager, Versions};
use serde::Deserialize;

use crate::failure::{Context as _, Failure};

/// Larger ones are not read.
const LARGEST: u64 = 32 << 20;

/// Reads a lock file's text; `None` if it is not of that form.
type Reader = fn(&str, &mut Versions) -> Option<()>;

const FILES: [(&str, Reader); 7] = [
    ("requirements.txt", requirements),
    ("poetry.lock", packages),
    ("uv.lock", packages),
    ("Pipfile.lock", pipfile),
    ("package-lock.json", npm),
    ("Gemfile.lock", gemfile),
    ("go.mod", go),
];

/// Adds what the lock files of a directory say.
pub(super) fn read(directory: &Path, versions: &mut Versions) -> Result<(), Failure> {
    for (name, reader) in FILES {
        let path = directory.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).or_failed(|| format!("cannot read {}", path.display())),
        };
        let mut text = String::new();
        let read = file.take(LARGEST + 1).read_to_string(&mut text);
        read.or_failed(|| format!("cannot read {}", path.display()))?;
        if text.len() as u64 > LARGEST || reader(&text, versions).is_none() {
            let message = format!("{} cannot be read as a lock file, or is too large", path.display());
            return Err(Failure::failed(anyhow::anyhow!(message)).hint("leave --versions context out, or mend it"));
        }
    }
    Ok(())
}

/// `name==1.2` of pip; other lines say no single version.
fn requirements(text: &str, versions: &mut Versions) -> Option<()> {
    for line in text.lines() {
        let line = line.split(['#', ';', '\\']).next()?.trim();
        if let Some((name, version)) = line.split_once("==") {
            let name = name.split('[').next()?.trim();
            versions.add(Manager::Pip, name, version.trim());
        }
    }
    Some(())
}

/// Poetry's and uv's: `[[package]]` with `name` and `version`.
fn packages(text: &str, versions: &mut Versions) -> Option<()> {
    #[derive(Deserialize)]
    struct Lock {
        #[serde(default)]
        package: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        version: Option<String>,
    }
    let lock: Lock = toml::from_str(text).ok()?;
    for package in lock.package {
        versions.add(
            Manager::Pip,
            &package.name,
            package.version.as_deref().unwrap_or_default(),
        );
    }
    Some(())
}

/// Pipenv's: `default` and `develop` with `"version": "==1.2"`.
fn pipfile(text: &str, versions: &mut Versions) -> Option<()> {
    #[derive(Deserialize)]
    struct Package {
        version: Option<String>,
    }
    #[derive(Deserialize)]
    struct Lock {
        #[serde(default)]
        default: BTreeMap<String, Package>,
        #[serde(default)]
        develop: BTreeMap<String, Package>,
    }
    let lock: Lock = serde_json::from_str(text).ok()?;
    for (name, package) in lock.default.iter().chain(&lock.develop) {
        let version = package
            .version
            .as_deref()
            .and_then(|version| version.strip_prefix("=="));
        versions.add(Manager::Pip, name, version.unwrap_or_default());
    }
    Some(())
}

/// npm's: `packages` by their places, or `dependencies` of version 1.
fn npm(text: &str, versions: &mut Versions) -> Option<()> {
    #[derive(Deserialize)]
    struct Package {
        version: Option<String>,
    }
    #[derive(Deserialize)]
    struct Lock {
        #[serde(default)]
        packages: BTreeMap<String, Package>,
        #[serde(default)]
        dependencies: BTreeMap<String, Package>,
    }
    let lock: Lock = serde_json::from_str(text).ok()?;
    let placed = lock.packages.iter();
    let outermost = placed.filter_map(|(place, package)| Some((place.strip_prefix("node_modules/")?, package)));
    let all = outermost.chain(lock.dependencies.iter().map(|(name, package)| (name.as_str(), package)));
    for (name, package) in all.filter(|(name, _)| !name.contains("/node_modules/")) {
        versions.add(Manager::Npm, name, package.version.as_deref().unwrap_or_default());
    }
    Some(())
}

/// Bundler's: `    name (1.2)`, four blanks deep.
fn gemfile(text: &str, versions: &mut Versions) -> Option<()> {
    for line in text.lines() {
        let Some(line) = line.strip_prefix("    ").filter(|line| !line.starts_with(' ')) else {
            continue;
        };
        if let Some((name, version)) = line.split_once(" (") {
            versions.add(Manager::Gem, name, version.strip_suffix(')')?);
        }
    }
    Some(())
}

/// Go's: what `require` names.
fn go(text: &str, versions: &mut Versions) -> Option<()> {
    let mut inside = false;
    for line in text.lines() {
        let line = line.split("//").next()?.trim();
        let words = match line.strip_prefix("require") {
            Some(rest) if rest.trim() == "(" => {
                inside = true;
                continue;
            }
            Some(rest) => rest,
            None if line == ")" => {
                inside = false;
                continue;
            }
            None if inside => line,
            None => continue,
        };
        if let [module, version] = words.split_ascii_whitespace().collect::<Vec<_>>()[..] {
            versions.add(Manager::Go, module, version);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_files() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        write(
            "requirements.txt",
            "Flask[async]==3.0.3 # web\nlater>=1\nsix==1.16.0 ; python_version < '4'\n",
        );
        write("poetry.lock", "[[package]]\nname = \"rich\"\nversion = \"13.8\"\n");
        write("Pipfile.lock", r#"{"default": {"attrs": {"version": "==24.2"}}}"#);
        write(
            "package-lock.json",
            r#"{"packages": {"": {"name": "me", "version": "0"}, "node_modules/@s/x": {"version": "1.0.0"},
                "node_modules/@s/x/node_modules/y": {"version": "2.0.0"}}}"#,
        );
        write("Gemfile.lock", "GEM\n  specs:\n    rake (13.2.1)\n      deep (~> 1)\n");
        write(
            "go.mod",
            "module m\nrequire example.com/a v1.0.0\nrequire (\n\texample.com/b v0.1.0 // indirect\n)\n",
        );
        let mut versions = Versions::default();
        read(directory.path(), &mut versions).unwrap();
        for (manager, name, version) in [
            (Manager::Pip, "flask", Some("3.0.3")),
            (Manager::Pip, "six", Some("1.16.0")),
            (Manager::Pip, "later", None),
            (Manager::Pip, "rich", Some("13.8")),
            (Manager::Pip, "attrs", Some("24.2")),
            (Manager::Npm, "@s/x", Some("1.0.0")),
            (Manager::Npm, "y", None),
            (Manager::Gem, "rake", Some("13.2.1")),
            (Manager::Gem, "deep", None),
            (Manager::Go, "example.com/a", Some("v1.0.0")),
            (Manager::Go, "example.com/b", Some("v0.1.0")),
        ] {
            assert_eq!(versions.get(manager, name), version, "{name}");
        }
        write("uv.lock", "[[package]");
        assert!(read(directory.path(), &mut versions).is_err());
    }
}
