//! GNU's ways of storing files with holes (GNU tar manual, "Storing Sparse Files"): the old one in the header, and
//! 0.0, 0.1 and 1.0 in pax records.

use super::header::{self, Block};
use super::pax;

/// More pieces than any sane file has.
const MAX_PIECES: usize = 1 << 20;

type Pieces = Vec<(u64, u64)>;

/// What pax records say of a sparse file.
#[derive(Debug, Default, Clone)]
pub(super) struct SparseRecords {
    pub(super) name: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) map: Option<Pieces>,
    version: (Option<u64>, Option<u64>),
    /// 0.0 gives offsets and lengths in turn.
    offset: Option<u64>,
}

impl SparseRecords {
    /// Takes in one record; those that are about something else change nothing.
    pub(super) fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        const WRONG: &str = "a sparse file's record that is no number";
        let Some(key) = key.strip_prefix(b"GNU.sparse.") else {
            return Ok(());
        };
        let number = || pax::decimal(value).ok_or(WRONG);
        match key {
            b"name" => self.name = Some(value.to_vec()),
            b"size" | b"realsize" => self.size = Some(number()?),
            b"major" => self.version.0 = Some(number()?),
            b"minor" => self.version.1 = Some(number()?),
            b"numblocks" => self.map = Some(self.map.take().unwrap_or_default()),
            b"offset" => self.offset = Some(number()?),
            b"numbytes" => {
                let offset = self.offset.take().ok_or("a piece of a sparse file without offset")?;
                push(self.map.get_or_insert_default(), offset, number()?)?;
            }
            b"map" => {
                let numbers: Option<Vec<u64>> = value
                    .split(|&byte| byte == b',')
                    .filter(|text| !text.is_empty())
                    .map(pax::decimal)
                    .collect();
                let numbers = numbers.filter(|numbers| numbers.len() % 2 == 0).ok_or(WRONG)?;
                self.map = Some(numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect());
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn has_map_in_content(&self) -> bool {
        self.version == (Some(1), Some(0))
    }
}

fn push(map: &mut Pieces, offset: u64, length: u64) -> Result<(), &'static str> {
    if map.len() >= MAX_PIECES {
        return Err("a sparse file in more than a million pieces");
    }
    map.push((offset, length));
    Ok(())
}

/// The old format: up to four pieces in the header. Also gives the size, and whether more blocks of the map follow.
pub(super) fn old_gnu(block: &Block) -> Result<(u64, Pieces, bool), &'static str> {
    let mut map = Pieces::new();
    pieces(&block[386..482], &mut map)?;
    let size = header::number(&block[483..495]).and_then(|size| u64::try_from(size).ok());
    Ok((size.ok_or("a sparse file without size")?, map, block[482] != 0))
}

/// A block of 21 more pieces. Gives whether yet another follows.
pub(super) fn old_gnu_extension(block: &Block, map: &mut Pieces) -> Result<bool, &'static str> {
    pieces(&block[..504], map)?;
    Ok(block[504] != 0)
}

fn pieces(fields: &[u8], map: &mut Pieces) -> Result<(), &'static str> {
    for piece in fields.chunks_exact(24) {
        if piece[0] == 0 {
            break;
        }
        let number = |field| header::number(field).and_then(|number| u64::try_from(number).ok());
        let (offset, length) = number(&piece[..12])
            .zip(number(&piece[12..]))
            .ok_or("the map of a sparse file is no numbers")?;
        push(map, offset, length)?;
    }
    Ok(())
}

/// Reads a map of format 1.0 block by block: the count of pieces, then offset and length of each, a line per number.
#[derive(Debug, Default)]
pub(super) struct MapInContent {
    line: Vec<u8>,
    count: Option<u64>,
    offset: Option<u64>,
    map: Pieces,
}

impl MapInContent {
    /// Takes in a block; gives the map when it is complete.
    pub(super) fn block(&mut self, block: &Block) -> Result<Option<Pieces>, &'static str> {
        for &byte in block {
            if byte != b'\n' {
                self.line.push(byte);
                if self.line.len() > 20 {
                    return Err("the map of a sparse file is no numbers");
                }
                continue;
            }
            let number =
                pax::decimal(&std::mem::take(&mut self.line)).ok_or("the map of a sparse file is no numbers")?;
            match (self.count, self.offset.take()) {
                (None, _) => self.count = Some(number),
                (Some(_), None) => self.offset = Some(number),
                (Some(_), Some(offset)) => push(&mut self.map, offset, number)?,
            }
            if self.count == Some(self.map.len() as u64) {
                return Ok(Some(std::mem::take(&mut self.map)));
            }
        }
        Ok(None)
    }
}

/// Whether the pieces are in order, within the file, and together as long as what is stored.
pub(super) fn check(map: &[(u64, u64)], size: u64, stored: u64) -> Result<(), &'static str> {
    let mut end = 0_u64;
    let mut sum = 0_u64;
    for &(offset, length) in map {
        if offset < end {
            return Err("pieces of a sparse file overlap");
        }
        end = offset
            .checked_add(length)
            .filter(|end| *end <= size)
            .ok_or("a piece of a sparse file lies behind its end")?;
        sum += length;
    }
    if sum == stored {
        Ok(())
    } else {
        Err("the pieces of a sparse file do not make up what is stored")
    }
}
