//! A layer directory to a tar.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use kiln_image::{Digest, Hasher};
use rustix::fs::{CWD, FileType, Mode, OFlags, SeekFrom, openat, readlinkat, seek};
use rustix::io::Errno;

use crate::Error;
use crate::root::{bytes_of, clean_in_root, join, path_of};
use crate::tar::{Entry, Kind, Writer, at_most};
use crate::times::Times;
use crate::walk::{self, FileId, Meta, Name, Next, Walk};
use crate::xattr;

/// What goes before the name of a deleted file.
pub(crate) const WHITEOUT: &[u8] = b".wh.";
/// The name that makes its directory opaque.
pub(crate) const OPAQUE_NAME: &[u8] = b".wh..wh..opq";

/// How a tar is made.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct PackOptions {
    /// What becomes of times.
    pub times: Times,
}

impl PackOptions {
    /// Options for such times.
    #[must_use]
    pub fn of(times: Times) -> Self {
        Self { times }
    }
}

/// What was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PackStats {
    /// Entries of the tar, whiteouts included.
    pub entries: u64,
    /// Length of the tar in bytes.
    pub tar_size: u64,
}

/// Writes the tar of a layer directory (overlayfs's upper format).
///
/// The bytes depend on the directory's content and metadata alone. Entries are sorted by path, a directory before what
/// is in it; there is none for the top. Times are whole seconds, owners are numbers. Sockets are left out.
///
/// Memory is bounded by the largest directory and by the number of files with several names.
pub fn pack<W: Write>(dir: &Path, options: &PackOptions, out: W) -> Result<PackStats, Error> {
    let mut packer = Packer::new(options, Format::Layer, out);
    packer.tree(open_top(dir)?)?;
    packer.end()
}

/// Writes one tar of merged trees, in which whiteouts and opaque directories mean nothing, each below its place: an empty
/// one is the top. Who puts two trees at one place sees to it that they do not [`overlap`](crate::overlap).
pub fn pack_trees<W: Write>(
    trees: &[(&Path, BorrowedFd<'_>)],
    options: &PackOptions,
    out: W,
) -> Result<PackStats, Error> {
    let mut packer = Packer::new(options, Format::Tree, out);
    for (place, tree) in trees {
        let top = walk::open_directory(tree, c".").map_err(Error::at("open the directory", "."))?;
        bytes_of(place).clone_into(&mut packer.place);
        if !packer.place.is_empty() {
            packer.put(&Entry::new([&packer.place[..], b"/"].concat(), Kind::Directory, 0o755))?;
        }
        packer.tree(top)?;
    }
    packer.end()
}

/// Writes the tar of a directory that is to be had again as it is ([`unpack_whole`](crate::unpack_whole)): times to the
/// nanosecond, and whiteouts and opaque directories mean nothing. Sockets and devices are left out.
pub fn pack_whole<W: Write>(dir: &Path, out: W) -> Result<PackStats, Error> {
    let options = PackOptions::default();
    let mut packer = Packer::new(&options, Format::Whole, out);
    packer.tree(open_top(dir)?)?;
    packer.end()
}

/// Writes the tar of one path of a merged tree: its entries begin with `name`, or, where that is empty, are those of what is
/// in the directory. A link that the path itself is stays one, unless `follow`.
///
/// The path is looked up as if the tree were the root file system.
pub fn pack_path<W: Write>(
    tree: BorrowedFd<'_>,
    path: &Path,
    name: &Path,
    follow: bool,
    options: &PackOptions,
    out: W,
) -> Result<PackStats, Error> {
    let (directory, own) = locate(tree, path, follow)?;
    let kind = Meta::of(&directory, &own).map_err(Error::at("examine", path))?.kind;
    let mut packer = Packer::new(options, Format::Tree, out);
    let own = Name { name: own, kind };
    let place = bytes_of(name);
    let top = if place.is_empty() {
        let top = walk::open_directory(&directory, &own.name);
        Some(top.map_err(Error::at("open the directory", path))?)
    } else {
        packer.name(directory.as_fd(), &own, place)?
    };
    if let Some(top) = top {
        place.clone_into(&mut packer.place);
        packer.tree(top)?;
    }
    packer.end()
}

/// The directory that a path is in and its name there, once links are followed that lead to it and, where that is wanted, the
/// one that it is.
fn locate(tree: BorrowedFd<'_>, path: &Path, follow: bool) -> Result<(OwnedFd, CString), Error> {
    const MAX_LINKS: usize = 40;
    let fail = |errno| Error::at("open", path)(errno);
    let mut raw = clean_in_root(path);
    for _ in 0..MAX_LINKS {
        let (above, name) = crate::root::split(&raw);
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        if matches!(name, b"" | b"." | b"..") {
            return Ok((crate::root::open(tree, &raw, flags).map_err(fail)?, c".".to_owned()));
        }
        let directory = crate::root::open(tree, above, flags).map_err(fail)?;
        let name = CString::new(name).map_err(|_| fail(Errno::INVAL))?;
        match readlinkat(&directory, &*name, Vec::new()) {
            Ok(target) if follow && target.as_bytes().starts_with(b"/") => raw = target.into_bytes(),
            Ok(target) if follow => raw = join(above, target.as_bytes()),
            Ok(_) | Err(Errno::INVAL) => return Ok((directory, name)),
            Err(errno) => return Err(fail(errno)),
        }
    }
    Err(fail(Errno::LOOP))
}

fn open_top(dir: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, dir, flags, Mode::empty()).map_err(Error::at("open the directory", dir))
}

/// The digest and the length of the tar that [`pack`] writes.
pub fn diff_id(dir: &Path, options: &PackOptions) -> Result<(Digest, u64), Error> {
    let mut hasher = Hasher::new();
    let stats = pack(dir, options, &mut hasher)?;
    Ok((hasher.finish(), stats.tar_size))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Layer,
    Tree,
    /// A directory that only Kiln unpacks.
    Whole,
}

struct Packer<'a, W: Write> {
    options: &'a PackOptions,
    format: Format,
    tar: Writer<W>,
    /// What the paths of the tree at hand begin with.
    place: Vec<u8>,
    entries: u64,
    /// Files of which more names may come: the first name, and how many are still missing.
    links: HashMap<FileId, (Vec<u8>, u32)>,
    buffer: Vec<u8>,
}

const BUFFER: usize = 256 * 1024;

impl<'a, W: Write> Packer<'a, W> {
    fn new(options: &'a PackOptions, format: Format, out: W) -> Self {
        let links = HashMap::new();
        Self {
            options,
            format,
            tar: Writer::new(out),
            place: Vec::new(),
            entries: 0,
            links,
            buffer: vec![0; BUFFER],
        }
    }

    fn tree(&mut self, top: OwnedFd) -> Result<(), Error> {
        self.links.clear();
        if self.format == Format::Layer && xattr::read(&top).map_err(Error::at("read the attributes of", "."))?.1 {
            self.marker(OPAQUE_NAME.to_vec())?;
        }
        let mut walk = Walk::new(top).map_err(Error::at("read the directory", "."))?;
        loop {
            match walk.next().map_err(Error::at("walk", "."))? {
                Next::Name(name) => {
                    let path = join(&self.place, &walk.path_of(&name.name));
                    if let Some(directory) = self.name(walk.dir().as_fd(), &name, &path)? {
                        walk.enter(&name.name, directory)
                            .map_err(Error::at("read the directory", path_of(&path)))?;
                    }
                }
                Next::Left(_) => {}
                Next::Done => return Ok(()),
            }
        }
    }

    fn end(mut self) -> Result<PackStats, Error> {
        let tar_size = self.tar.end().map_err(Error::Write)?;
        Ok(PackStats {
            entries: self.entries,
            tar_size,
        })
    }

    /// Packs one name; gives the directory if it is one.
    fn name(&mut self, dir: BorrowedFd<'_>, name: &Name, path: &[u8]) -> Result<Option<OwnedFd>, Error> {
        if self.format == Format::Layer && name.name.to_bytes().starts_with(WHITEOUT) {
            let what = "in layers, names that begin with `.wh.` mean deleted files".to_owned();
            return Err(Error::Unrepresentable {
                path: path_of(path).to_owned(),
                what,
            });
        }
        let kind = match name.kind {
            FileType::Unknown => {
                Meta::of(dir, &name.name)
                    .map_err(Error::at("examine", path_of(path)))?
                    .kind
            }
            kind => kind,
        };
        match kind {
            FileType::RegularFile => self.file(dir, &name.name, path).map(|()| None),
            FileType::Directory => self.directory(dir, &name.name, path).map(Some),
            FileType::Socket => Ok(None),
            FileType::CharacterDevice | FileType::BlockDevice if self.format == Format::Whole => Ok(None),
            _ => self.special(dir, &name.name, path).map(|()| None),
        }
    }

    fn directory(&mut self, dir: BorrowedFd<'_>, name: &CStr, path: &[u8]) -> Result<OwnedFd, Error> {
        let opened = walk::open_directory(dir, name).map_err(Error::at("open the directory", path_of(path)))?;
        let meta = Meta::of_fd(&opened).map_err(Error::at("examine", path_of(path)))?;
        let (xattrs, opaque) = xattr::read(&opened).map_err(Error::at("read the attributes of", path_of(path)))?;
        let mut entry = self.describe([path, b"/"].concat(), Kind::Directory, &meta);
        entry.xattrs = representable(path, xattrs)?;
        self.put(&entry)?;
        if opaque && self.format == Format::Layer {
            self.marker([path, b"/", OPAQUE_NAME].concat())?;
        }
        Ok(opened)
    }

    fn file(&mut self, dir: BorrowedFd<'_>, name: &CStr, path: &[u8]) -> Result<(), Error> {
        let file = walk::open_file(dir, name).map_err(Error::at("open", path_of(path)))?;
        let meta = Meta::of_fd(&file).map_err(Error::at("examine", path_of(path)))?;
        if meta.kind != FileType::RegularFile {
            return Err(changed(path, "it is another kind of file now"));
        }
        if self.link(&meta, path)? {
            return Ok(());
        }
        let (xattrs, _) = xattr::read(&file).map_err(Error::at("read the attributes of", path_of(path)))?;
        let mut entry = self.describe(path.to_vec(), Kind::File, &meta);
        entry.size = meta.size;
        entry.xattrs = representable(path, xattrs)?;
        self.put(&entry)?;
        if meta.is_sparse() {
            self.sparse_content(&file, path, meta.size)
        } else {
            self.content(&file, path, 0, meta.size)
        }
    }

    /// Links, devices, pipes.
    fn special(&mut self, dir: BorrowedFd<'_>, name: &CStr, path: &[u8]) -> Result<(), Error> {
        let meta = Meta::of(dir, name).map_err(Error::at("examine", path_of(path)))?;
        if meta.is_whiteout() && self.format == Format::Layer {
            let (directory, name) = crate::root::split(path);
            return self.marker(join(directory, &[WHITEOUT, name].concat()));
        }
        if self.link(&meta, path)? {
            return Ok(());
        }
        let kind = match meta.kind {
            FileType::Symlink => Kind::Symlink,
            FileType::CharacterDevice => Kind::Char,
            FileType::BlockDevice => Kind::Block,
            FileType::Fifo => Kind::Fifo,
            _ => return Err(changed(path, "it is another kind of file now")),
        };
        let mut entry = self.describe(path.to_vec(), kind, &meta);
        if kind == Kind::Symlink {
            entry.link = readlinkat(dir, name, Vec::new())
                .map_err(Error::at("read the link", path_of(path)))?
                .into_bytes();
        } else {
            entry.device = meta.device;
        }
        self.put(&entry)
    }

    /// Writes a hard link if the file has been packed under another name.
    fn link(&mut self, meta: &Meta, path: &[u8]) -> Result<bool, Error> {
        if !meta.is_linked() {
            return Ok(false);
        }
        let Some((first, missing)) = self.links.get_mut(&meta.id()) else {
            self.links.insert(meta.id(), (path.to_vec(), meta.links - 1));
            return Ok(false);
        };
        *missing -= 1;
        let (link, last) = (first.clone(), *missing == 0);
        if last {
            self.links.remove(&meta.id());
        }
        let mut entry = self.describe(path.to_vec(), Kind::Link, meta);
        entry.link = link;
        self.put(&entry)?;
        Ok(true)
    }

    /// An empty file whose name is what it says.
    fn marker(&mut self, path: Vec<u8>) -> Result<(), Error> {
        self.put(&Entry::new(path, Kind::File, 0))
    }

    fn describe(&self, path: Vec<u8>, kind: Kind, meta: &Meta) -> Entry {
        let (seconds, nanoseconds) = self.options.times.of(meta.mtime);
        let exact = self.format == Format::Whole;
        Entry {
            uid: meta.uid,
            gid: meta.gid,
            mtime: (seconds, if exact { nanoseconds } else { 0 }),
            ..Entry::new(path, kind, meta.mode)
        }
    }

    fn put(&mut self, entry: &Entry) -> Result<(), Error> {
        self.entries += 1;
        self.tar.entry(entry).map_err(Error::Write)
    }

    /// Copies the bytes from `start` to `end`.
    fn content(&mut self, file: &OwnedFd, path: &[u8], start: u64, end: u64) -> Result<(), Error> {
        let mut at = start;
        while at < end {
            let wanted = at_most(end - at, self.buffer.len());
            let read = match rustix::io::pread(file, &mut self.buffer[..wanted], at) {
                Ok(0) => return Err(changed(path, "it is shorter now")),
                Ok(read) => read,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(Error::at("read", path_of(path))(errno)),
            };
            self.tar.data(&self.buffer[..read]).map_err(Error::Write)?;
            at += read as u64;
        }
        Ok(())
    }

    /// As [`content`](Self::content) for a whole file, but does not read holes.
    fn sparse_content(&mut self, file: &OwnedFd, path: &[u8], size: u64) -> Result<(), Error> {
        let mut at = 0;
        while at < size {
            let Some((data, hole)) = next_data(file, at, size).map_err(Error::at("read", path_of(path)))? else {
                break;
            };
            self.tar.zeros(data - at).map_err(Error::Write)?;
            self.content(file, path, data, hole)?;
            at = hole;
        }
        self.tar.zeros(size - at).map_err(Error::Write)
    }
}

/// The next piece of data at or after `at`, as start and end; `None` if only a hole follows.
pub(crate) fn next_data(file: &OwnedFd, at: u64, size: u64) -> Result<Option<(u64, u64)>, Errno> {
    let data = match seek(file, SeekFrom::Data(at)) {
        Ok(data) if data >= size => return Ok(None),
        Ok(data) => data,
        Err(Errno::NXIO) => return Ok(None),
        // A file system that knows no holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some((at, size))),
        Err(errno) => return Err(errno),
    };
    let hole = seek(file, SeekFrom::Hole(data))?.min(size);
    // Cut off meanwhile: reading will notice.
    Ok(Some((data, if hole > data { hole } else { size })))
}

fn changed(path: &[u8], what: &'static str) -> Error {
    Error::Changed {
        path: path_of(path).to_owned(),
        what,
    }
}

fn representable(path: &[u8], xattrs: xattr::Xattrs) -> Result<xattr::Xattrs, Error> {
    match xattrs.iter().find(|(name, _)| name.contains(&b'=')) {
        None => Ok(xattrs),
        Some((name, _)) => {
            let what = format!(
                "the name of its attribute `{}` contains `=`",
                String::from_utf8_lossy(name)
            );
            Err(Error::Unrepresentable {
                path: path_of(path).to_owned(),
                what,
            })
        }
    }
}
