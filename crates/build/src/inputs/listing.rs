//! Lists of files that a step read: enough to say which one is different the next time.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::rc::Rc;

use kiln_layer::{Counted, Unchanged};
use rustix::fs::FileType;
use serde::Serialize;

/// Bytes of a list. What comes after is not listed; that it is different is noticed all the same.
const MOST: usize = 32 << 20;

/// Bytes of an entry of a list besides the path, at most.
const LONGEST: usize = 90;

/// Fast: a list is written whenever a file of a context changes.
const LEVEL: i32 = 1;

/// What was read, while nobody knows whether there must be a list of it: of a step that is cached there is none.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    entries: Vec<Entry>,
    /// Those of all entries, one behind the other.
    paths: Vec<u8>,
    /// The paths of what the entries' paths are relative to.
    above: Vec<Rc<str>>,
    /// Bytes of the list, at most.
    length: usize,
}

/// What was at a path: small, since there may be hundreds of thousands.
#[derive(Debug)]
struct Entry {
    /// The beginning of one.
    digest: [u8; 16],
    size: u64,
    /// Does not count, and is not listed.
    mtime: (i64, u32),
    /// Where in all paths its own ends; it begins where the one before ends.
    path_end: u32,
    /// Which of the paths it is relative to.
    above: u32,
    owner: (u32, u32),
    /// Twelve bits.
    mode: u16,
    kind: u8,
    /// Does not count either.
    is_linked: bool,
}

/// A list. Each entry is a line of what there is to say, a tab, the path, and a zero byte.
#[derive(Debug)]
pub(crate) struct Listing {
    text: Vec<u8>,
}

/// What a list says of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Look {
    /// `file`, `directory`, `link` and so on.
    pub kind: &'static str,
    /// Permissions, octal.
    pub mode: String,
    /// User and group.
    pub owner: String,
    /// Bytes.
    pub size: u64,
    /// The beginning of a digest of content and attributes; of a link, of where it leads.
    pub digest: String,
}

impl Seen {
    /// Adds what is at a path of a tree. `above` is the path of what the entry's path is relative to.
    pub(crate) fn add(&mut self, above: &Rc<str>, entry: &Counted) {
        self.length += above.len() + entry.path.len() + LONGEST;
        if self.length > MOST {
            return;
        }
        let digest = if entry.kind == FileType::Symlink {
            *blake3::hash(&entry.target).as_bytes()
        } else {
            entry.digest
        };
        if !self.above.last().is_some_and(|last| Rc::ptr_eq(last, above)) {
            self.above.push(Rc::clone(above));
        }
        self.paths.extend_from_slice(&entry.path);
        let number = |number: usize| u32::try_from(number).expect("a list has no more bytes than `MOST`");
        self.entries.push(Entry {
            digest: *digest.first_chunk().expect("digests are longer"),
            size: entry.size,
            mtime: entry.mtime,
            path_end: number(self.paths.len()),
            above: number(self.above.len() - 1),
            owner: entry.owner,
            mode: u16::try_from(entry.mode).unwrap_or(u16::MAX),
            kind: letter(entry.kind),
            is_linked: entry.is_linked,
        });
    }

    /// Each with its path.
    fn entries(&self) -> impl Iterator<Item = (&Entry, &[u8])> {
        let mut start = 0;
        self.entries.iter().map(move |entry| {
            let end = entry.path_end as usize;
            let path = &self.paths[start..end];
            start = end;
            (entry, path)
        })
    }

    /// The files that an earlier list has just so, and that have no other names; none where not one directory was read.
    pub(crate) fn unchanged<'a>(&'a self, earlier: &Listing) -> Vec<Unchanged<'a>> {
        if !self.is_directory() {
            return Vec::new();
        }
        let earlier: HashMap<&[u8], &[u8]> = earlier.entries().collect();
        let mut line = Vec::new();
        let mut is_same = |entry: &Entry, path: &[u8]| {
            line.clear();
            self.write(entry, path, &mut line);
            split(&line).is_some_and(|(path, line)| earlier.get(path) == Some(&line))
        };
        let files = self.entries().filter(|(entry, _)| entry.is_file() && !entry.is_linked);
        let same = files.filter(|(entry, path)| is_same(entry, path));
        same.map(|(entry, path)| entry.as_unchanged(path)).collect()
    }

    /// All files, of one directory that was read; none where something else was, or where there are more than are listed.
    pub(crate) fn files(&self) -> Vec<Unchanged<'_>> {
        if !self.is_directory() || self.length > MOST {
            return Vec::new();
        }
        let files = self.entries().filter(|(entry, _)| entry.is_file());
        files.map(|(entry, path)| entry.as_unchanged(path)).collect()
    }

    fn is_directory(&self) -> bool {
        let first = self.entries().next();
        first.is_some_and(|(entry, path)| entry.kind == letter(FileType::Directory) && path.is_empty())
    }

    /// The list of it, for the store.
    pub(crate) fn compressed(&self) -> std::io::Result<Vec<u8>> {
        let mut compressed = zstd::Encoder::new(Vec::new(), LEVEL)?;
        let mut line = Vec::new();
        for (entry, path) in self.entries() {
            line.clear();
            self.write(entry, path, &mut line);
            line.push(0);
            compressed.write_all(&line)?;
        }
        compressed.finish()
    }

    /// An entry as it is listed, without what ends it.
    fn write(&self, entry: &Entry, path: &[u8], text: &mut Vec<u8>) {
        entry.write(&self.above[entry.above as usize], path, text);
    }
}

impl Entry {
    fn is_file(&self) -> bool {
        self.kind == letter(FileType::RegularFile)
    }

    fn as_unchanged<'a>(&self, path: &'a [u8]) -> Unchanged<'a> {
        Unchanged {
            path,
            size: self.size,
            mtime: self.mtime,
        }
    }

    fn write(&self, above: &str, path: &[u8], text: &mut Vec<u8>) {
        let (kind, (uid, gid)) = (char::from(self.kind), self.owner);
        let line = format!(
            "{kind} {:04o} {uid}:{gid} {} {:032x}\t",
            self.mode,
            self.size,
            u128::from_be_bytes(self.digest)
        );
        text.extend_from_slice(line.as_bytes());
        text.extend_from_slice(above.as_bytes());
        if !above.is_empty() && !path.is_empty() {
            text.push(b'/');
        }
        text.extend_from_slice(path);
    }
}

impl Listing {
    /// From the store; `None` for what is none.
    pub(crate) fn decompress(bytes: &[u8]) -> Option<Self> {
        let mut text = Vec::new();
        // Earlier versions let one entry end behind the limit.
        let most = (MOST as u64) * 2;
        zstd::Decoder::new(bytes).ok()?.take(most).read_to_end(&mut text).ok()?;
        Some(Self { text })
    }

    /// What is not the same in another list: paths with what was there and what is, those of the other list that are
    /// not in this one at the end. At most `most` of them, and how many there are.
    pub(crate) fn compare<'a>(&'a self, newer: &'a Self, most: usize) -> (Vec<Changed<'a>>, usize) {
        let mut old: HashMap<&[u8], &[u8]> = self.entries().collect();
        let mut count = 0;
        let mut changed = Vec::new();
        let mut push = |path: &'a [u8], old: Option<&[u8]>, new: Option<&[u8]>| {
            count += 1;
            if changed.len() < most {
                changed.push(Changed {
                    path: String::from_utf8_lossy(path),
                    old: old.and_then(Look::parse),
                    new: new.and_then(Look::parse),
                });
            }
        };
        for (path, line) in newer.entries() {
            let before = old.remove(path);
            if before != Some(line) {
                push(path, before, Some(line));
            }
        }
        let mut gone: Vec<_> = old.into_iter().collect();
        gone.sort_unstable();
        for (path, line) in gone {
            push(path, Some(line), None);
        }
        (changed, count)
    }

    /// Paths and what is said of them.
    fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.text.split(|byte| *byte == 0).filter_map(split)
    }
}

/// The path of an entry, and what is said of it.
fn split(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let tab = entry.iter().position(|byte| *byte == b'\t')?;
    Some((&entry[tab + 1..], &entry[..tab]))
}

/// A path at which two lists differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changed<'a> {
    pub(crate) path: Cow<'a, str>,
    pub(crate) old: Option<Look>,
    pub(crate) new: Option<Look>,
}

impl Look {
    fn parse(line: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(line).ok()?.split(' ');
        let mut next = || words.next();
        Some(Self {
            kind: word(next()?),
            mode: next()?.to_owned(),
            owner: next()?.to_owned(),
            size: next()?.parse().ok()?,
            digest: next()?.to_owned(),
        })
    }
}

const fn letter(kind: FileType) -> u8 {
    match kind {
        FileType::RegularFile => b'f',
        FileType::Directory => b'd',
        FileType::Symlink => b'l',
        FileType::Fifo => b'p',
        FileType::Socket => b's',
        FileType::CharacterDevice => b'c',
        FileType::BlockDevice => b'b',
        FileType::Unknown => b'?',
    }
}

fn word(letter: &str) -> &'static str {
    match letter {
        "f" => "file",
        "d" => "directory",
        "l" => "link",
        "p" => "pipe",
        "s" => "socket",
        "c" | "b" => "device",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::AsFd as _;
    use std::path::Path;

    use kiln_layer::{DigestOptions, digest_tree};

    use super::*;

    fn listing(directory: &Path) -> Listing {
        let mut seen = Seen::default();
        let options = DigestOptions {
            owner: Some((0, 0)),
            ..DigestOptions::default()
        };
        let root = File::open(directory).unwrap();
        let above = Rc::from("src");
        digest_tree(root.as_fd(), Path::new(""), &options, &mut |entry| {
            seen.add(&above, &entry);
        })
        .unwrap();
        Listing::decompress(&seen.compressed().unwrap()).unwrap()
    }

    #[test]
    fn says_what_is_new_changed_and_gone() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in ["changed", "gone", "same"] {
            fs::write(at(name), name).unwrap();
        }
        let old = listing(directory.path());
        fs::write(at("changed"), "CHANGED").unwrap();
        fs::write(at("new"), "").unwrap();
        fs::remove_file(at("gone")).unwrap();
        let new = listing(directory.path());
        let (changed, count) = old.compare(&new, 10);
        let paths: Vec<_> = changed.iter().map(|each| &*each.path).collect();
        assert_eq!(count, 3);
        assert_eq!(paths[2], "src/gone");
        for each in &changed {
            match &*each.path {
                "src/changed" => assert_ne!(each.old.as_ref().unwrap().digest, each.new.as_ref().unwrap().digest),
                "src/new" => assert_eq!((each.old.is_none(), each.new.as_ref().unwrap().size), (true, 0)),
                "src/gone" => assert!(each.new.is_none()),
                other => panic!("{other} did not change"),
            }
        }
        assert_eq!(old.compare(&new, 1).0.len(), 1);
        assert_eq!(old.compare(&old, 10).1, 0);
    }
}
