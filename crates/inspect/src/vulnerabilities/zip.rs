//! Files of a zip archive (APPNOTE.TXT), one after the other: stored or deflated, of 64 bits too, in one part, not encrypted.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

use flate2::Crc;
use flate2::read::DeflateDecoder;

/// What the end of an archive has before its comment, and the longest comment.
const END: usize = 22;
const LONGEST_COMMENT: u64 = 65_535;

/// Names of files are not longer.
const LONGEST_NAME: usize = 4096;

/// What can be read from any place on.
pub(super) trait Source {
    /// Bytes that it has.
    fn length(&self) -> io::Result<u64>;

    /// Reads some from a place on, as `FileExt::read_at` does.
    fn read_from(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

impl Source for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_from(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_at(buffer, at)
    }
}

impl Source for [u8] {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_from(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(at).ok().and_then(|at| self.get(at..));
        rest.unwrap_or_default().read(buffer)
    }
}

/// A file in the archive.
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    method: u16,
    is_encrypted: bool,
    checksum: u32,
    /// Bytes as they are kept.
    packed: u64,
    /// Bytes of its content.
    size: u64,
    /// Where its own header is.
    offset: u64,
}

/// The files of an archive, as its directory lists them.
pub(super) struct Entries<'f, S: ?Sized> {
    file: &'f S,
    at: u64,
    left: u64,
    /// Where the directory ends.
    end: u64,
}

/// Opens an archive's directory.
pub(super) fn entries<S: Source + ?Sized>(file: &S) -> io::Result<Entries<'_, S>> {
    let length = file.length()?;
    let most = length.min(LONGEST_COMMENT + END as u64);
    let start = length - most;
    let tail = read(file, start, usize::try_from(most).unwrap_or(usize::MAX))?;
    let end = memchr::memmem::rfind(&tail, b"PK\x05\x06").filter(|at| tail.len() - at >= END);
    let end = end.ok_or_else(|| invalid("it has no end of a zip archive: it is cut off, or is none"))?;
    let record = &tail[end..];
    let (mut left, mut at) = (u64::from(short(record, 10)), u64::from(long(record, 16)));
    let mut length = u64::from(long(record, 12));
    if left == 0xffff || length == 0xffff_ffff || at == 0xffff_ffff {
        [left, length, at] = wide_end(file, start + end as u64)?.unwrap_or([left, length, at]);
    }
    let end = at.saturating_add(length);
    Ok(Entries { file, at, left, end })
}

/// Files, bytes of the directory and its place, where one of them is more than the usual end can tell.
fn wide_end(file: &(impl Source + ?Sized), end: u64) -> io::Result<Option<[u64; 3]>> {
    const LOCATOR: usize = 20;
    let Some(at) = end.checked_sub(LOCATOR as u64) else {
        return Ok(None);
    };
    let locator = read(file, at, LOCATOR)?;
    if !locator.starts_with(b"PK\x06\x07") {
        return Ok(None);
    }
    let record = read(file, quad(&locator, 8), 56)?;
    if !record.starts_with(b"PK\x06\x06") {
        return Err(damaged());
    }
    Ok(Some([32, 40, 48].map(|at| quad(&record, at))))
}

impl<S: Source + ?Sized> Iterator for Entries<'_, S> {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(left) = self.left.checked_sub(1) else {
            // Of more files than are counted none may be missed.
            let is_whole = std::mem::replace(&mut self.at, self.end) == self.end;
            return (!is_whole).then(|| Err(damaged()));
        };
        self.left = left;
        let entry = self.entry();
        if entry.is_err() {
            (self.left, self.at) = (0, self.end);
        }
        Some(entry)
    }
}

impl<S: Source + ?Sized> Entries<'_, S> {
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
        let [mut packed, mut size, mut offset] = [20, 24, 42].map(|at| u64::from(long(&header, at)));
        // What does not fit follows, in this order.
        let mut wide = wide_fields(extra);
        for field in [&mut size, &mut packed, &mut offset] {
            if *field == 0xffff_ffff {
                *field = wide.next().ok_or_else(damaged)?;
            }
        }
        Ok(Entry {
            name: name.to_vec(),
            method: short(&header, 10),
            is_encrypted: short(&header, 8) & 1 != 0,
            checksum: long(&header, 16),
            packed,
            size,
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
    /// Puts its content into `out`, no more than `limit` bytes and one; what was there goes. Of what is not larger it is known
    /// that it is what was put into the archive.
    pub(super) fn read(&self, file: &(impl Source + ?Sized), limit: u64, out: &mut Vec<u8>) -> io::Result<()> {
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
        let mut checksum = Crc::new();
        checksum.update(out);
        if out.len() as u64 <= limit && (out.len() as u64, checksum.sum()) != (self.size, self.checksum) {
            return Err(damaged());
        }
        Ok(())
    }
}

/// A part of a file.
struct Part<'f, S: ?Sized> {
    file: &'f S,
    at: u64,
    left: u64,
}

impl<S: Source + ?Sized> Read for Part<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self.file.read_from(self.at, &mut buffer[..most])?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

fn read(file: &(impl Source + ?Sized), at: u64, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    let left = count as u64;
    let whole = Part { file, at, left }.read_exact(&mut bytes);
    whole.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged(),
        _ => error,
    })?;
    Ok(bytes)
}

/// All of a file, from its beginning on.
pub(super) fn whole<S: Source + ?Sized>(file: &S) -> io::Result<impl Read> {
    let left = file.length()?;
    Ok(Part { file, at: 0, left })
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
    use super::*;

    /// Written with Python's zipfile: `a` stored, `b` deflated, in the directory `d`; a comment at the end.
    const ARCHIVE: &[u8] = include_bytes!("testdata/two.zip");

    const COMMENT: usize = "a comment".len();

    fn contents(archive: &[u8]) -> io::Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        let mut content = Vec::new();
        for entry in entries(archive)? {
            let entry = entry?;
            entry.read(archive, 1 << 20, &mut content)?;
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

    /// The end of archives that have more files than the usual end can count (APPNOTE.TXT, 4.3.14 to 4.3.16).
    #[test]
    fn wide_ends() {
        let (files, end) = ARCHIVE.split_at(ARCHIVE.len() - COMMENT - END);
        let with = |count: u64| {
            let mut archive = files.to_vec();
            archive.extend(b"PK\x06\x06");
            archive.extend([0; 20]);
            for number in [count, count, u64::from(long(end, 12)), u64::from(long(end, 16))] {
                archive.extend(number.to_le_bytes());
            }
            archive.extend(b"PK\x06\x07\0\0\0\0");
            archive.extend((files.len() as u64).to_le_bytes());
            archive.extend([1, 0, 0, 0]);
            archive.extend(b"PK\x05\x06\0\0\0\0");
            archive.extend([0xff; 12]);
            archive.extend([0, 0]);
            contents(&archive)
        };
        assert_eq!(with(2).unwrap(), contents(ARCHIVE).unwrap());
        for count in [0, 1, 3, u64::MAX] {
            assert!(with(count).is_err(), "{count}");
        }
    }

    #[test]
    fn no_file_is_missed() {
        let end = ARCHIVE.len() - COMMENT - END;
        for count in [0, 1, 3] {
            let mut archive = ARCHIVE.to_vec();
            archive[end + 10] = count;
            assert!(contents(&archive).is_err(), "{count}");
        }
    }

    #[test]
    fn damage_is_an_error_and_no_panic() {
        for end in 0..ARCHIVE.len() {
            // Without its comment, or a part of that, it is whole.
            let is_whole = end >= ARCHIVE.len() - COMMENT;
            assert_eq!(contents(&ARCHIVE[..end]).is_ok(), is_whole, "{end}");
        }
        let texts = |archive: &[u8]| {
            let found = contents(archive)?.into_iter();
            io::Result::Ok(found.map(|(_, text)| text).collect::<Vec<_>>())
        };
        let whole = texts(ARCHIVE).unwrap();
        let mut noticed = 0;
        for at in 0..ARCHIVE.len() {
            for change in [0x01, 0xff] {
                let mut damaged = ARCHIVE.to_vec();
                damaged[at] ^= change;
                // What does not matter is not looked at: names of files, times, all that is said twice.
                match texts(&damaged) {
                    Ok(found) => assert_eq!(found, whole, "{at}"),
                    Err(_) => noticed += 1,
                }
            }
        }
        assert!(noticed > ARCHIVE.len() / 2, "{noticed}");
    }
}
