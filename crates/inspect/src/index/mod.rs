//! What is in a layer, in little memory: 72 bytes and its name for a file.

pub(crate) mod bytes;
mod excerpts;
mod scan;
mod survey;
mod tar;

use kiln_store::{LayerId, Store};

use crate::error::Error;
pub(crate) use excerpts::{Excerpt, Excerpts, LARGEST_COPYRIGHT, Program};
pub(crate) use scan::open;
pub(crate) use survey::Survey;
pub use survey::remembered_bytes;
pub(crate) use tar::{components, content};

/// What indexes of the store are written as. Others are made anew.
const FORMAT: u32 = 1;

/// What an entry of a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A directory.
    Directory = 0,
    /// A regular file, perhaps under one of several names.
    File = 1,
    /// A symbolic link.
    Symlink = 2,
    /// A character device.
    Char = 3,
    /// A block device.
    Block = 4,
    /// A named pipe.
    Fifo = 5,
    /// Nothing, in place of what lower layers have there.
    Whiteout = 6,
}

/// A name in a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The entry of the directory that it is in; the root is its own.
    pub parent: u32,
    name_start: u32,
    name_length: u16,
    target_length: u16,
    /// What it is.
    pub kind: Kind,
    /// Of a directory: whether what lower layers have in it is hidden.
    pub is_opaque: bool,
    /// Of a directory: whether nothing is said of it but that something is in it.
    pub is_implied: bool,
    /// Permissions, with setuid, setgid and sticky.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes of a file; 0 for all else, and for further names of a file.
    pub size: u64,
    /// Of a further name of a file: the entry that has its first name.
    pub same_as: Option<u32>,
    /// Digest of a file's content (blake3); zeros for all else, and for further names.
    pub digest: [u8; 32],
}

impl Entry {
    pub(crate) fn new(parent: u32, kind: Kind) -> Self {
        Self {
            parent,
            name_start: 0,
            name_length: 0,
            target_length: 0,
            kind,
            is_opaque: false,
            is_implied: false,
            mode: 0,
            uid: 0,
            gid: 0,
            size: 0,
            same_as: None,
            digest: [0; 32],
        }
    }
}

/// What is in a layer. The first entry is the root; a directory comes before what is in it.
#[derive(Debug, Clone)]
pub struct LayerIndex {
    /// Names, each followed by where its link leads.
    text: Vec<u8>,
    entries: Vec<Entry>,
}

/// Where names happen to be kept makes no difference.
impl PartialEq for LayerIndex {
    fn eq(&self, other: &Self) -> bool {
        let alike = |(a, b): (&Entry, &Entry)| {
            let a_as_b = Entry {
                name_start: b.name_start,
                ..a.clone()
            };
            a_as_b == *b && self.name(a) == other.name(b) && self.target(a) == other.target(b)
        };
        self.entries.len() == other.entries.len() && self.entries.iter().zip(&other.entries).all(alike)
    }
}

impl Eq for LayerIndex {}

/// It does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMuch;

impl LayerIndex {
    /// The index of an empty layer.
    pub(crate) fn empty() -> Self {
        let mut root = Entry::new(0, Kind::Directory);
        root.is_implied = true;
        Self {
            text: Vec::new(),
            entries: vec![root],
        }
    }

    /// The index of a layer of the store, which is made and kept if there is none yet.
    pub fn of_layer(store: &Store, layer: &LayerId) -> Result<Self, Error> {
        if let Some(index) = Self::known(store, layer)? {
            return Ok(index);
        }
        let index = Self::of_directory(&store.layer_path(layer))?;
        store.put_layer_index(layer, FORMAT, &index.to_bytes())?;
        Ok(index)
    }

    /// The index of a layer of the store, if somebody made it already.
    pub fn known(store: &Store, layer: &LayerId) -> Result<Option<Self>, kiln_store::Error> {
        let bytes = store.layer_index(layer, FORMAT)?;
        Ok(bytes.and_then(|bytes| Self::from_bytes(&bytes)))
    }

    /// Whether the store has the index of one of its layers already.
    pub fn is_known(store: &Store, layer: &LayerId) -> Result<bool, Error> {
        Ok(store.has_layer_index(layer, FORMAT)?)
    }

    /// Adds an entry, and gives its number.
    pub(crate) fn push(&mut self, mut entry: Entry, name: &[u8], target: &[u8]) -> Result<u32, TooMuch> {
        entry.name_start = u32::try_from(self.text.len()).map_err(|_| TooMuch)?;
        entry.name_length = u16::try_from(name.len()).map_err(|_| TooMuch)?;
        entry.target_length = u16::try_from(target.len()).map_err(|_| TooMuch)?;
        let number = u32::try_from(self.entries.len()).map_err(|_| TooMuch)?;
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(target);
        self.entries.push(entry);
        Ok(number)
    }

    /// All entries, the root first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// An entry by its number, which must be one of this index.
    pub fn entry(&self, number: u32) -> &Entry {
        &self.entries[number as usize]
    }

    pub(crate) fn entry_mut(&mut self, number: u32) -> &mut Entry {
        &mut self.entries[number as usize]
    }

    /// The name of an entry in its directory; empty for the root.
    pub fn name(&self, entry: &Entry) -> &[u8] {
        let start = entry.name_start as usize;
        &self.text[start..start + usize::from(entry.name_length)]
    }

    /// The path of an entry, without a slash before it; empty for the root.
    pub fn path(&self, number: u32) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = number;
        while at != 0 {
            let entry = self.entry(at);
            names.push(self.name(entry));
            at = entry.parent;
        }
        names.reverse();
        names.join(&b'/')
    }

    /// Where a symbolic link leads; empty for all else.
    pub fn target(&self, entry: &Entry) -> &[u8] {
        let start = entry.name_start as usize + usize::from(entry.name_length);
        &self.text[start..start + usize::from(entry.target_length)]
    }

    /// The entry with the first name of a file: itself if it has one name.
    pub fn first_name(&self, number: u32) -> u32 {
        self.entry(number).same_as.unwrap_or(number)
    }

    /// The path of a file or link of that name, the first there is.
    pub fn find_named(&self, name: &[u8]) -> Option<Vec<u8>> {
        let is_one = |entry: &&Entry| matches!(entry.kind, Kind::File | Kind::Symlink) && self.name(entry) == name;
        let mut entry = self.entries.iter().find(is_one)?;
        let mut names = vec![name];
        while entry.parent != 0 {
            entry = self.entry(entry.parent);
            names.push(self.name(entry));
        }
        names.reverse();
        Some(names.join(&b'/'))
    }

    /// The entries that have names of the file of which that one has the first.
    pub(crate) fn names_of(&self, first: u32) -> impl Iterator<Item = u32> {
        let entries = (0..).zip(&self.entries);
        let is_one = move |(number, entry): &(u32, &Entry)| *number == first || entry.same_as == Some(first);
        entries.filter(is_one).map(|(number, _)| number)
    }

    /// Bytes of all files, each counted once whatever its names.
    pub fn bytes(&self) -> u64 {
        self.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.size))
    }

    /// How many names of files and other things there are, directories and whiteouts aside.
    pub fn files(&self) -> usize {
        let counts = |entry: &&Entry| !matches!(entry.kind, Kind::Directory | Kind::Whiteout);
        self.entries.iter().filter(counts).count()
    }
}
