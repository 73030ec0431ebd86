//! Writing.

use std::io::{self, Read, Write};

use super::header::{self, Block};
use super::{BLOCK, Entry, Kind, at_most, pax};

/// Writes a tar. Bytes depend on nothing but what is put in.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    written: u64,
    /// How much content the last entry still lacks.
    missing: u64,
    padding: usize,
}

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

impl<W: Write> Writer<W> {
    /// An empty archive.
    pub fn new(out: W) -> Self {
        Self {
            out,
            written: 0,
            missing: 0,
            padding: 0,
        }
    }

    /// Starts an entry; `entry.size` bytes of content must follow through [`data`](Self::data) and [`zeros`](Self::zeros).
    ///
    /// Fails with [`io::ErrorKind::InvalidInput`] if the content of the one before is not complete.
    pub fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        self.end_of_content()?;
        let (block, records) = encode(entry);
        if !records.is_empty() {
            self.put(&pax_header(&entry.path, records.len()))?;
            self.put(&records)?;
            self.put(&ZEROS[..super::padding(records.len() as u64)])?;
        }
        self.put(&block)?;
        self.missing = if entry.kind == Kind::File { entry.size } else { 0 };
        self.padding = super::padding(self.missing);
        Ok(())
    }

    /// A piece of the last entry's content.
    pub fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.missing = self
            .missing
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| content("longer"))?;
        self.put(bytes)
    }

    /// So many zero bytes of the last entry's content.
    pub fn zeros(&mut self, mut count: u64) -> io::Result<()> {
        while count > 0 {
            let piece = count.min(ZEROS.len() as u64);
            self.data(&ZEROS[..at_most(piece, ZEROS.len())])?;
            count -= piece;
        }
        Ok(())
    }

    /// A directory that is root's, from 1970. `mode` as for chmod.
    pub fn directory(&mut self, path: impl AsRef<[u8]>, mode: u32) -> io::Result<()> {
        let mut path = path.as_ref().to_vec();
        if !path.ends_with(b"/") {
            path.push(b'/');
        }
        self.entry(&Entry::new(path, Kind::Directory, mode))
    }

    /// A file that is root's, from 1970, with exactly `size` bytes of `content`.
    pub fn file(&mut self, path: impl AsRef<[u8]>, mode: u32, size: u64, mut content: impl Read) -> io::Result<()> {
        self.entry(&Entry {
            size,
            ..Entry::new(path.as_ref(), Kind::File, mode)
        })?;
        let mut buffer = vec![0; 64 * 1024];
        while self.missing > 0 {
            let wanted = at_most(self.missing, buffer.len());
            let read = match content.read(&mut buffer[..wanted]) {
                Ok(0) => return Err(self::content("shorter")),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.data(&buffer[..read])?;
        }
        Ok(())
    }

    /// Ends the archive (two blocks of zeros) and flushes.
    pub fn finish(mut self) -> io::Result<W> {
        self.end()?;
        Ok(self.out)
    }

    /// As [`finish`](Self::finish), but gives the length of the archive.
    pub(crate) fn end(&mut self) -> io::Result<u64> {
        self.end_of_content()?;
        self.put(&ZEROS[..2 * BLOCK])?;
        self.out.flush()?;
        Ok(self.written)
    }

    fn end_of_content(&mut self) -> io::Result<()> {
        if self.missing > 0 {
            return Err(content("shorter"));
        }
        let padding = std::mem::take(&mut self.padding);
        self.put(&ZEROS[..padding])
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

fn content(than: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("the content of an entry is {than} than its header says"),
    )
}

/// The header, and the pax records that go before it.
fn encode(entry: &Entry) -> (Block, Vec<u8>) {
    let mut block = [0; BLOCK];
    let mut records = pax::Records::default();
    put_text(&mut block, header::NAME, &entry.path, "path", &mut records);
    header::put_octal(&mut block[header::MODE], (entry.mode & 0o7777).into());
    put_number(&mut block, header::UID, entry.uid.into(), "uid", &mut records);
    put_number(&mut block, header::GID, entry.gid.into(), "gid", &mut records);
    let size = if entry.kind == Kind::File { entry.size } else { 0 };
    put_number(&mut block, header::SIZE, size.into(), "size", &mut records);
    put_mtime(&mut block, entry.mtime, &mut records);
    block[header::TYPE] = type_flag(entry.kind);
    if matches!(entry.kind, Kind::Link | Kind::Symlink) {
        put_text(&mut block, header::LINK, &entry.link, "linkpath", &mut records);
    }
    block[header::MAGIC].copy_from_slice(header::USTAR);
    let (major, minor) = if matches!(entry.kind, Kind::Char | Kind::Block) {
        entry.device
    } else {
        (0, 0)
    };
    // Linux's numbers have 12 and 20 bits, the fields 21.
    header::put_octal(&mut block[header::MAJOR], major.into());
    header::put_octal(&mut block[header::MINOR], minor.into());
    for (name, value) in &entry.xattrs {
        records.add([b"SCHILY.xattr.".as_slice(), name].concat(), value);
    }
    header::seal(&mut block);
    (block, records.encode())
}

fn put_text(block: &mut Block, field: std::ops::Range<usize>, text: &[u8], key: &str, records: &mut pax::Records) {
    let size = field.len();
    if text.len() > size || !text.is_ascii() {
        records.add(key, text);
    }
    put_ascii(&mut block[field], text);
    if text.len() > size && key == "path" {
        // Some readers take a regular file for a directory when the cut name happens to end in a slash.
        let name = &mut block[header::NAME];
        if name.last() == Some(&b'/') {
            let keep = name.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
            name[keep] = 0;
        }
    }
}

/// What of the text is ASCII, cut to the field: only for readers that know no pax.
fn put_ascii(field: &mut [u8], text: &[u8]) {
    for (place, byte) in field.iter_mut().zip(text.iter().filter(|byte| byte.is_ascii())) {
        *place = *byte;
    }
}

fn put_number(block: &mut Block, field: std::ops::Range<usize>, value: u128, key: &str, records: &mut pax::Records) {
    let fits = u64::try_from(value).is_ok_and(|value| header::put_octal(&mut block[field], value));
    if !fits {
        records.add(key, value.to_string().as_bytes());
    }
}

fn put_mtime(block: &mut Block, (seconds, nanoseconds): (i64, u32), records: &mut pax::Records) {
    let field = &mut block[header::MTIME];
    let fits = u64::try_from(seconds).is_ok_and(|seconds| header::put_octal(field, seconds));
    if !fits {
        header::put_octal(field, 0);
    }
    if !fits || nanoseconds > 0 {
        records.add("mtime", pax::time_text((seconds, nanoseconds)).as_bytes());
    }
}

const fn type_flag(kind: Kind) -> u8 {
    match kind {
        Kind::File => b'0',
        Kind::Link => b'1',
        Kind::Symlink => b'2',
        Kind::Char => b'3',
        Kind::Block => b'4',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
    }
}

/// The header of the block of pax records: `DIR/PaxHeaders.0/NAME`, every number zero.
fn pax_header(path: &[u8], size: usize) -> Block {
    let mut block = [0; BLOCK];
    let split = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let (directory, name) = path.split_at(split);
    let mut full: Vec<u8> = [directory, b"PaxHeaders.0/", name].concat();
    full.retain(u8::is_ascii);
    full.truncate(header::NAME.len());
    while full.last() == Some(&b'/') {
        full.pop();
    }
    put_ascii(&mut block[header::NAME], &full);
    for field in [header::MODE, header::UID, header::GID, header::MTIME] {
        header::put_octal(&mut block[field], 0);
    }
    header::put_octal(&mut block[header::SIZE], size as u64);
    block[header::TYPE] = b'x';
    block[header::MAGIC].copy_from_slice(header::USTAR);
    header::seal(&mut block);
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_archive_is_the_one_that_everybody_knows() {
        let bytes = Writer::new(Vec::new()).finish().unwrap();
        let digest = kiln_image::Digest::of(bytes);
        assert_eq!(
            digest.to_string(),
            "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
        );
    }

    #[test]
    fn content_must_have_the_length_that_was_said() {
        let mut tar = Writer::new(Vec::new());
        assert!(tar.file("short", 0o644, 3, b"ab".as_slice()).is_err());
        let mut tar = Writer::new(Vec::new());
        tar.entry(&Entry {
            size: 1,
            ..Entry::new("long", Kind::File, 0o644)
        })
        .unwrap();
        assert!(tar.data(b"ab").is_err());
    }
}
