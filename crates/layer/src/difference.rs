//! What is different between two trees, and the layer that makes the one out of the other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, mknodat, openat, readlinkat, utimensat};
use rustix::io::{Errno, pread};

use crate::copy::{CopyOptions, Filter, copy_tree};
use crate::cursor::{Cursor, Missing};
use crate::extract::times;
use crate::root::{self, bytes_of, join, path_of, split};
use crate::walk::{self, FileId, Meta, Name, Next, Walk};
use crate::{Error, xattr};

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It was not there.
    Added,
    /// It is another file, or has other attributes.
    Changed,
    /// It is not there any more, and neither is anything below it, of which nothing is said then.
    Deleted,
}

/// Changes by path, relative to the root.
pub type Changes = BTreeMap<Vec<u8>, Change>;

/// What counts as a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// Everything that a layer says: kind, content, permissions, owner, attributes, times to the second, and which names
    /// are of one file.
    All,
    /// The same without times and names of one file.
    Content,
}

/// What is different in `new`. Both are merged trees: whiteouts mean nothing in them.
///
/// Memory is bounded by what is different, and by the number of files with several names.
pub fn changes(old: BorrowedFd<'_>, new: BorrowedFd<'_>, compare: Compare) -> Result<Changes, Error> {
    let mut differ = Differ {
        compare,
        old: Cursor::new(old).map_err(Error::at("open the directory", "."))?,
        changes: Changes::new(),
        groups: HashMap::new(),
        buffers: [vec![0; PIECE], vec![0; PIECE]],
    };
    differ.forwards(new)?;
    if compare == Compare::All {
        differ.names();
    }
    let mut changes = differ.changes;
    deleted(old, new, &mut changes)?;
    Ok(changes)
}

/// Writes the layer that makes `new` out of `old` into the empty directory `into`, in overlayfs's upper format. Gives what
/// is different: there is nothing in the layer if nothing is.
pub fn difference(old: BorrowedFd<'_>, new: BorrowedFd<'_>, into: &Path) -> Result<Changes, Error> {
    let changes = changes(old, new, Compare::All)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let layer = openat(CWD, into, flags, Mode::empty()).map_err(Error::at("open the layer directory", into))?;
    // Whatever holds a change is in the layer.
    let mut above: BTreeSet<&[u8]> = BTreeSet::new();
    for path in changes.keys() {
        let mut path = split(path).0;
        while !path.is_empty() && above.insert(path) {
            path = split(path).0;
        }
    }
    let filter = |path: &Path, _: bool| {
        let path = bytes_of(path);
        let is_written = above.contains(path) || changes.get(path).is_some_and(|change| *change != Change::Deleted);
        if is_written { Filter::Include } else { Filter::Exclude }
    };
    let options = CopyOptions {
        filter: Some(&filter),
        ..CopyOptions::default()
    };
    let root = Path::new("/");
    copy_tree(new, root, layer.as_fd(), root, &options)?;
    let mut cursor = Cursor::new(layer.as_fd()).map_err(Error::at("open the layer directory", into))?;
    for (path, _) in changes.iter().filter(|(_, change)| **change == Change::Deleted) {
        whiteout(&mut cursor, path).map_err(Error::at("write a whiteout for", path_of(path)))?;
    }
    Ok(changes)
}

/// Marks a name as deleted; the time of its directory stays.
fn whiteout(layer: &mut Cursor<'_>, path: &[u8]) -> Result<(), Errno> {
    let (above, name) = split(path);
    let directory = layer.enter(above, Missing::Fail)?;
    let mtime = Meta::of_fd(&*directory)?.mtime;
    mknodat(
        &*directory,
        OsStr::from_bytes(name),
        FileType::CharacterDevice,
        Mode::empty(),
        0,
    )?;
    utimensat(&*directory, c"", &times(mtime), AtFlags::EMPTY_PATH)
}

/// How much of two files is compared at a time.
const PIECE: usize = 128 * 1024;

/// A path, and which file the old tree has there.
type Named = (Vec<u8>, Option<FileId>);

struct Differ<'a> {
    compare: Compare,
    old: Cursor<'a>,
    changes: Changes,
    /// Files of the new tree that may have several names there, or had where they come from: their paths, and which files
    /// had these before.
    groups: HashMap<FileId, Vec<Named>>,
    buffers: [Vec<u8>; 2],
}

impl Differ<'_> {
    /// Looks at all that the new tree has.
    fn forwards(&mut self, new: BorrowedFd<'_>) -> Result<(), Error> {
        let top = walk::open_directory(new, c".").map_err(Error::at("open the directory", "."))?;
        let mut walk = Walk::new(top).map_err(Error::at("read the directory", "."))?;
        // The directories at hand that the old tree has not: nothing below them need be looked up, or could be.
        let mut unknown = 0_usize;
        loop {
            match walk.next().map_err(Error::at("walk", "."))? {
                Next::Name(name) => {
                    let path = walk.path_of(&name.name);
                    let known = self.name(&walk, &name, &path, unknown > 0);
                    let Some((directory, is_known)) = known.map_err(Error::at("compare", path_of(&path)))? else {
                        continue;
                    };
                    unknown += usize::from(unknown > 0 || !is_known);
                    walk.enter(&name.name, directory)
                        .map_err(Error::at("read the directory", path_of(&path)))?;
                }
                Next::Left(_) => unknown = unknown.saturating_sub(1),
                Next::Done => return Ok(()),
            }
        }
    }

    /// Looks at one name. Gives the directory if it is one, and whether the old tree has one there.
    fn name(&mut self, walk: &Walk, name: &Name, path: &[u8], is_new: bool) -> Result<Option<(OwnedFd, bool)>, Errno> {
        let meta = Meta::of(walk.dir(), &name.name)?;
        if meta.kind == FileType::Socket {
            return Ok(None);
        }
        let before = if is_new { None } else { self.before(path)? };
        let change = match &before {
            None => Some(Change::Added),
            Some((directory, old)) => {
                let same = self.same((directory, old), (walk.dir(), &meta), &name.name)?;
                (!same).then_some(Change::Changed)
            }
        };
        if let Some(change) = change {
            self.changes.insert(path.to_vec(), change);
        }
        let old = before.map(|(_, old)| old);
        let several = meta.is_linked() || old.as_ref().is_some_and(Meta::is_linked);
        if several && self.compare == Compare::All {
            let group = self.groups.entry(meta.id()).or_default();
            group.push((path.to_vec(), old.map(|old| old.id())));
        }
        if meta.kind != FileType::Directory {
            return Ok(None);
        }
        let is_known = old.is_some_and(|old| old.kind == FileType::Directory);
        Ok(Some((walk::open_directory(walk.dir(), &name.name)?, is_known)))
    }

    /// What the old tree has at a path whose directory it has.
    fn before(&mut self, path: &[u8]) -> Result<Option<(std::sync::Arc<OwnedFd>, Meta)>, Errno> {
        let (above, name) = split(path);
        let directory = self.old.enter(above, Missing::Fail)?;
        let name = CString::new(name).map_err(|_| Errno::INVAL)?;
        match Meta::of(&*directory, &name) {
            Ok(meta) => Ok(Some((directory, meta))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Whether a name is the same in both directories.
    fn same(
        &mut self,
        (old_directory, old): (&OwnedFd, &Meta),
        (new_directory, new): (&OwnedFd, &Meta),
        name: &CStr,
    ) -> Result<bool, Errno> {
        let attributes = |meta: &Meta| {
            let time = (self.compare == Compare::All).then_some(meta.mtime.0);
            (meta.kind, meta.uid, meta.gid, time)
        };
        if attributes(old) != attributes(new) {
            return Ok(false);
        }
        // Permissions of links are nobody's.
        if new.kind != FileType::Symlink && old.mode != new.mode {
            return Ok(false);
        }
        match new.kind {
            FileType::Directory => {
                let open = |directory| walk::open_directory(directory, name);
                Ok(xattr::read(open(old_directory)?)?.0 == xattr::read(open(new_directory)?)?.0)
            }
            FileType::Symlink => {
                Ok(readlinkat(old_directory, name, Vec::new())? == readlinkat(new_directory, name, Vec::new())?)
            }
            FileType::RegularFile => {
                // Two views of one file: the same layer shows through both trees. Nobody can set the time of a change.
                let identity = |meta: &Meta| (meta.ino, meta.ctime, meta.mtime, meta.size);
                if identity(old) == identity(new) {
                    return Ok(true);
                }
                if old.size != new.size {
                    return Ok(false);
                }
                let (old, new) = (
                    walk::open_file(old_directory, name)?,
                    walk::open_file(new_directory, name)?,
                );
                Ok(xattr::read(&old)?.0 == xattr::read(&new)?.0 && self.same_content(&old, &new)?)
            }
            _ => Ok(old.device == new.device),
        }
    }

    fn same_content(&mut self, old: &OwnedFd, new: &OwnedFd) -> Result<bool, Errno> {
        let [one, other] = &mut self.buffers;
        let mut at = 0;
        loop {
            let (read, read_new) = (fill(old, one, at)?, fill(new, other, at)?);
            if one[..read] != other[..read_new] {
                return Ok(false);
            }
            if read == 0 {
                return Ok(true);
            }
            at += read as u64;
        }
    }

    /// Names of one file stay so, and names of two do: where that is not what it was, all names of the file are written. A
    /// layer cannot link to what only layers below it have.
    fn names(&mut self) {
        // Which file of the new tree is what a file was before.
        let mut heirs: HashMap<FileId, FileId> = HashMap::new();
        let mut groups: Vec<_> = std::mem::take(&mut self.groups).into_iter().collect();
        groups.sort_by(|(_, one), (_, other)| one.cmp(other));
        for (id, names) in groups {
            let first = names[0].1;
            let is_one = names
                .iter()
                .all(|(path, before)| *before == first && !self.changes.contains_key(path));
            // Of files that were one before, one may still be it.
            let mut is_heir = || first.is_some_and(|before| *heirs.entry(before).or_insert(id) == id);
            if is_one && is_heir() {
                continue;
            }
            for (path, _) in names {
                self.changes.entry(path).or_insert(Change::Changed);
            }
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &OwnedFd, buffer: &mut [u8], at: u64) -> Result<usize, Errno> {
    let mut filled = 0;
    while filled < buffer.len() {
        match pread(file, &mut buffer[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(filled)
}

/// Notes what only the old tree has.
fn deleted(old: BorrowedFd<'_>, new: BorrowedFd<'_>, changes: &mut Changes) -> Result<(), Error> {
    let top = walk::open_directory(old, c".").map_err(Error::at("open the directory", "."))?;
    let mut walk = Walk::new(top).map_err(Error::at("read the directory", "."))?;
    let mut cursor = Cursor::new(new).map_err(Error::at("open the directory", "."))?;
    loop {
        let name = match walk.next().map_err(Error::at("walk", "."))? {
            Next::Name(name) => name,
            Next::Left(_) => continue,
            Next::Done => return Ok(()),
        };
        let path = walk.path_of(&name.name);
        let mut look = || -> Result<Option<OwnedFd>, Errno> {
            let directory = cursor.enter(split(&path).0, Missing::Fail)?;
            match Meta::of(&*directory, &name.name) {
                Ok(meta) if meta.kind == FileType::Socket => {}
                Ok(meta) => {
                    let goes_on = meta.kind == FileType::Directory
                        && Meta::of(walk.dir(), &name.name)?.kind == FileType::Directory;
                    if goes_on {
                        return walk::open_directory(walk.dir(), &name.name).map(Some);
                    }
                    return Ok(None);
                }
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
            changes.insert(path.clone(), Change::Deleted);
            Ok(None)
        };
        if let Some(directory) = look().map_err(Error::at("compare", path_of(&path)))? {
            walk.enter(&name.name, directory)
                .map_err(Error::at("read the directory", path_of(&path)))?;
        }
    }
}

/// The paths at which a layer brings, hides or deletes something that is different in another tree than in `old`, which it
/// was made for: `changes` says where.
pub fn overrides(layer: &Path, old: BorrowedFd<'_>, changes: &Changes) -> Result<Vec<Vec<u8>>, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = openat(CWD, layer, flags, Mode::empty()).map_err(Error::at("open the layer directory", layer))?;
    let mut walk = Walk::new(top).map_err(Error::at("read the directory", layer))?;
    let mut found = BTreeSet::new();
    loop {
        let name = match walk.next().map_err(Error::at("walk", layer))? {
            Next::Name(name) => name,
            Next::Left(_) => continue,
            Next::Done => return Ok(found.into_iter().collect()),
        };
        let path = walk.path_of(&name.name);
        let meta = Meta::of(walk.dir(), &name.name).map_err(Error::at("examine", path_of(&path)))?;
        let mut hides = meta.kind != FileType::Directory;
        if meta.kind == FileType::Directory {
            let directory = walk::open_directory(walk.dir(), &name.name).map_err(Error::at("open", path_of(&path)))?;
            hides = xattr::read(&directory)
                .map_err(Error::at("read the attributes of", path_of(&path)))?
                .1;
            walk.enter(&name.name, directory)
                .map_err(Error::at("read the directory", path_of(&path)))?;
        } else if changes.contains_key(&path) || is_deleted(old, &path, changes)? {
            found.insert(path.clone());
        }
        if hides {
            let below = join(&path, b"");
            let inside = changes
                .range(below.clone()..)
                .take_while(|(other, _)| other.starts_with(&below));
            found.extend(inside.map(|(other, _)| other.clone()));
        }
    }
}

/// Whether the old tree has something at a path that goes with a directory above it.
fn is_deleted(old: BorrowedFd<'_>, path: &[u8], changes: &Changes) -> Result<bool, Error> {
    let mut above = split(path).0;
    while !above.is_empty() && changes.get(above) != Some(&Change::Deleted) {
        above = split(above).0;
    }
    if above.is_empty() {
        return Ok(false);
    }
    match root::open(old, path, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(false),
        Err(errno) => Err(Error::at("examine", path_of(path))(errno)),
    }
}
