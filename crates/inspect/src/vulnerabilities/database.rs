//! Files of databases, wherever they are and whatever is in them.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::zip::Source;
use super::{Search, osv, tracker, zip};
use crate::error::Error;

/// A record that is larger is none: the largest of OSV have some megabytes.
const LARGEST_RECORD: u64 = 32 << 20;

/// What is looked at to know what is in a file, in bytes.
const BEGINNING: u64 = 4096;

/// Takes what a file, or all files below a directory, say of the packages that are looked for.
pub(super) fn read(path: &Path, searches: &mut [Search<'_>]) -> Result<(), Error> {
    if !path.metadata().map_err(|source| failure(path, &source))?.is_dir() {
        return match file(path, searches)? {
            Content::Records => Ok(()),
            Content::Index => Err(failure(path, &"it is a list, and a record of OSV is an object")),
        };
    }
    let mut walk = Walk {
        searches,
        count: 0,
        seen: HashSet::new(),
    };
    walk.directories(path)?;
    if walk.count == 0 {
        return Err(failure(
            path,
            &"there is no file in it whose name ends with .json or .zip",
        ));
    }
    Ok(())
}

/// Looks for files below a directory. What links lead to counts, too.
struct Walk<'s, 'p> {
    searches: &'s mut [Search<'p>],
    /// Files so far.
    count: u64,
    /// Directories so far, by device and number: a link may lead back.
    seen: HashSet<(u64, u64)>,
}

impl Walk<'_, '_> {
    fn directories(&mut self, top: &Path) -> Result<(), Error> {
        let mut left = vec![top.to_owned()];
        while let Some(path) = left.pop() {
            let failed = |source| failure(&path, &source);
            let state = path.metadata().map_err(failed)?;
            if !self.seen.insert((state.dev(), state.ino())) {
                continue;
            }
            let entries = path.read_dir().map_err(failed)?;
            let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
            let mut paths = paths.map_err(failed)?;
            // The order of a directory is none.
            paths.sort();
            for path in paths {
                left.extend(self.entry(path)?);
            }
        }
        Ok(())
    }

    /// Takes what a file says. Gives what is a directory: no hidden one, as version control has.
    fn entry(&mut self, path: PathBuf) -> Result<Option<PathBuf>, Error> {
        let is_database = path.extension().is_some_and(|end| end == "json" || end == "zip");
        let is_hidden = path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"."));
        match path.metadata() {
            Ok(state) if state.is_dir() => return Ok((!is_hidden).then_some(path)),
            Ok(_) if is_database => {
                self.count += 1;
                file(&path, self.searches)?;
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_database => {}
            Err(error) => return Err(failure(&path, &error)),
        }
        Ok(None)
    }
}

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Records,
    /// A list. Databases have some beside their records, as Go's has `index/modules.json`.
    Index,
}

fn file(path: &Path, searches: &mut [Search<'_>]) -> Result<Content, Error> {
    let file = File::open(path).map_err(|source| failure(path, &source))?;
    source(path, &file, searches)
}

/// Takes what is in a file.
pub(super) fn source<S: Source + ?Sized>(path: &Path, file: &S, searches: &mut [Search<'_>]) -> Result<Content, Error> {
    let failed = |source: io::Error| failure(path, &source);
    let whole = || zip::whole(file).map_err(failed);
    let mut start = Vec::new();
    whole()?.take(BEGINNING).read_to_end(&mut start).map_err(failed)?;
    if start.starts_with(b"PK") {
        return archive(path, file, searches).map(|()| Content::Records);
    }
    if is_tracker(&start) {
        let taken = tracker::take(whole()?, LARGEST_RECORD, searches);
        return taken.map(|()| Content::Records).map_err(|error| failure(path, &error));
    }
    let mut record = Vec::new();
    whole()?
        .take(LARGEST_RECORD + 1)
        .read_to_end(&mut record)
        .map_err(failed)?;
    take(&record, searches).map_err(failed)
}

fn archive<S: Source + ?Sized>(path: &Path, file: &S, searches: &mut [Search<'_>]) -> Result<(), Error> {
    let failed = |source: io::Error| failure(path, &source);
    let mut record = Vec::new();
    for entry in zip::entries(file).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.name.ends_with(b".json") {
            let taken = entry
                .read(file, LARGEST_RECORD, &mut record)
                .and_then(|()| take(&record, searches));
            let _: Content = taken.map_err(|source| {
                let name = String::from_utf8_lossy(&entry.name);
                failure(&path.join(&*name), &source)
            })?;
        }
    }
    Ok(())
}

fn take(record: &[u8], searches: &mut [Search<'_>]) -> io::Result<Content> {
    if record.len() as u64 > LARGEST_RECORD {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is larger than a record of OSV can be",
        ));
    }
    let no_record = |why: &dyn std::fmt::Display| {
        let message = format!("it is no record of OSV: {why}");
        io::Error::new(io::ErrorKind::InvalidData, message)
    };
    // Most are not parsed.
    match record.trim_ascii() {
        [b'{', .., b'}'] => {}
        [b'[', .., b']'] => return Ok(Content::Index),
        _ => return Err(no_record(&"it is no object, or is cut off")),
    }
    let mut searches = searches.iter_mut();
    searches.try_for_each(|search| osv::take(record, search).map_err(|error| no_record(&error)))?;
    Ok(Content::Records)
}

/// Whether that is how Debian's tracker begins: with an object in an object. A record of OSV begins with a text or a list.
fn is_tracker(start: &[u8]) -> bool {
    let inside = |bytes: &[u8]| Some(bytes.trim_ascii_start().strip_prefix(b"{")?.to_vec());
    let Some(rest) = inside(start) else { return false };
    let Some(rest) = rest.trim_ascii_start().strip_prefix(b"\"") else {
        return false;
    };
    let Some(end) = rest.iter().position(|byte| *byte == b'"') else {
        return false;
    };
    let (name, value) = rest.split_at(end);
    let value = value[1..].trim_ascii_start().strip_prefix(b":");
    name != b"database_specific" && value.is_some_and(|value| inside(value).is_some())
}

fn failure(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::Database {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::{Ecosystem, Package, Packages};
    use crate::vulnerabilities::Vulnerabilities;

    /// Whether a record was looked at.
    fn is_covered(database: &Path) -> Result<bool, String> {
        let package = Package::new(Ecosystem::Npm, "a", "1.0.0");
        let packages = Packages {
            packages: vec![package],
            ..Packages::default()
        };
        let found = Vulnerabilities::of(&packages, &[database.to_owned()]);
        found
            .map(|found| found.uncovered.is_empty())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn directories_and_what_links_lead_to() {
        let record = r#"{"id": "X", "affected": [{"package": {"ecosystem": "npm", "name": "b"}}]}"#;
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        std::fs::create_dir_all(at("elsewhere")).unwrap();
        std::fs::write(at("elsewhere/a.json"), record).unwrap();
        std::fs::create_dir_all(at("linked/db")).unwrap();
        std::os::unix::fs::symlink("../../elsewhere", at("linked/db/npm")).unwrap();
        std::os::unix::fs::symlink("..", at("linked/db/back")).unwrap();
        std::os::unix::fs::symlink("nowhere", at("linked/db/old")).unwrap();
        assert_eq!(is_covered(&at("linked")), Ok(true));
        std::os::unix::fs::symlink("nowhere", at("linked/db/old.json")).unwrap();
        let error = is_covered(&at("linked")).unwrap_err();
        assert!(error.contains("old.json: No such file"), "{error}");
        let deep = format!("deep{}", "/d".repeat(200));
        std::fs::create_dir_all(at(&deep)).unwrap();
        std::fs::write(at(&deep).join("a.json"), record).unwrap();
        assert_eq!(is_covered(&at("deep")), Ok(true));
        std::fs::create_dir_all(at("deep/.git/x")).unwrap();
        std::fs::write(at("deep/.git/x/a.json"), "no record").unwrap();
        assert_eq!(is_covered(&at("deep")), Ok(true));
        assert!(is_covered(&at("deep/.git")).is_err());
    }

    /// As Go publishes its database.
    #[test]
    fn lists_beside_records() {
        let record = r#"{"id": "X", "affected": [{"package": {"ecosystem": "npm", "name": "b"}}]}"#;
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("index")).unwrap();
        std::fs::write(home.path().join("a.json"), record).unwrap();
        let list = home.path().join("index/modules.json");
        for (text, expected) in [
            ("[{\"path\": \"x\", \"vulns\": [{\"id\": \"GO-1\"}]}]\n", Ok(true)),
            ("[]", Ok(true)),
            ("[{\"path\": \"x\"}", Err(())),
        ] {
            std::fs::write(&list, text).unwrap();
            assert_eq!(is_covered(home.path()).map_err(drop), expected, "{text}");
        }
        std::fs::write(&list, "[]").unwrap();
        let error = is_covered(&list).unwrap_err();
        assert!(error.contains("modules.json: it is a list"), "{error}");
    }

    #[test]
    fn what_is_cut_off_is_none() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.json");
        let record = r#"{"id": "X", "affected": [{"package": {"ecosystem": "npm", "name": "b"}}]}"#;
        for (text, expected) in [
            (record, true),
            (&record[..record.len() - 1], false),
            ("", false),
            ("[]", false),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(is_covered(&path).is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn what_begins_how() {
        for (start, expected) in [
            ("{\"glibc\": {\"CVE-1\"", true),
            (" {\n \"a\" :{", true),
            ("{\"id\": \"x\"", false),
            ("{\"affected\": [{", false),
            ("{\"database_specific\": {", false),
            ("[{\"a\": {", false),
            ("{\"a", false),
            ("{}", false),
            ("", false),
        ] {
            assert_eq!(is_tracker(start.as_bytes()), expected, "{start}");
        }
    }
}
