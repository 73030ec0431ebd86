//! Indexes as bytes: a digest of what follows, how many entries there are, and the entries with numbers of as many bytes
//! as they need. Whatever is not what was written gives nothing.

use super::{Entry, Kind, LayerIndex};

const DIGEST: usize = 32;

const OPAQUE: u8 = 1 << 6;
const IMPLIED: u8 = 1 << 7;

impl LayerIndex {
    /// To be kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![0; DIGEST];
        self.write_all(&mut out);
        let digest = blake3::hash(&out[DIGEST..]);
        out[..DIGEST].copy_from_slice(digest.as_bytes());
        out
    }

    /// Adds what follows the digest.
    pub(super) fn write_all(&self, out: &mut Vec<u8>) {
        number(out, self.entries.len() as u64);
        for (at, entry) in (0_u64..).zip(&self.entries) {
            self.write(out, at, entry);
        }
    }

    fn write(&self, out: &mut Vec<u8>, at: u64, entry: &Entry) {
        let mut flags = entry.kind as u8;
        flags |= if entry.is_opaque { OPAQUE } else { 0 };
        flags |= if entry.is_implied { IMPLIED } else { 0 };
        out.push(flags);
        number(out, at - u64::from(entry.parent));
        text(out, self.name(entry));
        for value in [entry.mode.into(), entry.uid, entry.gid] {
            number(out, value.into());
        }
        match entry.kind {
            Kind::File => {
                number(out, entry.same_as.map_or(0, |first| at - u64::from(first)));
                if entry.same_as.is_none() {
                    number(out, entry.size);
                    out.extend_from_slice(&entry.digest);
                }
            }
            Kind::Symlink => text(out, self.target(entry)),
            _ => {}
        }
    }

    /// What [`LayerIndex::to_bytes`] gave; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (digest, body) = bytes.split_at_checked(DIGEST)?;
        if blake3::hash(body).as_bytes() != digest {
            return None;
        }
        Self::read_all(Reader::new(body))
    }

    /// What [`LayerIndex::write_all`] wrote, and nothing else.
    pub(super) fn read_all(mut reader: Reader<'_>) -> Option<Self> {
        let body = reader.0.len();
        let count = usize::try_from(reader.number()?).ok()?;
        // An entry takes at least six bytes.
        if count == 0 || count > body {
            return None;
        }
        let mut index = Self {
            text: Vec::with_capacity(body / 4),
            entries: Vec::with_capacity(count),
        };
        for at in 0..u32::try_from(count).ok()? {
            index.read(&mut reader, at)?;
        }
        reader.is_at_end().then_some(index)
    }

    fn read(&mut self, reader: &mut Reader<'_>, at: u32) -> Option<()> {
        let flags = reader.take(1)?[0];
        let back = u32::try_from(reader.number()?).ok()?;
        let parent = at.checked_sub(back)?;
        let is_directory = |number: u32| {
            self.entries
                .get(number as usize)
                .map(|entry| entry.kind == Kind::Directory)
        };
        // Only the root is in itself.
        if (at == 0) != (back == 0) || (at > 0 && is_directory(parent) != Some(true)) {
            return None;
        }
        let mut entry = Entry::new(parent, kind(flags & 0b111)?);
        entry.is_opaque = flags & OPAQUE != 0;
        entry.is_implied = flags & IMPLIED != 0;
        let name = reader.text()?;
        entry.mode = u16::try_from(reader.number()?).ok()?;
        entry.uid = u32::try_from(reader.number()?).ok()?;
        entry.gid = u32::try_from(reader.number()?).ok()?;
        let mut target: &[u8] = &[];
        match entry.kind {
            Kind::File => match u32::try_from(reader.number()?).ok()? {
                0 => {
                    entry.size = reader.number()?;
                    entry.digest = reader.take(DIGEST)?.try_into().ok()?;
                }
                back => {
                    let first = at.checked_sub(back)?;
                    let known = self.entries.get(first as usize)?;
                    if known.kind != Kind::File || known.same_as.is_some() {
                        return None;
                    }
                    entry.same_as = Some(first);
                }
            },
            Kind::Symlink => target = reader.text()?,
            _ => {}
        }
        if at == 0 && entry.kind != Kind::Directory {
            return None;
        }
        self.push(entry, name, target).ok()?;
        Some(())
    }
}

fn kind(number: u8) -> Option<Kind> {
    Some(match number {
        0 => Kind::Directory,
        1 => Kind::File,
        2 => Kind::Symlink,
        3 => Kind::Char,
        4 => Kind::Block,
        5 => Kind::Fifo,
        6 => Kind::Whiteout,
        _ => return None,
    })
}

/// Seven bits at a time, the lowest first (LEB128).
pub(crate) fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

pub(crate) fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads what was written so.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> LayerIndex {
        let mut index = LayerIndex::empty();
        let entry = |parent, kind| Entry::new(parent, kind);
        let directory = Entry {
            is_opaque: true,
            mode: 0o755,
            uid: 1000,
            gid: u32::MAX,
            ..entry(0, Kind::Directory)
        };
        let file = Entry {
            size: u64::MAX,
            digest: [7; 32],
            ..entry(1, Kind::File)
        };
        let linked = Entry {
            same_as: Some(2),
            ..entry(0, Kind::File)
        };
        for (entry, name, target) in [
            (directory, "directory", ""),
            (file, "file", ""),
            (linked, "linked", ""),
            (entry(0, Kind::Symlink), "link", "directory/file"),
            (entry(1, Kind::Whiteout), "gone", ""),
        ] {
            index.push(entry, name.as_bytes(), target.as_bytes()).unwrap();
        }
        index
    }

    #[test]
    fn what_was_written_is_read() {
        let index = index();
        assert_eq!(LayerIndex::from_bytes(&index.to_bytes()), Some(index));
    }

    #[test]
    fn what_is_damaged_is_not_believed() {
        let bytes = index().to_bytes();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(LayerIndex::from_bytes(&damaged), None, "{at}");
            assert_eq!(LayerIndex::from_bytes(&bytes[..at]), None, "{at}");
        }
    }

    #[test]
    fn whatever_has_a_digest_that_fits_is_no_danger() {
        let bytes = index().to_bytes();
        for at in DIGEST..bytes.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut other = bytes.clone();
                other[at] = value;
                let digest = blake3::hash(&other[DIGEST..]);
                other[..DIGEST].copy_from_slice(digest.as_bytes());
                if let Some(index) = LayerIndex::from_bytes(&other) {
                    assert_eq!(LayerIndex::from_bytes(&index.to_bytes()), Some(index));
                }
            }
        }
    }
}
