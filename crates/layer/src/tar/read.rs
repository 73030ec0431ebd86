//! Reading what others wrote: ustar, pax, old GNU and v7 archives.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::header::{self, Block};
use super::sparse::{self, SparseRecords};
use super::{BLOCK, Entry, Kind, at_most, pax};
use crate::Error;

/// Longest extended header (pax records, GNU long names) that is read; the rest of the world allows no more either.
const MAX_EXTENDED: usize = 1 << 20;

/// Reads a tar, entry by entry, in bounded memory whatever the archive says.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    position: u64,
    /// Stored bytes of the last entry that were not read yet.
    content: u64,
    padding: usize,
    global: Overrides,
    ended: bool,
}

/// What extended headers say of the entry that follows, or of all (`g`).
#[derive(Debug, Default, Clone)]
struct Overrides {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<i64>,
    gid: Option<i64>,
    mtime: Option<(i64, u32)>,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    sparse: SparseRecords,
}

impl<R: Read> Reader<R> {
    /// Reads from `input`, which should be buffered.
    pub fn new(input: R) -> Self {
        Self {
            input,
            position: 0,
            content: 0,
            padding: 0,
            global: Overrides::default(),
            ended: false,
        }
    }

    /// What follows the end of the archive, once [`next_entry`](Self::next_entry) has given `None`.
    pub fn into_inner(self) -> R {
        self.input
    }

    /// The next entry, whatever is left of the content of the one before being skipped; `None` at the end.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        let mut local = Overrides::default();
        let mut extended = false;
        loop {
            self.skip_content()?;
            let start = self.position;
            let Some(block) = self.header()? else {
                return if extended {
                    Err(malformed(start, "it ends after an extended header"))
                } else {
                    Ok(None)
                };
            };
            let size = field(start, "size", &block[header::SIZE])?;
            let size = u64::try_from(size).map_err(|_| malformed(start, "an entry of negative size"))?;
            match block[header::TYPE] {
                b'x' | b'X' => {
                    local = Overrides::default().with_long_names_of(local);
                    let data = self.extended(start, size)?;
                    local.apply(&data).map_err(|what| malformed(start, what))?;
                }
                b'g' => {
                    let data = self.extended(start, size)?;
                    self.global.apply(&data).map_err(|what| malformed(start, what))?;
                    if self
                        .global
                        .xattrs
                        .iter()
                        .map(|(name, value)| name.len() + value.len())
                        .sum::<usize>()
                        > MAX_EXTENDED
                    {
                        return Err(malformed(start, "more than 1 MiB of attributes in global headers"));
                    }
                    continue;
                }
                b'L' => local.path = Some(self.long_name(start, size)?),
                b'K' => local.link = Some(self.long_name(start, size)?),
                // A volume's label is no file.
                b'V' => self.expect_content(size),
                flag => return self.entry(start, &block, flag, size, local).map(Some),
            }
            extended = true;
        }
    }

    /// Stored bytes of the last entry; 0 at their end. Those of a sparse file are its pieces one after the other.
    pub fn read_content(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let wanted = at_most(self.content, buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let read = self.read_some(&mut buffer[..wanted])?;
        if read == 0 {
            return Err(malformed(self.position, "it is cut off within a file"));
        }
        self.content -= read as u64;
        Ok(read)
    }

    fn expect_content(&mut self, size: u64) {
        self.content = size;
        self.padding = super::padding(size);
    }

    fn skip_content(&mut self) -> Result<(), Error> {
        let mut scratch = [0; 16 * 1024];
        while self.read_content(&mut scratch)? > 0 {}
        let padding = std::mem::take(&mut self.padding);
        let read = self.fill(&mut scratch[..padding])?;
        // Some writers leave out the padding of the very last file.
        if read < padding {
            self.ended = true;
        }
        Ok(())
    }

    /// The next header; `None` at the end of the archive: two blocks of zeros, or the end of the input.
    fn header(&mut self) -> Result<Option<Block>, Error> {
        let start = self.position;
        let mut block = [0; BLOCK];
        if self.ended || !self.block(&mut block)? {
            self.ended = true;
            return Ok(None);
        }
        if block == [0; BLOCK] {
            self.ended = true;
            if self.block(&mut block)? && block != [0; BLOCK] {
                return Err(malformed(start, "a block of zeros among the entries"));
            }
            return Ok(None);
        }
        if !header::is_sealed(&block) {
            return Err(malformed(start, "the checksum of a header is wrong"));
        }
        Ok(Some(block))
    }

    /// Fills the block; false at the end of the input.
    fn block(&mut self, block: &mut Block) -> Result<bool, Error> {
        let start = self.position;
        match self.fill(block)? {
            0 => Ok(false),
            BLOCK => Ok(true),
            _ => Err(malformed(start, "it is cut off within a header")),
        }
    }

    /// Reads until the buffer is full or the input ends.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_some(&mut buffer[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        loop {
            match self.input.read(buffer) {
                Ok(read) => {
                    self.position += read as u64;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Read(error)),
            }
        }
    }

    /// The content of an extended header.
    fn extended(&mut self, start: u64, size: u64) -> Result<Vec<u8>, Error> {
        let length = at_most(size, usize::MAX);
        if length > MAX_EXTENDED {
            return Err(malformed(start, "an extended header of more than 1 MiB"));
        }
        self.expect_content(size);
        let mut data = vec![0; length];
        let mut filled = 0;
        while filled < data.len() {
            filled += self.read_content(&mut data[filled..])?;
        }
        Ok(data)
    }

    fn long_name(&mut self, start: u64, size: u64) -> Result<Vec<u8>, Error> {
        let data = self.extended(start, size)?;
        Ok(header::text(&data).to_vec())
    }

    fn entry(&mut self, start: u64, block: &Block, flag: u8, size: u64, local: Overrides) -> Result<Entry, Error> {
        let overrides = local.over(&self.global);
        let path = overrides
            .sparse
            .name
            .clone()
            .or(overrides.path)
            .unwrap_or_else(|| name(block));
        let kind = kind(flag, &path)
            .ok_or_else(|| malformed(start, format!("an entry of unknown type {:?}", char::from(flag))))?;
        let stored = match kind {
            Kind::File => overrides.size.unwrap_or(size),
            // Whatever the field says: nothing follows.
            _ => 0,
        };
        let id = |given: Option<i64>, range, what| given.map_or_else(|| field(start, what, &block[range]), Ok);
        let mut entry = Entry {
            path,
            kind,
            mode: mode(start, block)?,
            uid: owner(start, id(overrides.uid, header::UID, "owner")?)?,
            gid: owner(start, id(overrides.gid, header::GID, "group")?)?,
            mtime: match overrides.mtime {
                Some(mtime) => mtime,
                None => (field(start, "time", &block[header::MTIME])?, 0),
            },
            size: stored,
            link: overrides
                .link
                .unwrap_or_else(|| header::text(&block[header::LINK]).to_vec()),
            device: device(start, block, kind)?,
            xattrs: overrides.xattrs.into_iter().collect(),
            sparse: None,
        };
        self.expect_content(stored);
        if kind == Kind::File {
            self.sparse(start, block, flag, overrides.sparse, &mut entry)?;
        }
        if entry.path.contains(&0) || entry.link.contains(&0) {
            return Err(malformed(start, "a name with a NUL"));
        }
        Ok(entry)
    }

    /// Finds where the pieces of a sparse file go.
    fn sparse(
        &mut self,
        start: u64,
        block: &Block,
        flag: u8,
        records: SparseRecords,
        entry: &mut Entry,
    ) -> Result<(), Error> {
        let what = |what: &'static str| malformed(start, what);
        let (size, map) = if flag == b'S' {
            let (size, mut map, mut more) = sparse::old_gnu(block).map_err(what)?;
            while more {
                let mut next = [0; BLOCK];
                if !self.block(&mut next)? {
                    return Err(what("it is cut off within the map of a sparse file"));
                }
                more = sparse::old_gnu_extension(&next, &mut map).map_err(what)?;
            }
            (size, map)
        } else if records.has_map_in_content() {
            let size = records.size.ok_or_else(|| what("a sparse file without size"))?;
            (size, self.sparse_map_in_content(start)?)
        } else if let Some(map) = records.map {
            (records.size.ok_or_else(|| what("a sparse file without size"))?, map)
        } else {
            return Ok(());
        };
        sparse::check(&map, size, self.content).map_err(what)?;
        entry.size = size;
        entry.sparse = Some(map);
        Ok(())
    }

    /// GNU's pax format 1.0: decimal numbers in lines, filled up to a whole block.
    fn sparse_map_in_content(&mut self, start: u64) -> Result<Vec<(u64, u64)>, Error> {
        let mut parser = sparse::MapInContent::default();
        loop {
            let mut block = [0; BLOCK];
            let mut filled = 0;
            while filled < BLOCK {
                match self.read_content(&mut block[filled..])? {
                    0 => return Err(malformed(start, "the map of a sparse file is cut off")),
                    read => filled += read,
                }
            }
            if let Some(map) = parser.block(&block).map_err(|what| malformed(start, what))? {
                return Ok(map);
            }
        }
    }
}

pub(super) fn malformed(position: u64, what: impl Into<String>) -> Error {
    Error::Malformed {
        position,
        what: what.into(),
    }
}

fn field(start: u64, what: &str, bytes: &[u8]) -> Result<i64, Error> {
    header::number(bytes).ok_or_else(|| malformed(start, format!("the {what} in a header is no number")))
}

/// Negative ones are what some programs make of ids above 2^31. The highest means "none" to the kernel.
fn owner(start: u64, id: i64) -> Result<u32, Error> {
    let wrapped = i32::try_from(id)
        .ok()
        .map(i32::cast_unsigned)
        .or_else(|| u32::try_from(id).ok());
    wrapped
        .filter(|id| *id != u32::MAX)
        .ok_or_else(|| malformed(start, format!("{id} is no user or group id")))
}

fn mode(start: u64, block: &Block) -> Result<u32, Error> {
    let mode = field(start, "mode", &block[header::MODE])?;
    u32::try_from(mode & 0o7777).map_err(|_| malformed(start, "a mode that cannot be"))
}

fn device(start: u64, block: &Block, kind: Kind) -> Result<(u32, u32), Error> {
    if !matches!(kind, Kind::Char | Kind::Block) {
        return Ok((0, 0));
    }
    let number = |range| {
        let number = field(start, "device number", &block[range])?;
        u32::try_from(number).map_err(|_| malformed(start, "a device number that cannot be"))
    };
    Ok((number(header::MAJOR)?, number(header::MINOR)?))
}

fn kind(flag: u8, path: &[u8]) -> Option<Kind> {
    Some(match flag {
        // Before POSIX, a directory was a file whose name ends in a slash.
        0 | b'0' if path.ends_with(b"/") => Kind::Directory,
        0 | b'0' | b'7' | b'S' => Kind::File,
        b'1' => Kind::Link,
        b'2' => Kind::Symlink,
        b'3' => Kind::Char,
        b'4' => Kind::Block,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        _ => return None,
    })
}

/// The name in the header itself: ustar continues it to the left.
fn name(block: &Block) -> Vec<u8> {
    let name = header::text(&block[header::NAME]);
    if block[header::MAGIC.start..header::MAGIC.start + 6] != header::USTAR[..6] {
        return name.to_vec();
    }
    // star keeps times in the last part of the prefix.
    let is_star = &block[508..] == b"tar\0";
    let prefix = if is_star {
        header::PREFIX.start..header::PREFIX.start + 131
    } else {
        header::PREFIX
    };
    match header::text(&block[prefix]) {
        [] => name.to_vec(),
        prefix => [prefix, b"/", name].concat(),
    }
}

impl Overrides {
    /// GNU's long names may come before or after a pax header.
    fn with_long_names_of(self, other: Self) -> Self {
        Self {
            path: other.path,
            link: other.link,
            ..self
        }
    }

    /// An empty value takes back what a global header said.
    fn apply(&mut self, data: &[u8]) -> Result<(), &'static str> {
        for (key, value) in pax::parse(data)? {
            match key {
                b"path" => self.path = (!value.is_empty()).then(|| value.to_vec()),
                b"linkpath" => self.link = (!value.is_empty()).then(|| value.to_vec()),
                b"size" => self.size = optional(value, pax::decimal, "a pax size that is no number")?,
                b"uid" => self.uid = optional(value, signed, "a pax owner that is no number")?,
                b"gid" => self.gid = optional(value, signed, "a pax group that is no number")?,
                b"mtime" => self.mtime = optional(value, pax::time, "a pax time that is no number")?,
                key => match key.strip_prefix(b"SCHILY.xattr.") {
                    Some(name) if !name.is_empty() && !name.contains(&0) => {
                        self.xattrs.insert(name.to_vec(), value.to_vec());
                    }
                    _ => self.sparse.record(key, value)?,
                },
            }
        }
        Ok(())
    }

    /// These, and what the global ones say besides.
    fn over(self, global: &Self) -> Self {
        let mut xattrs = global.xattrs.clone();
        xattrs.extend(self.xattrs);
        Self {
            path: self.path.or_else(|| global.path.clone()),
            link: self.link.or_else(|| global.link.clone()),
            size: self.size.or(global.size),
            uid: self.uid.or(global.uid),
            gid: self.gid.or(global.gid),
            mtime: self.mtime.or(global.mtime),
            xattrs,
            sparse: self.sparse,
        }
    }
}

fn optional<T>(
    value: &[u8],
    parse: impl Fn(&[u8]) -> Option<T>,
    what: &'static str,
) -> Result<Option<T>, &'static str> {
    if value.is_empty() {
        Ok(None)
    } else {
        parse(value).ok_or(what).map(Some)
    }
}

fn signed(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"-") {
        Some(digits) => i64::try_from(pax::decimal(digits)?).ok().map(|value| -value),
        None => i64::try_from(pax::decimal(text)?).ok(),
    }
}
