//! The index of a layer's tar: what a directory's would be after it was unpacked, whatever the order of the entries.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::io::Read;
use std::path::Path;

use kiln_layer::tar::{self, Reader};

use super::excerpts::{Excerpt, Excerpts, Keeper};
use super::{Entry, Kind, LayerIndex, TooMuch};
use crate::error::Error;

/// More entries are not looked into: they would take gigabytes.
const MOST: usize = 8 << 20;

/// Archives promise sizes; holes of sparse files are digested, up to so many bytes in all.
const MOST_HOLES: u64 = 64 << 30;

/// How many links lead to one another.
const MOST_LINKS: usize = 16;

/// No entry.
const NONE: u32 = u32::MAX;

impl LayerIndex {
    /// Of a layer's tar, compressed or not, in the order that it happens to have. `name` is what errors call it.
    pub fn of_tar(archive: impl Read, name: &Path) -> Result<Self, Error> {
        Ok(read(archive, name, &mut Keeper::of_nothing())?.0)
    }
}

/// The index of a tar, and what `keeper` keeps of its files' contents.
pub(super) fn read(archive: impl Read, name: &Path, keeper: &mut Keeper) -> Result<(LayerIndex, Excerpts), Error> {
    let tar = kiln_layer::uncompressed(archive).map_err(Error::layer(name))?;
    let mut reader = Reader::new(tar);
    let mut names = Names::new();
    let mut holes = MOST_HOLES;
    let too_much = || Error::TooMuch { layer: name.to_owned() };
    while let Some(entry) = reader.next_entry().map_err(Error::layer(name))? {
        keeper.begin(&entry);
        let digest = content(&mut reader, &entry, &mut holes, &mut |piece| keeper.piece(piece));
        let digest = digest.map_err(Error::layer(name))?.ok_or_else(too_much)?;
        let excerpt = keeper.end().map_err(|TooMuch| too_much())?;
        names.add(&entry, digest, excerpt)?.ok_or_else(too_much)?;
    }
    names.index().map_err(|TooMuch| too_much())
}

/// The digest of what the entry holds, holes included; `None` if there are too many of them. `each` is given the same bytes.
pub(crate) fn content<R: Read>(
    reader: &mut Reader<R>,
    entry: &tar::Entry,
    holes: &mut u64,
    each: &mut dyn FnMut(&[u8]),
) -> Result<Option<[u8; 32]>, kiln_layer::Error> {
    let mut hasher = blake3::Hasher::new();
    let mut take = |piece: &[u8]| {
        hasher.update(piece);
        each(piece);
    };
    let mut buffer = vec![0; 64 << 10];
    let whole = [(0, entry.size)];
    let mut at = 0;
    for (start, length) in entry.sparse.as_deref().unwrap_or(&whole) {
        if !hole(&mut take, holes, start.saturating_sub(at)) {
            return Ok(None);
        }
        let mut left = *length;
        while left > 0 {
            let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            match reader.read_content(&mut buffer[..most])? {
                0 => break,
                count => {
                    take(&buffer[..count]);
                    left -= count as u64;
                }
            }
        }
        at = start.saturating_add(*length);
    }
    let is_whole = hole(&mut take, holes, entry.size.saturating_sub(at));
    Ok(is_whole.then(|| *hasher.finalize().as_bytes()))
}

fn hole(take: &mut dyn FnMut(&[u8]), holes: &mut u64, mut length: u64) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    let Some(rest) = holes.checked_sub(length) else {
        return false;
    };
    *holes = rest;
    while length > 0 {
        let count = usize::try_from(length).map_or(ZEROS.len(), |length| length.min(ZEROS.len()));
        take(&ZEROS[..count]);
        length -= count as u64;
    }
    true
}

/// The names of a path, which may have slashes and dots where they mean nothing.
pub(crate) fn components(path: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let mut components = Vec::new();
    for component in path.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                let path = crate::error::path(path.to_vec());
                return Err(Error::Outside { path });
            }
            name => components.push(name),
        }
    }
    Ok(components)
}

/// What a tar says so far: an index in the order of the tar, and what is only known at the end.
struct Names {
    index: LayerIndex,
    hasher: RandomState,
    /// The last entry whose directory and name have that hash; `others` leads to those before.
    by_name: HashMap<u64, u32>,
    others: Vec<u32>,
    /// Hard links, and the files that they are said to be.
    links: HashMap<u32, Vec<u8>>,
    excerpts: Excerpts,
    /// Directories of which lower layers' content is hidden.
    opaque: Vec<u32>,
    /// What lower layers have and this one deletes: directory and name.
    deleted: Vec<(u32, Vec<u8>)>,
}

impl Names {
    fn new() -> Self {
        Self {
            index: LayerIndex::empty(),
            hasher: RandomState::new(),
            by_name: HashMap::new(),
            others: vec![NONE],
            links: HashMap::new(),
            excerpts: Excerpts::default(),
            opaque: Vec::new(),
            deleted: Vec::new(),
        }
    }

    /// `None` if there is too much.
    fn add(&mut self, entry: &tar::Entry, digest: [u8; 32], excerpt: Option<Excerpt>) -> Result<Option<()>, Error> {
        let names = components(&entry.path)?;
        let link = match entry.kind {
            tar::Kind::Link => Some(components(&entry.link)?.join(&b'/')),
            _ => None,
        };
        Ok(self.add_named(&names, entry, digest, link, excerpt).ok())
    }

    fn add_named(
        &mut self,
        names: &[&[u8]],
        entry: &tar::Entry,
        digest: [u8; 32],
        link: Option<Vec<u8>>,
        excerpt: Option<Excerpt>,
    ) -> Result<(), TooMuch> {
        let Some((name, directory)) = names.split_last() else {
            if entry.kind == tar::Kind::Directory {
                *self.index.entry_mut(0) = describe(entry, digest);
            }
            return Ok(());
        };
        let mut parent = 0;
        for name in directory {
            parent = self.get_or_imply(parent, name)?;
        }
        if let Some(marked) = name.strip_prefix(b".wh.") {
            if marked == b".wh..opq" {
                self.opaque.push(parent);
            } else if !marked.is_empty() && !marked.starts_with(b".wh.") {
                self.deleted.push((parent, marked.to_vec()));
            }
            return if self.deleted.len() + self.opaque.len() > MOST {
                Err(TooMuch)
            } else {
                Ok(())
            };
        }
        let target: &[u8] = if entry.kind == tar::Kind::Symlink {
            &entry.link
        } else {
            b""
        };
        let number = self.put(parent, name, describe(entry, digest), target)?;
        self.links.remove(&number);
        self.excerpts.set(number, excerpt);
        self.links.extend(link.map(|link| (number, link)));
        Ok(())
    }

    fn find(&self, parent: u32, name: &[u8]) -> Option<u32> {
        let mut number = *self.by_name.get(&self.hasher.hash_one((parent, name)))?;
        while number != NONE {
            let entry = self.index.entry(number);
            if entry.parent == parent && self.index.name(entry) == name {
                return Some(number);
            }
            number = self.others[number as usize];
        }
        None
    }

    fn get_or_imply(&mut self, parent: u32, name: &[u8]) -> Result<u32, TooMuch> {
        match self.find(parent, name) {
            Some(number) => Ok(number),
            None => self.put(parent, name, implied(), b""),
        }
    }

    /// What the tar says last is what counts.
    fn put(&mut self, parent: u32, name: &[u8], mut entry: Entry, target: &[u8]) -> Result<u32, TooMuch> {
        if self.index.entries.len() > MOST {
            return Err(TooMuch);
        }
        entry.parent = parent;
        let Some(number) = self.find(parent, name) else {
            let number = self.index.push(entry, name, target)?;
            let before = self.by_name.insert(self.hasher.hash_one((parent, name)), number);
            self.others.push(before.unwrap_or(NONE));
            return Ok(number);
        };
        let last = self.index.push(entry, name, target)?;
        let last = self.index.entries.swap_remove(last as usize);
        *self.index.entry_mut(number) = last;
        Ok(number)
    }

    fn index(mut self) -> Result<(LayerIndex, Excerpts), TooMuch> {
        self.place_marks()?;
        self.link();
        let Self {
            index, mut excerpts, ..
        } = self;
        let (index, places) = sorted(index);
        excerpts.renumber(&places);
        Ok((index, excerpts))
    }

    /// Marks are of what lower layers have: what the same tar has there stays. What is below something that is no
    /// directory could not be unpacked: that is one, then.
    fn place_marks(&mut self) -> Result<(), TooMuch> {
        let opaque: HashSet<u32> = std::mem::take(&mut self.opaque).into_iter().collect();
        let parents: HashSet<u32> = self.index.entries[1..].iter().map(|entry| entry.parent).collect();
        let deleted = std::mem::take(&mut self.deleted);
        let above = deleted.iter().map(|(parent, _)| *parent);
        let directories: HashSet<u32> = parents.into_iter().chain(above).chain(opaque.iter().copied()).collect();
        for number in directories {
            let entry = self.index.entry_mut(number);
            if entry.kind != Kind::Directory {
                *entry = Entry {
                    parent: entry.parent,
                    name_start: entry.name_start,
                    name_length: entry.name_length,
                    ..implied()
                };
                self.links.remove(&number);
                self.excerpts.set(number, None);
            }
        }
        for number in opaque {
            self.index.entry_mut(number).is_opaque = true;
        }
        for (parent, name) in deleted {
            match self.find(parent, &name) {
                Some(number) if self.index.entry(number).kind == Kind::Directory => {
                    self.index.entry_mut(number).is_opaque = true;
                }
                Some(_) => {}
                None => {
                    self.put(parent, &name, Entry::new(0, Kind::Whiteout), b"")?;
                }
            }
        }
        Ok(())
    }

    /// Hard links become further names of their files. A link to what the tar does not have is one to a lower layer's
    /// file, of which unpacking makes a copy; nothing is known of its content.
    fn link(&mut self) {
        let links: Vec<(u32, u32)> = self
            .links
            .iter()
            .filter_map(|(number, path)| Some((*number, self.file(path)?)))
            .collect();
        for (number, file) in links {
            if number != file {
                self.index.entry_mut(number).same_as = Some(file);
            }
        }
    }

    /// The file that a hard link leads to, perhaps by others.
    fn file(&self, path: &[u8]) -> Option<u32> {
        let mut path = path;
        for _ in 0..MOST_LINKS {
            let mut number = 0;
            for name in path.split(|byte| *byte == b'/') {
                number = self.find(number, name)?;
            }
            match self.links.get(&number) {
                Some(next) => path = next,
                None => return (self.index.entry(number).kind == Kind::File).then_some(number),
            }
        }
        None
    }
}

fn implied() -> Entry {
    Entry {
        is_implied: true,
        ..Entry::new(0, Kind::Directory)
    }
}

/// The index in the order of a walk, depth first by name, and the new number of each entry. Of several names of a file
/// the first has its content.
fn sorted(mut index: LayerIndex) -> (LayerIndex, Vec<u32>) {
    let order = order(&index);
    let mut places = vec![0; order.len()];
    for (place, number) in (0..).zip(&order) {
        places[*number as usize] = place;
    }
    drop(order);
    for entry in &mut index.entries {
        entry.parent = places[entry.parent as usize];
        entry.same_as = entry.same_as.map(|file| places[file as usize]);
    }
    permute(&mut index.entries, &places);
    lead(&mut index, &mut places);
    (index, places)
}

/// The entries' numbers in the order of a walk.
fn order(index: &LayerIndex) -> Vec<u32> {
    let count = u32::try_from(index.entries.len()).unwrap_or(NONE);
    let mut children: Vec<u32> = (1..count).collect();
    children.sort_unstable_by(|a, b| {
        let (a, b) = (index.entry(*a), index.entry(*b));
        (a.parent, index.name(a)).cmp(&(b.parent, index.name(b)))
    });
    let of = |parent: u32| {
        let start = children.partition_point(|child| index.entry(*child).parent < parent);
        let end = children.partition_point(|child| index.entry(*child).parent <= parent);
        children[start..end].iter()
    };
    let mut order = vec![0];
    let mut open = vec![of(0)];
    while let Some(rest) = open.last_mut() {
        match rest.next() {
            Some(child) => {
                order.push(*child);
                if index.entry(*child).kind == Kind::Directory {
                    open.push(of(*child));
                }
            }
            None => {
                open.pop();
            }
        }
    }
    order
}

/// Moves each entry to its place, without a second list of them.
fn permute(entries: &mut [Entry], places: &[u32]) {
    let mut places = places.to_vec();
    for at in 0..entries.len() {
        while places[at] as usize != at {
            let place = places[at] as usize;
            entries.swap(at, place);
            places.swap(at, place);
        }
    }
}

/// Has the first name of each file have its content.
fn lead(index: &mut LayerIndex, places: &mut [u32]) {
    let mut leaders: HashMap<u32, u32> = HashMap::new();
    for (number, entry) in (0..).zip(&index.entries) {
        if let Some(file) = entry.same_as.filter(|file| *file > number) {
            leaders.entry(file).or_insert(number);
        }
    }
    if leaders.is_empty() {
        return;
    }
    for (file, leader) in &leaders {
        let old = index.entry_mut(*file);
        let (size, digest) = (std::mem::take(&mut old.size), std::mem::take(&mut old.digest));
        let first = index.entry_mut(*leader);
        (first.size, first.digest) = (size, digest);
    }
    for (number, entry) in (0..).zip(&mut index.entries) {
        let leader = |file: u32| leaders.get(&file).copied();
        entry.same_as = match entry.same_as {
            Some(file) => Some(leader(file).unwrap_or(file)).filter(|first| *first != number),
            None => leader(number),
        };
    }
    for place in places {
        *place = leaders.get(place).copied().unwrap_or(*place);
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
