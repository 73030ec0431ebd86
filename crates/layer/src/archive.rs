//! Archives that ADD extracts into a root file system.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::Error;
use crate::ahead::read_ahead;
use crate::decompress::decoder;
pub use crate::decompress::{ArchiveKind, sniff};
use crate::extract::{Extractor, Style};
use crate::limits::Limits;
use crate::root::{clean_in_root, path_of};
use crate::tar::Reader;

/// What was extracted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Extracted {
    /// Bytes of all files.
    pub size: u64,
    /// Entries of the tar.
    pub entries: u64,
    /// Device nodes that could not be made, because this user namespace has none, and are left out.
    pub skipped_devices: Vec<PathBuf>,
}

/// Whether the file is a tar with at least one entry, compressed or not, going by its content alone. The file's
/// position stays where it is.
pub fn is_archive(file: &File) -> io::Result<bool> {
    let mut input = BufReader::new(FromStart { file, at: 0 });
    let Some(kind) = sniff(fill(&mut input)?) else {
        return Ok(false);
    };
    let Ok(decoder) = decoder(kind, input) else {
        return Ok(false);
    };
    match Reader::new(decoder).next_entry() {
        Ok(entry) => Ok(entry.is_some()),
        // An error of the disk is one; that it is no archive, or a damaged one, is the answer.
        Err(Error::Read(error)) if error.raw_os_error().is_some() => Err(error),
        Err(_) => Ok(false),
    }
}

/// The time of the youngest entry of an archive, in seconds since 1970; `None` if it has no entries.
pub fn newest_entry(archive: impl Read) -> Result<Option<i64>, Error> {
    let mut entries = Reader::new(uncompressed(archive)?);
    let mut newest = None;
    while let Some(entry) = entries.next_entry()? {
        newest = newest.max(Some(entry.mtime.0));
    }
    Ok(newest)
}

/// What an archive holds, decompressed; the compression is told by the first bytes.
pub fn uncompressed<'a>(archive: impl Read + 'a) -> Result<Box<dyn Read + 'a>, Error> {
    let mut input = BufReader::with_capacity(128 * 1024, archive);
    let kind = sniff(fill(&mut input).map_err(Error::Read)?).unwrap_or(ArchiveKind::Tar);
    decoder(kind, input).map_err(Error::Read)
}

/// Extracts an archive into the directory `dest` inside `root`, where links are followed within `root`.
///
/// Owners, modes and times are those in the archive; with `chown` everything, directories on the way included, gets
/// that owner. Existing directories stay and take on what the archive says of them; all else that is in the way is
/// replaced, links to directories too, as `BuildKit` does. Missing directories are made with mode 0755.
pub fn extract<R: Read>(
    archive: R,
    root: BorrowedFd<'_>,
    dest: &Path,
    chown: Option<(u32, u32)>,
) -> Result<Extracted, Error> {
    let mut input = BufReader::with_capacity(128 * 1024, archive);
    let kind = sniff(fill(&mut input).map_err(Error::Read)?).unwrap_or(ArchiveKind::Tar);
    let decoder = decoder(kind, input).map_err(Error::Read)?;
    let base = clean_in_root(dest);
    let extracted = read_ahead(
        decoder,
        |_| (),
        |tar| {
            let style = Style::Tree { owner: chown };
            let extractor = Extractor::new(root, base, style, Limits::default());
            let mut extractor = extractor.map_err(Error::at("open the root of", dest))?;
            run(&mut extractor, tar)
        },
    );
    extracted.map_err(Error::Read)?
}

/// Unpacks what [`pack_whole`](crate::pack_whole) wrote into the empty directory `into`. Devices are left out.
///
/// Whatever the archive says, nothing outside of `into` is touched; the caller throws it away on any error.
pub fn unpack_whole<R: Read>(tar: R, into: &Path, limits: Limits) -> Result<Extracted, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, into, flags, Mode::empty()).map_err(Error::at("open the directory", into))?;
    let extractor = Extractor::new(root.as_fd(), Vec::new(), Style::Tree { owner: None }, limits);
    let mut extractor = extractor.map_err(Error::at("open the directory", into))?;
    extractor.devices = false;
    run(&mut extractor, tar)
}

/// Extracts all, hard links too.
fn run(extractor: &mut Extractor<'_>, tar: impl Read) -> Result<Extracted, Error> {
    extractor.run(&mut Reader::new(tar))?;
    if let Some((link, target)) = extractor.missing_links.first() {
        let what = format!(
            "it is a hard link to `{}`, which is not there",
            path_of(target).display()
        );
        return Err(Error::refused(link, what));
    }
    let skipped_devices = extractor
        .skipped_devices
        .iter()
        .map(|path| path_of(path).to_owned())
        .collect();
    Ok(Extracted {
        size: extractor.size,
        entries: extractor.entries,
        skipped_devices,
    })
}

/// The beginning, a block of tar at least if there is as much.
fn fill<R: Read>(input: &mut BufReader<R>) -> io::Result<&[u8]> {
    // Pipes may give little at first; what is here then is enough to tell compressed formats.
    input.fill_buf()
}

/// Reads a file from its start without moving its position.
struct FromStart<'a> {
    file: &'a File,
    at: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
