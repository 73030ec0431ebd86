//! Content digests of trees, for cache keys.

use std::borrow::Cow;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;

use blake3::Hasher;
use rustix::fs::{FileType, OFlags, readlinkat};
use rustix::io::Errno;

use crate::copy::{Filter, FilterFn};
use crate::root::{self, clean_in_root, join, path_of};
use crate::walk::{self, Meta, Name, Next, Walk};
use crate::{Error, xattr};

/// What a file's digest is remembered by. If none of it changed, neither did content nor attributes, unless the file
/// was changed within the file system's granularity of time after it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileStat {
    /// Major and minor number of the file system.
    pub dev: (u32, u32),
    /// Inode number.
    pub ino: u64,
    /// Size in bytes.
    pub size: u64,
    /// Last change of the content: seconds since 1970 and nanoseconds.
    pub mtime: (i64, u32),
    /// Last change of anything.
    pub ctime: (i64, u32),
}

/// Remembers digests of files between builds.
///
/// An implementation must not believe an entry whose times are not clearly older than the moment at which it was put:
/// a file that is written to twice within a tick of the clock looks the same (git's "racy clean").
pub trait FileDigests: Sync {
    /// The digest that was put for a file that looked just so.
    fn get(&self, stat: &FileStat) -> Option<[u8; 32]>;
    /// Remembers a digest. The file looked like `stat` before and after it was read.
    fn put(&self, stat: &FileStat, digest: [u8; 32]);
}

/// Remembers nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFileDigests;

impl FileDigests for NoFileDigests {
    fn get(&self, _: &FileStat) -> Option<[u8; 32]> {
        None
    }

    fn put(&self, _: &FileStat, _: [u8; 32]) {}
}

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
        }
    }
}

/// What is at one path of a tree, as it counts in the tree's digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Relative to what is digested; empty for that itself.
    pub path: Vec<u8>,
    /// Its type.
    pub kind: FileType,
    /// Its permissions.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
    /// Bytes of a file; 0 for everything else.
    pub size: u64,
    /// Where a link leads.
    pub target: Vec<u8>,
    /// Of content and extended attributes; zeros where there can be neither.
    pub digest: [u8; 32],
    /// The last change of the content, which does not count: seconds since 1970 and nanoseconds.
    pub mtime: (i64, u32),
    /// Whether it has other names, which does not count either.
    pub is_linked: bool,
    device: (u32, u32),
}

/// Digests what is at `path` in `root`: names relative to `path`, type, mode, owner, target of links, content, extended
/// attributes; never times. `seen` is told of each entry that counts, in the order in which they do.
///
/// A link at `path` itself is followed within `root`. Files are read on a few threads; those that are known are not
/// read at all.
pub fn digest_tree(
    root: BorrowedFd<'_>,
    path: &Path,
    options: &DigestOptions<'_>,
    seen: &mut dyn FnMut(Counted),
) -> Result<TreeDigest, Error> {
    let threads = std::thread::available_parallelism()
        .map_or(1, std::num::NonZero::get)
        .clamp(1, 8);
    let (jobs, queue) = sync_channel::<Job>(PENDING);
    let queue = Mutex::new(queue);
    std::thread::scope(|scope| {
        let start = || {
            let spawn = |_| {
                Builder::new()
                    .name("digest".to_owned())
                    .spawn_scoped(scope, || work(&queue))
                    .map(drop)
            };
            (0..threads).try_for_each(spawn)
        };
        let top = clean_in_root(path);
        let workers = Workers {
            jobs,
            start: Box::new(start),
            started: false,
        };
        let mut digester = Digester {
            options,
            seen,
            top: &top,
            workers,
            hasher: Hasher::new(),
            buffer: Vec::new(),
            pending: Vec::new(),
            directories: Vec::new(),
            files: 0,
            bytes: 0,
        };
        digester.run(root)?;
        digester.settle()?;
        let digest = *digester.hasher.finalize().as_bytes();
        Ok(TreeDigest {
            digest,
            files: digester.files,
            bytes: digester.bytes,
        })
    })
}

/// A file's digest, and whether the file still was as before when it had been read.
type Digested = Result<([u8; 32], bool), Errno>;

/// How many entries wait for their digests at most.
const PENDING: usize = 64;

struct Job {
    source: Source,
    reply: SyncSender<Digested>,
    meta: Meta,
}

enum Source {
    Named(Arc<OwnedFd>, CString),
    Open(OwnedFd),
}

struct Workers<'a> {
    jobs: SyncSender<Job>,
    start: Box<dyn Fn() -> io::Result<()> + 'a>,
    started: bool,
}

fn work(queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { source, reply, meta }) = job else { return };
        // Nobody waits any more after an error.
        let _unwanted = reply.send(digest_file(source, &meta));
    }
}

/// The digest of content and attributes.
fn digest_file(source: Source, meta: &Meta) -> Digested {
    let file = match source {
        Source::Named(dir, name) => walk::open_file(&*dir, &name)?,
        Source::Open(file) => file,
    };
    if Meta::of_fd(&file)?.kind != FileType::RegularFile {
        return Err(Errno::STALE);
    }
    let (xattrs, _) = xattr::read(&file)?;
    let file = File::from(file);
    let mut content = Hasher::new();
    content
        .update_reader(&file)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let mut hasher = Hasher::new();
    hasher.update(content.finalize().as_bytes());
    add_xattrs(&mut hasher, &xattrs);
    Ok((*hasher.finalize().as_bytes(), Meta::of_fd(&file)? == *meta))
}

fn add_xattrs(hasher: &mut Hasher, xattrs: &xattr::Xattrs) {
    for (name, value) in xattrs {
        add_bytes(hasher, name);
        add_bytes(hasher, value);
    }
}

/// Length and bytes, so that two neighbours cannot be taken for two others.
fn add_bytes(hasher: &mut Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

struct Digester<'a, 'w> {
    options: &'a DigestOptions<'a>,
    seen: &'a mut dyn FnMut(Counted),
    top: &'a [u8],
    workers: Workers<'w>,
    hasher: Hasher,
    buffer: Vec<u8>,
    pending: Vec<Pending>,
    /// Directories that the walk is in, until something in them makes them count.
    directories: Vec<Option<Counted>>,
    files: u64,
    bytes: u64,
}

/// The digest of a file that somebody else computes.
struct Awaited {
    result: Receiver<Digested>,
    stat: FileStat,
}

/// An entry whose digest may have to be awaited.
struct Pending {
    entry: Counted,
    file: Option<Awaited>,
}

impl Digester<'_, '_> {
    fn run(&mut self, root: BorrowedFd<'_>) -> Result<(), Error> {
        let shown = path_of(self.top);
        let top = root::open(root, self.top, OFlags::PATH).map_err(Error::at("open", shown))?;
        let meta = Meta::of_fd(&top).map_err(Error::at("examine", shown))?;
        match meta.kind {
            FileType::Directory => {
                let top = walk::open_directory(&top, c".").map_err(Error::at("open", shown))?;
                self.directory(Vec::new(), &top, &meta, Filter::Include)?;
                self.walk(top)
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
                let file = root::open(root, self.top, flags).map_err(Error::at("open", shown))?;
                self.file(Vec::new(), || Source::Open(file), &meta)
            }
            _ => self.other(Vec::new(), &meta, Vec::new()),
        }
    }

    fn walk(&mut self, top: OwnedFd) -> Result<(), Error> {
        let shown = path_of(self.top);
        let mut walk = Walk::new(top).map_err(Error::at("read the directory", shown))?;
        loop {
            match walk.next().map_err(Error::at("walk", shown))? {
                Next::Name(name) => self.name(&mut walk, &name)?,
                Next::Left(_) => {
                    self.directories.pop();
                }
                Next::Done => return Ok(()),
            }
        }
    }

    fn name(&mut self, walk: &mut Walk, name: &Name) -> Result<(), Error> {
        let path = walk.path_of(&name.name);
        let full: Cow<'_, [u8]> = if self.top.is_empty() {
            Cow::Borrowed(&path)
        } else {
            Cow::Owned(join(self.top, &path))
        };
        let full = path_of(&full);
        let mut meta = None;
        let kind = match name.kind {
            FileType::Unknown => {
                meta.insert(Meta::of(walk.dir(), &name.name).map_err(Error::at("examine", full))?)
                    .kind
            }
            kind => kind,
        };
        let filter = (self.options.filter)(full, kind == FileType::Directory);
        if filter == Filter::Exclude || (filter == Filter::Descend && kind != FileType::Directory) {
            return Ok(());
        }
        if kind == FileType::Directory {
            let directory = walk::open_directory(walk.dir(), &name.name).map_err(Error::at("open", full))?;
            let meta = Meta::of_fd(&directory).map_err(Error::at("examine", full))?;
            self.directory(path.clone(), &directory, &meta, filter)?;
            return walk
                .enter(&name.name, directory)
                .map_err(Error::at("read the directory", full));
        }
        let meta = match meta {
            Some(meta) => meta,
            None => Meta::of(walk.dir(), &name.name).map_err(Error::at("examine", full))?,
        };
        self.count_directories()?;
        match meta.kind {
            FileType::RegularFile => {
                let source = || Source::Named(Arc::clone(walk.dir()), name.name.clone());
                self.file(path, source, &meta)
            }
            FileType::Symlink => {
                let target =
                    readlinkat(walk.dir(), &*name.name, Vec::new()).map_err(Error::at("read the link", full))?;
                self.other(path, &meta, target.into_bytes())
            }
            _ => self.other(path, &meta, Vec::new()),
        }
    }

    fn directory(&mut self, path: Vec<u8>, directory: &OwnedFd, meta: &Meta, filter: Filter) -> Result<(), Error> {
        let (xattrs, _) = xattr::read(directory).map_err(Error::at("read the attributes of", path_of(&path)))?;
        let mut hasher = Hasher::new();
        add_xattrs(&mut hasher, &xattrs);
        let digest = *hasher.finalize().as_bytes();
        self.directories.push(Some(Counted {
            digest,
            ..self.entry(path, meta)
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
                self.push(Pending { entry, file: None })?;
            }
        }
        Ok(())
    }

    /// What is neither directory nor file.
    fn other(&mut self, path: Vec<u8>, meta: &Meta, target: Vec<u8>) -> Result<(), Error> {
        self.files += 1;
        let entry = Counted {
            target,
            ..self.entry(path, meta)
        };
        self.push(Pending { entry, file: None })
    }

    fn file(&mut self, path: Vec<u8>, source: impl FnOnce() -> Source, meta: &Meta) -> Result<(), Error> {
        self.files += 1;
        self.bytes += meta.size;
        let entry = Counted {
            size: meta.size,
            ..self.entry(path, meta)
        };
        let stat = FileStat {
            dev: meta.dev,
            ino: meta.ino,
            size: meta.size,
            mtime: meta.mtime,
            ctime: meta.ctime,
        };
        if let Some(digest) = self.options.known.get(&stat) {
            let entry = Counted { digest, ..entry };
            return self.push(Pending { entry, file: None });
        }
        let (reply, result) = sync_channel(1);
        if !std::mem::replace(&mut self.workers.started, true) {
            (self.workers.start)().map_err(Error::at("start a thread to read", path_of(&entry.path)))?;
        }
        let job = Job {
            source: source(),
            reply,
            meta: *meta,
        };
        self.workers
            .jobs
            .send(job)
            .expect("the workers wait as long as this exists");
        self.push(Pending {
            entry,
            file: Some(Awaited { result, stat }),
        })
    }

    fn entry(&self, path: Vec<u8>, meta: &Meta) -> Counted {
        let mode = self.options.mode.filter(|_| meta.kind != FileType::Symlink);
        Counted {
            path,
            kind: meta.kind,
            mode: mode.unwrap_or(meta.mode),
            owner: self.options.owner.unwrap_or((meta.uid, meta.gid)),
            size: 0,
            target: Vec::new(),
            digest: [0; 32],
            mtime: meta.mtime,
            is_linked: meta.is_linked(),
            device: meta.device,
        }
    }

    fn push(&mut self, pending: Pending) -> Result<(), Error> {
        if pending.file.is_none() && self.pending.is_empty() {
            self.count(pending.entry);
            return Ok(());
        }
        self.pending.push(pending);
        if self.pending.len() >= PENDING {
            self.settle()
        } else {
            Ok(())
        }
    }

    /// Waits for what is pending, and adds it in order.
    fn settle(&mut self) -> Result<(), Error> {
        for Pending { mut entry, file } in std::mem::take(&mut self.pending) {
            if let Some(Awaited { result, stat }) = file {
                let shown = join(self.top, &entry.path);
                let result = result.recv().unwrap_or(Err(Errno::IO));
                let (digest, same) = result.map_err(Error::at("read", path_of(&shown)))?;
                if same {
                    self.options.known.put(&stat, digest);
                }
                entry.digest = digest;
            }
            self.count(entry);
        }
        Ok(())
    }

    fn count(&mut self, entry: Counted) {
        entry.add_to(&mut self.hasher, &mut self.buffer);
        (self.seen)(entry);
    }
}

impl Counted {
    /// Many small pieces one by one take the hasher longer than one; `buffer` is for that.
    fn add_to(&self, hasher: &mut Hasher, buffer: &mut Vec<u8>) {
        buffer.clear();
        for bytes in [&self.path, &self.target] {
            buffer.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            buffer.extend_from_slice(bytes);
        }
        let (uid, gid) = self.owner;
        let (major, minor) = self.device;
        for number in [self.kind.as_raw_mode(), self.mode, uid, gid, major, minor] {
            buffer.extend_from_slice(&number.to_le_bytes());
        }
        buffer.extend_from_slice(&self.digest);
        hasher.update(buffer);
    }
}
