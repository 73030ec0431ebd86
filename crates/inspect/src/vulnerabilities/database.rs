//! Files of databases, wherever they are and whatever is in them.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::zip::Source;
use super::{Search, osv, tracker, zip};
use crate::error::Error;

/// A record that is larger is none: the largest of OSV have some megabytes.
const LARGEST_RECORD: u64 = 32 << 20;

/// Directories are not deeper.
const DEEPEST: usize = 8;

/// What is looked at to know what is in a file, in bytes.
const BEGINNING: u64 = 4096;

/// Takes what a file, or all files below a directory, say of the packages that are looked for.
pub(super) fn read(path: &Path, search: &mut Search<'_>) -> Result<(), Error> {
    let failed = |source| failure(path, &source);
    if !path.metadata().map_err(failed)?.is_dir() {
        return file(path, search);
    }
    let mut count = 0;
    directory(path, DEEPEST, search, &mut count)?;
    if count == 0 {
        let why = "there is no file in it whose name ends with .json or .zip";
        return Err(failure(path, &io::Error::new(io::ErrorKind::NotFound, why)));
    }
    Ok(())
}

fn directory(path: &Path, depth: usize, search: &mut Search<'_>, count: &mut u64) -> Result<(), Error> {
    let failed = |source| failure(path, &source);
    let mut entries = Vec::new();
    for entry in path.read_dir().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        entries.push((entry.path(), entry.file_type().map_err(failed)?));
    }
    // The order of a directory is none.
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    for (path, kind) in entries {
        let is_database = path.extension().is_some_and(|end| end == "json" || end == "zip");
        if kind.is_dir() && depth > 0 {
            directory(&path, depth - 1, search, count)?;
        } else if is_database && !kind.is_dir() {
            *count += 1;
            file(&path, search)?;
        }
    }
    Ok(())
}

fn file(path: &Path, search: &mut Search<'_>) -> Result<(), Error> {
    let file = File::open(path).map_err(|source| failure(path, &source))?;
    source(path, &file, search)
}

/// Takes what is in a file.
pub(super) fn source<S: Source + ?Sized>(path: &Path, file: &S, search: &mut Search<'_>) -> Result<(), Error> {
    let failed = |source: io::Error| failure(path, &source);
    let whole = || zip::whole(file).map_err(failed);
    let mut start = Vec::new();
    whole()?.take(BEGINNING).read_to_end(&mut start).map_err(failed)?;
    if start.starts_with(b"PK") {
        return archive(path, file, search);
    }
    if is_tracker(&start) {
        let taken = tracker::take(whole()?, LARGEST_RECORD, search);
        return taken.map_err(|error| failure(path, &error));
    }
    let mut record = Vec::new();
    whole()?
        .take(LARGEST_RECORD + 1)
        .read_to_end(&mut record)
        .map_err(failed)?;
    take(&record, search).map_err(failed)
}

fn archive<S: Source + ?Sized>(path: &Path, file: &S, search: &mut Search<'_>) -> Result<(), Error> {
    let failed = |source: io::Error| failure(path, &source);
    let mut record = Vec::new();
    for entry in zip::entries(file).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.name.ends_with(b".json") {
            let taken = entry
                .read(file, LARGEST_RECORD, &mut record)
                .and_then(|()| take(&record, search));
            taken.map_err(|source| {
                let name = String::from_utf8_lossy(&entry.name);
                failure(&path.join(&*name), &source)
            })?;
        }
    }
    Ok(())
}

fn take(record: &[u8], search: &mut Search<'_>) -> io::Result<()> {
    if record.len() as u64 > LARGEST_RECORD {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is larger than a record of OSV can be",
        ));
    }
    let no_record = |error: serde_json::Error| {
        let message = format!("it is no record of OSV: {error}");
        io::Error::new(io::ErrorKind::InvalidData, message)
    };
    osv::take(record, search).map_err(no_record)
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
