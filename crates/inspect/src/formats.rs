//! Formats of files that images bring along, from memory: so that tests can try them with hostile bytes.

use crate::elf::{self, Elf};
use crate::error::Error;
use crate::index::bytes::Reader;
use crate::packages::Packages;
use crate::vulnerabilities::Vulnerabilities;

/// What is kept of an ELF file of which nothing else is known; `None` if the bytes are none.
pub fn elf(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut kept = Vec::new();
    elf::read(bytes)?.write(&mut kept);
    Some(kept)
}

/// What [`elf`] gave, read and written again; `None` for anything else.
pub fn elf_again(kept: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(kept);
    let elf = Elf::read_written(&mut reader).filter(|_| reader.is_at_end())?;
    let mut again = Vec::new();
    elf.write(&mut again);
    Some(again)
}

/// The libraries of an `ld.so.cache`, by name, with their paths; the highest byte of numbers comes first if `is_big`.
pub fn ld_so_cache(bytes: &[u8], is_big: bool) -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
    crate::start::cache::read(bytes, is_big).into_iter().collect()
}

/// Names and versions of the packages in a database of rpm's, as far as it can be read.
pub fn rpmdb(bytes: &[u8]) -> Vec<(String, String)> {
    let (packages, _) = crate::packages::rpm::sqlite(bytes);
    let packages = packages.into_iter();
    packages.map(|package| (package.name, package.version)).collect()
}

/// Name and version of the package that one of its headers is of.
pub fn rpm_header(bytes: &[u8]) -> Option<(String, String)> {
    let package = crate::packages::rpm::header(bytes)?;
    Some((package.name, package.version))
}

/// What a database of vulnerabilities has of packages: a zip archive, a record of OSV, or the JSON of Debian's tracker.
pub fn vulnerabilities(packages: &Packages, bytes: &[u8]) -> Result<Vulnerabilities, Error> {
    Vulnerabilities::in_file(packages, bytes)
}
