//! The index of a layer's tar: what a directory's would be after it was unpacked.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use kiln_layer::tar::{self, Reader};

use super::{Entry, Kind, LayerIndex, TooMuch};
use crate::error::Error;

/// More entries are not looked into: they would take gigabytes.
const MOST: usize = 8 << 20;

/// Archives promise sizes; holes of sparse files are digested, up to so many bytes in all.
const MOST_HOLES: u64 = 64 << 30;

/// The components of a path: in their order a directory comes before what is in it.
type Components = Vec<Vec<u8>>;

/// What a tar says of a path.
#[derive(Debug)]
struct Said {
    entry: Entry,
    target: Vec<u8>,
    /// Of a hard link: the path of the file.
    file: Option<Components>,
}

/// What a tar says so far.
#[derive(Debug, Default)]
struct Paths {
    said: BTreeMap<Components, Said>,
    opaque: Vec<Components>,
    deleted: Vec<Components>,
}

impl LayerIndex {
    /// Of a layer's tar, compressed or not, in the order that it happens to have. `name` is what errors call it.
    pub fn of_tar(archive: impl Read, name: &Path) -> Result<Self, Error> {
        let tar = kiln_layer::uncompressed(archive).map_err(Error::layer(name))?;
        let mut reader = Reader::new(tar);
        let mut paths = Paths::default();
        let mut holes = MOST_HOLES;
        let too_much = || Error::TooMuch { layer: name.to_owned() };
        while let Some(entry) = reader.next_entry().map_err(Error::layer(name))? {
            let digest = content(&mut reader, &entry, &mut holes).map_err(Error::layer(name))?;
            paths.add(&entry, digest.ok_or_else(too_much)?)?;
            if paths.said.len() + paths.opaque.len() + paths.deleted.len() > MOST {
                return Err(too_much());
            }
        }
        paths.index().map_err(|TooMuch| too_much())
    }
}

/// The digest of what the entry holds, holes included; `None` if there are too many of them.
fn content<R: Read>(
    reader: &mut Reader<R>,
    entry: &tar::Entry,
    holes: &mut u64,
) -> Result<Option<[u8; 32]>, kiln_layer::Error> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 64 << 10];
    let whole = [(0, entry.size)];
    let mut at = 0;
    for (start, length) in entry.sparse.as_deref().unwrap_or(&whole) {
        if !hole(&mut hasher, holes, start.saturating_sub(at)) {
            return Ok(None);
        }
        let mut left = *length;
        while left > 0 {
            let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            match reader.read_content(&mut buffer[..most])? {
                0 => break,
                count => {
                    hasher.update(&buffer[..count]);
                    left -= count as u64;
                }
            }
        }
        at = start.saturating_add(*length);
    }
    Ok(hole(&mut hasher, holes, entry.size.saturating_sub(at)).then(|| *hasher.finalize().as_bytes()))
}

fn hole(hasher: &mut blake3::Hasher, holes: &mut u64, mut length: u64) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    let Some(rest) = holes.checked_sub(length) else {
        return false;
    };
    *holes = rest;
    while length > 0 {
        let count = usize::try_from(length).map_or(ZEROS.len(), |length| length.min(ZEROS.len()));
        hasher.update(&ZEROS[..count]);
        length -= count as u64;
    }
    true
}

fn components(path: &[u8]) -> Result<Components, Error> {
    let mut components = Vec::new();
    for component in path.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                use std::os::unix::ffi::OsStrExt as _;
                let path = PathBuf::from(std::ffi::OsStr::from_bytes(path));
                return Err(Error::Outside { path });
            }
            name => components.push(name.to_vec()),
        }
    }
    Ok(components)
}

impl Paths {
    fn add(&mut self, entry: &tar::Entry, digest: [u8; 32]) -> Result<(), Error> {
        let mut path = components(&entry.path)?;
        if let Some(name) = path.last().and_then(|name| name.strip_prefix(b".wh.")) {
            let name = name.to_vec();
            path.pop();
            if name == b".wh..opq" {
                self.opaque.push(path);
            } else if !name.is_empty() && !name.starts_with(b".wh.") {
                path.push(name);
                self.deleted.push(path);
            }
            return Ok(());
        }
        let mut said = Said {
            entry: describe(entry, digest),
            target: Vec::new(),
            file: None,
        };
        match entry.kind {
            tar::Kind::Symlink => said.target.clone_from(&entry.link),
            tar::Kind::Link => said.file = Some(components(&entry.link)?),
            _ => {}
        }
        if said.entry.kind != Kind::Directory && path.is_empty() {
            return Ok(());
        }
        self.said.insert(path, said);
        Ok(())
    }

    fn index(mut self) -> Result<LayerIndex, TooMuch> {
        self.imply_directories();
        self.place_marks();
        let mut index = LayerIndex::empty();
        let mut numbers: BTreeMap<&Components, u32> = BTreeMap::new();
        let root = Components::new();
        for (path, said) in &self.said {
            let Some((name, directory)) = path.split_last() else {
                *index.entry_mut(0) = said.entry.clone();
                continue;
            };
            let parent = if directory.is_empty() {
                0
            } else {
                numbers.get(&directory.to_vec()).copied().unwrap_or_default()
            };
            let entry = Entry {
                parent,
                ..said.entry.clone()
            };
            numbers.insert(path, index.push(entry, name, &said.target)?);
        }
        numbers.insert(&root, 0);
        self.link(&mut index, &numbers);
        Ok(index)
    }

    /// Directories that nobody says anything of. What is below something that is no directory could not be unpacked: that
    /// is one, then.
    fn imply_directories(&mut self) {
        let marks = self.opaque.iter().map(|path| (path, path.len() + 1));
        let paths = self.said.keys().chain(&self.deleted).map(|path| (path, path.len()));
        let mut missing = Vec::new();
        for (path, end) in paths.chain(marks) {
            for length in (1..end).rev() {
                let directory = path[..length].to_vec();
                match self.said.get(&directory) {
                    Some(said) if said.entry.kind == Kind::Directory => break,
                    _ => missing.push(directory),
                }
            }
        }
        for directory in missing {
            let mut entry = Entry::new(0, Kind::Directory);
            entry.is_implied = true;
            let said = Said {
                entry,
                target: Vec::new(),
                file: None,
            };
            self.said.insert(directory, said);
        }
    }

    /// Marks are of what lower layers have: what the same tar has there stays.
    fn place_marks(&mut self) {
        for path in std::mem::take(&mut self.opaque) {
            let root = || Said {
                entry: Entry {
                    is_implied: true,
                    ..Entry::new(0, Kind::Directory)
                },
                target: Vec::new(),
                file: None,
            };
            self.said.entry(path).or_insert_with(root).entry.is_opaque = true;
        }
        for path in std::mem::take(&mut self.deleted) {
            match self.said.get_mut(&path) {
                Some(said) if said.entry.kind == Kind::Directory => said.entry.is_opaque = true,
                Some(_) => {}
                None => {
                    let said = Said {
                        entry: Entry::new(0, Kind::Whiteout),
                        target: Vec::new(),
                        file: None,
                    };
                    self.said.insert(path, said);
                }
            }
        }
    }

    /// Hard links become further names of their files, whichever name comes first here. A link to what the tar does not
    /// have is one to a lower layer's file, of which unpacking makes a copy; nothing is known of its content.
    fn link(&self, index: &mut LayerIndex, numbers: &BTreeMap<&Components, u32>) {
        for (path, said) in &self.said {
            let Some(mut file) = said.file.as_ref() else { continue };
            // A link to a link.
            for _ in 0..16 {
                match self.said.get(file).and_then(|said| said.file.as_ref()) {
                    Some(next) => file = next,
                    None => break,
                }
            }
            let (Some(&this), Some(&target)) = (numbers.get(path), numbers.get(file)) else {
                continue;
            };
            let first = index.first_name(target);
            if this == first || index.entry(first).kind != Kind::File {
                continue;
            }
            if this > first {
                index.entry_mut(this).same_as = Some(first);
            } else {
                self.lead(index, numbers, this, first);
            }
        }
    }

    /// `this` becomes the first name of the file whose first name was `first`.
    fn lead(&self, index: &mut LayerIndex, numbers: &BTreeMap<&Components, u32>, this: u32, first: u32) {
        let old = index.entry(first).clone();
        let entry = index.entry_mut(this);
        entry.size = old.size;
        entry.digest = old.digest;
        entry.same_as = None;
        let old = index.entry_mut(first);
        old.size = 0;
        old.digest = [0; 32];
        old.same_as = Some(this);
        for path in self
            .said
            .iter()
            .filter(|(_, said)| said.file.is_some())
            .map(|(path, _)| path)
        {
            if let Some(&number) = numbers.get(path)
                && index.entry(number).same_as == Some(first)
            {
                index.entry_mut(number).same_as = Some(this);
            }
        }
    }
}

fn describe(entry: &tar::Entry, digest: [u8; 32]) -> Entry {
    let kind = match entry.kind {
        tar::Kind::File | tar::Kind::Link => Kind::File,
        tar::Kind::Symlink => Kind::Symlink,
        tar::Kind::Char if entry.device == (0, 0) => Kind::Whiteout,
        tar::Kind::Char => Kind::Char,
        tar::Kind::Block => Kind::Block,
        tar::Kind::Directory => Kind::Directory,
        tar::Kind::Fifo => Kind::Fifo,
    };
    let holds = entry.kind == tar::Kind::File;
    Entry {
        mode: u16::try_from(entry.mode & 0o7777).unwrap_or_default(),
        uid: entry.uid,
        gid: entry.gid,
        size: if holds { entry.size } else { 0 },
        digest: if holds { digest } else { [0; 32] },
        ..Entry::new(0, kind)
    }
}
