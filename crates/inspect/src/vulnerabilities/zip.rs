//! Files of a zip archive (APPNOTE.TXT), one after the other: stored or deflated, of 64 bits too, in one part, not encrypted.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

use flate2::read::DeflateDecoder;

/// What the end of an archive has before its comment, and the longest comment.
const END: usize = 22;
const LONGEST_COMMENT: u64 = 65_535;

/// Names of files are not longer.
const LONGEST_NAME: usize = 4096;

/// A file in the archive.
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    method: u16,
    is_encrypted: bool,
    /// Bytes as they are kept.
    packed: u64,
    /// Where its own header is.
    offset: u64,
}

/// The files of an archive, as its directory lists them.
pub(super) struct Entries<'f> {
    file: &'f File,
    at: u64,
    left: u64,
}

/// Opens an archive's directory.
pub(super) fn entries(file: &File) -> io::Result<Entries<'_>> {
    let length = file.metadata()?.len();
    let most = length.min(LONGEST_COMMENT + END as u64);
    let start = length - most;
    let tail = read(file, start, usize::try_from(most).unwrap_or(usize::MAX))?;
    let end = memchr::memmem::rfind(&tail, b"PK\x05\x06").filter(|at| tail.len() - at >= END);
    let end = end.ok_or_else(|| invalid("it has no end of a zip archive: it is cut off, or is none"))?;
    let record = &tail[end..];
    let (mut left, mut at) = (u64::from(short(record, 10)), u64::from(long(record, 16)));
    if left == 0xffff || at == 0xffff_ffff {
        (left, at) = wide_end(file, start + end as u64)?;
    }
    Ok(Entries { file, at, left })
}

/// Of more files, or bytes, than the usual end can tell.
fn wide_end(file: &File, end: u64) -> io::Result<(u64, u64)> {
    const LOCATOR: usize = 20;
    let at = end.checked_sub(LOCATOR as u64).ok_or_else(damaged)?;
    let locator = read(file, at, LOCATOR)?;
    if !locator.starts_with(b"PK\x06\x07") {
        return Err(damaged());
    }
    let record = read(file, quad(&locator, 8), 56)?;
    if !record.starts_with(b"PK\x06\x06") {
        return Err(damaged());
    }
    Ok((quad(&record, 32), quad(&record, 48)))
}

impl Iterator for Entries<'_> {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let entry = self.entry();
        if entry.is_err() {
            self.left = 0;
        }
        Some(entry)
    }
}

impl Entries<'_> {
    fn entry(&mut self) -> io::Result<Entry> {
        const HEADER: usize = 46;
        let header = read(self.file, self.at, HEADER)?;
        if !header.starts_with(b"PK\x01\x02") {
            return Err(damaged());
        }
        let (name, extra, comment) = (short(&header, 28), short(&header, 30), short(&header, 32));
        if usize::from(name) > LONGEST_NAME {
            return Err(damaged());
        }
        let rest = read(
            self.file,
            self.at.saturating_add(HEADER as u64),
            usize::from(name) + usize::from(extra),
        )?;
        let length = HEADER as u64 + u64::from(name) + u64::from(extra) + u64::from(comment);
        self.at = self.at.saturating_add(length);
        let (name, extra) = rest.split_at(usize::from(name));
        let (mut packed, mut offset) = (u64::from(long(&header, 20)), u64::from(long(&header, 42)));
        // What does not fit follows, in this order.
        let mut wide = wide_fields(extra);
        if long(&header, 24) == 0xffff_ffff {
            wide.next();
        }
        for field in [&mut packed, &mut offset] {
            if *field == 0xffff_ffff {
                *field = wide.next().ok_or_else(damaged)?;
            }
        }
        Ok(Entry {
            name: name.to_vec(),
            method: short(&header, 10),
            is_encrypted: short(&header, 8) & 1 != 0,
            packed,
            offset,
        })
    }
}

fn wide_fields(mut extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut found: &[u8] = &[];
    while let Some((head, rest)) = extra.split_at_checked(4) {
        let Some((field, rest)) = rest.split_at_checked(usize::from(short(head, 2))) else {
            break;
        };
        if short(head, 0) == 1 {
            found = field;
        }
        extra = rest;
    }
    found.chunks_exact(8).map(|bytes| quad(bytes, 0))
}

impl Entry {
    /// Puts its content into `out`, no more than `limit` bytes and one; what was there goes.
    pub(super) fn read(&self, file: &File, limit: u64, out: &mut Vec<u8>) -> io::Result<()> {
        const HEADER: usize = 30;
        if self.is_encrypted {
            return Err(invalid("it is encrypted"));
        }
        let header = read(file, self.offset, HEADER)?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(damaged());
        }
        let names = u64::from(short(&header, 26)) + u64::from(short(&header, 28));
        let start = self.offset.saturating_add(HEADER as u64 + names);
        let packed = Part {
            file,
            at: start,
            left: self.packed,
        };
        out.clear();
        match self.method {
            0 => packed.take(limit + 1).read_to_end(out)?,
            8 => DeflateDecoder::new(packed).take(limit + 1).read_to_end(out)?,
            _ => return Err(invalid("it is compressed in a way that is not known here")),
        };
        Ok(())
    }
}

/// A part of a file.
struct Part<'f> {
    file: &'f File,
    at: u64,
    left: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

fn read(file: &File, at: u64, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    file.read_exact_at(&mut bytes, at).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged(),
        _ => error,
    })?;
    Ok(bytes)
}

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from(short(bytes, at)) | u32::from(short(bytes, at + 2)) << 16
}

fn quad(bytes: &[u8], at: usize) -> u64 {
    u64::from(long(bytes, at)) | u64::from(long(bytes, at + 4)) << 32
}

fn damaged() -> io::Error {
    invalid("the zip archive is cut off or damaged")
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Written with Python's zipfile: `a` stored, `b` deflated, in the directory `d`; a comment at the end.
    const ARCHIVE: &[u8] = include_bytes!("testdata/two.zip");

    fn contents(archive: &[u8]) -> io::Result<Vec<(String, String)>> {
        let mut file = tempfile::tempfile()?;
        file.write_all(archive)?;
        let mut found = Vec::new();
        let mut content = Vec::new();
        for entry in entries(&file)? {
            let entry = entry?;
            entry.read(&file, 1 << 20, &mut content)?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            found.push((text(&entry.name), text(&content)));
        }
        Ok(found)
    }

    #[test]
    fn files_of_an_archive() {
        let found = contents(ARCHIVE).unwrap();
        let row = |name: &str, content: &str| (name.to_owned(), content.to_owned());
        assert_eq!(
            found,
            [row("d/a.json", "stored"), row("d/b.json", &"deflated ".repeat(100))]
        );
    }

    #[test]
    fn damage_is_an_error_and_no_panic() {
        for end in 0..ARCHIVE.len() {
            assert!(contents(&ARCHIVE[..end]).is_err() || end > ARCHIVE.len() - 10, "{end}");
        }
        for at in 0..ARCHIVE.len() {
            for change in [0x01, 0xff] {
                let mut damaged = ARCHIVE.to_vec();
                damaged[at] ^= change;
                let _either_is_fine = contents(&damaged);
            }
        }
    }
}
