//! Content digests of trees, for cache keys.
//!
//! One thread walks: it reads directories, decides which names count, and digests what was found, in order. What the
//! kernel says of each file, what is known of it, and what is in it, is looked up and read by a few more.

mod entry;
mod look;
mod queue;

use std::borrow::Cow;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use blake3::Hasher;
use rustix::fs::{FileType, OFlags};

pub use self::entry::{Counted, FileDigests, FileStat, NoFileDigests};
use self::look::{Look, Named};
use self::queue::{Item, Queue};
use crate::Error;
use crate::copy::{Filter, FilterFn};
use crate::root::{self, clean_in_root, join, path_of};
use crate::walk::{self, Meta, Name, Next, Walk};

/// The digest of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeDigest {
    /// Over everything that a copy of the tree would keep but times.
    pub digest: [u8; 32],
    /// Everything that is no directory.
    pub files: u64,
    /// Bytes of files.
    pub bytes: u64,
}

/// What of a tree counts.
#[derive(Clone, Copy)]
pub struct DigestOptions<'a> {
    /// Which files.
    pub filter: &'a FilterFn<'a>,
    /// User and group in place of those of the files.
    pub owner: Option<(u32, u32)>,
    /// The permissions in place of those of the files; links keep their own.
    pub mode: Option<u32>,
    /// What is known of files without reading them.
    pub known: &'a dyn FileDigests,
    /// Whether a file's digest is that of its content alone (blake3), its extended attributes left out. Nothing is known
    /// of such digests, nor remembered.
    pub content_only: bool,
}

impl std::fmt::Debug for DigestOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DigestOptions")
            .field("owner", &self.owner)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl Default for DigestOptions<'_> {
    /// All of it, as it is, everything read.
    fn default() -> Self {
        Self {
            filter: &|_, _| Filter::Include,
            owner: None,
            mode: None,
            known: &NoFileDigests,
            content_only: false,
        }
    }
}

/// Digests what is at `path` in `root`: names relative to `path`, type, mode, owner, target of links, content, extended
/// attributes; never times. `seen` is told of each entry that counts, in the order in which they do.
///
/// A link at `path` itself is followed within `root`. Files are looked at and read on a few threads; those that are
/// known are not read at all.
pub fn digest_tree(
    root: BorrowedFd<'_>,
    path: &Path,
    options: &DigestOptions<'_>,
    seen: &mut dyn FnMut(Counted),
) -> Result<TreeDigest, Error> {
    let top = clean_in_root(path);
    let look = Look {
        top: &top,
        owner: options.owner,
        mode: options.mode,
        known: options.known,
        content_only: options.content_only,
    };
    let mut sum = Sum::default();
    let mut count = |entry| {
        sum.add(&entry);
        seen(entry);
    };
    std::thread::scope(|scope| {
        let mut walker = Walker {
            filter: options.filter,
            look,
            queue: Queue::new(scope, look, &mut count),
            directories: Vec::new(),
        };
        walker.run(root)?;
        walker.queue.finish()
    })?;
    Ok(sum.finish())
}

/// The digest so far.
#[derive(Default)]
struct Sum {
    hasher: Hasher,
    /// Many small pieces one by one take the hasher longer than one.
    buffer: Vec<u8>,
    files: u64,
    bytes: u64,
}

impl Sum {
    fn add(&mut self, entry: &Counted) {
        self.files += u64::from(entry.kind != FileType::Directory);
        self.bytes += entry.size;
        self.buffer.clear();
        entry.write(&mut self.buffer);
        self.hasher.update(&self.buffer);
    }

    fn finish(self) -> TreeDigest {
        TreeDigest {
            digest: *self.hasher.finalize().as_bytes(),
            files: self.files,
            bytes: self.bytes,
        }
    }
}

struct Walker<'s, 'e> {
    filter: &'e FilterFn<'e>,
    look: Look<'e>,
    queue: Queue<'s, 'e>,
    /// Directories that the walk is in, until something in them makes them count.
    directories: Vec<Option<Counted>>,
}

impl Walker<'_, '_> {
    fn run(&mut self, root: BorrowedFd<'_>) -> Result<(), Error> {
        let shown = path_of(self.look.top);
        let top = root::open(root, self.look.top, OFlags::PATH).map_err(Error::at("open", shown))?;
        let meta = Meta::of_fd(&top).map_err(Error::at("examine", shown))?;
        if meta.kind != FileType::Directory {
            return self.single(root, &meta);
        }
        let top = walk::open_directory(&top, c".").map_err(Error::at("open", shown))?;
        self.directory(Vec::new(), &top, &meta, Filter::Include)?;
        self.walk(top)
    }

    /// What is digested is no directory.
    fn single(&mut self, root: BorrowedFd<'_>, meta: &Meta) -> Result<(), Error> {
        let mut entry = self.look.entry(Vec::new(), meta);
        if meta.kind == FileType::RegularFile {
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
            let open = || root::open(root, self.look.top, flags);
            let digest = self.look.known(meta).map_or_else(|| self.look.read(open()?, meta), Ok);
            entry.digest = digest.map_err(Error::at("read", path_of(self.look.top)))?;
        }
        self.queue.add(Item::Ready(entry))
    }

    fn walk(&mut self, top: OwnedFd) -> Result<(), Error> {
        let shown = path_of(self.look.top);
        let mut walk = Walk::new(top).map_err(Error::at("read the directory", shown))?;
        loop {
            match walk.next().map_err(Error::at("walk", shown))? {
                Next::Name(name) => self.name(&mut walk, name)?,
                Next::Left(_) => {
                    self.directories.pop();
                }
                Next::Done => return Ok(()),
            }
        }
    }

    fn name(&mut self, walk: &mut Walk, name: Name) -> Result<(), Error> {
        let path = walk.path_of(&name.name);
        let full: Cow<'_, [u8]> = if self.look.top.is_empty() {
            Cow::Borrowed(&path)
        } else {
            Cow::Owned(join(self.look.top, &path))
        };
        let full = path_of(&full);
        let is_directory = match name.kind {
            FileType::Unknown => {
                let meta = Meta::of(walk.dir(), &name.name).map_err(Error::at("examine", full))?;
                meta.kind == FileType::Directory
            }
            kind => kind == FileType::Directory,
        };
        let filter = (self.filter)(full, is_directory);
        if filter == Filter::Exclude || (filter == Filter::Descend && !is_directory) {
            return Ok(());
        }
        if is_directory {
            let directory = walk::open_directory(walk.dir(), &name.name).map_err(Error::at("open", full))?;
            let meta = Meta::of_fd(&directory).map_err(Error::at("examine", full))?;
            self.directory(path.clone(), &directory, &meta, filter)?;
            return walk
                .enter(&name.name, directory)
                .map_err(Error::at("read the directory", full));
        }
        self.count_directories()?;
        self.queue.add(Item::Named(Named {
            directory: Arc::clone(walk.dir()),
            name: name.name,
            path,
        }))
    }

    fn directory(&mut self, path: Vec<u8>, directory: &OwnedFd, meta: &Meta, filter: Filter) -> Result<(), Error> {
        let look = look::attributes(directory);
        let (digest, is_opaque) = look.map_err(Error::at("read the attributes of", path_of(&path)))?;
        self.directories.push(Some(Counted {
            digest,
            is_opaque,
            ..self.look.entry(path, meta)
        }));
        if filter == Filter::Include {
            self.count_directories()
        } else {
            Ok(())
        }
    }

    /// The directories at hand count, because something in them does.
    fn count_directories(&mut self) -> Result<(), Error> {
        let first = self
            .directories
            .iter()
            .rposition(Option::is_none)
            .map_or(0, |last| last + 1);
        for index in first..self.directories.len() {
            if let Some(entry) = self.directories[index].take() {
                self.queue.add(Item::Ready(entry))?;
            }
        }
        Ok(())
    }
}
