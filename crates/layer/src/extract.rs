//! Applying the entries of a tar to a directory, whatever they say.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, chmodat, chownat, fchmod, fchown,
    ftruncate, futimens, linkat, makedev, mkdirat, mknodat, openat, symlinkat, utimensat,
};
use rustix::io::Errno;

use crate::Error;
use crate::cursor::{Cursor, Missing};
use crate::limits::Limits;
use crate::names::{Whiteout, clean_name, clean_target, whiteout};
use crate::remove::remove;
use crate::root::{join, path_of, split};
use crate::tar::{Entry, Kind, Reader, at_most};
use crate::walk::{FileId, Meta};
use crate::wanted::Wanted;
use crate::xattr::{self, Xattrs};

/// What the directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// A layer: `.wh.` names become whiteouts.
    Layer,
    /// A root file system. Everything gets this owner, if one is given.
    Tree { owner: Option<(u32, u32)> },
}

/// Writes entries below a root.
pub(crate) struct Extractor<'a> {
    style: Style,
    limits: Limits,
    /// Whether device nodes are made, where that can be.
    pub(crate) devices: bool,
    /// What is wanted, if not all.
    pub(crate) wanted: Option<Wanted>,
    /// See [`Unpacked::strayed`](crate::Unpacked::strayed).
    pub(crate) strayed: bool,
    /// The links so far, where not all is wanted, by digests of their paths: one that is taken for another costs time alone.
    links: HashSet<u64>,
    /// Where in the root the archive's own root is; clean.
    base: Vec<u8>,
    pub(crate) cursor: Cursor<'a>,
    targets: Cursor<'a>,
    /// Set at the end, so that neither a read-only mode nor later entries matter: modes and times of directories.
    directories: BTreeMap<Vec<u8>, Attributes>,
    /// Hard links whose targets are not there so far, by path.
    pending_links: BTreeMap<Vec<u8>, Pending>,
    /// Those that were still pending at the end.
    pub(crate) missing_links: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) skipped_devices: Vec<Vec<u8>>,
    pub(crate) size: u64,
    pub(crate) entries: u64,
    buffer: Vec<u8>,
}

/// A hard link that waits for its target.
#[derive(Debug)]
struct Pending {
    /// Of its entry: links of links need their order.
    number: u64,
    target: Vec<u8>,
    /// The directory that it goes in: its path may lead to another one later.
    parent: FileId,
}

/// Everything about a file but its type and content.
#[derive(Debug, Clone)]
struct Attributes {
    owner: (u32, u32),
    mode: u32,
    mtime: (i64, u32),
    xattrs: Xattrs,
}

impl<'a> Extractor<'a> {
    pub(crate) fn new(root: BorrowedFd<'a>, base: Vec<u8>, style: Style, limits: Limits) -> Result<Self, Errno> {
        Ok(Self {
            style,
            limits,
            devices: true,
            wanted: None,
            strayed: false,
            links: HashSet::new(),
            base,
            cursor: Cursor::new(root)?,
            targets: Cursor::new(root)?,
            directories: BTreeMap::new(),
            pending_links: BTreeMap::new(),
            missing_links: Vec::new(),
            skipped_devices: Vec::new(),
            size: 0,
            entries: 0,
            buffer: vec![0; 256 * 1024],
        })
    }

    /// Applies all entries.
    pub(crate) fn run<R: Read>(&mut self, tar: &mut Reader<R>) -> Result<(), Error> {
        while let Some(entry) = tar.next_entry()? {
            self.entries += 1;
            if self.entries > self.limits.entries {
                return Err(Error::TooMuch {
                    limit: self.limits.entries,
                    unit: "entries",
                });
            }
            self.apply(tar, entry)?;
        }
        self.finish()
    }

    fn apply<R: Read>(&mut self, tar: &mut Reader<R>, entry: Entry) -> Result<(), Error> {
        let path = clean_name(&entry.path).map_err(|what| Error::refused(&entry.path, what))?;
        if self.wanted.is_some() {
            self.note(&path, entry.kind);
        }
        if self.style == Style::Layer {
            match whiteout(&path).map_err(|what| Error::refused(&path, what))? {
                Whiteout::No => {}
                Whiteout::Leftover => return Ok(()),
                Whiteout::Opaque(directory) if self.leaves_out(directory) => return self.pass_by(directory),
                Whiteout::Of(directory, name) if self.leaves_out(&join(directory, name)) => {
                    return self.pass_by(&join(directory, name));
                }
                Whiteout::Opaque(directory) => {
                    return self
                        .opaque(directory)
                        .map_err(Error::at("make opaque", path_of(directory)));
                }
                Whiteout::Of(directory, name) => {
                    return self
                        .whiteout(directory, name)
                        .map_err(Error::at("write a whiteout", path_of(&path)));
                }
            }
        }
        if path.is_empty() {
            return self.top(&entry);
        }
        if self.leaves_out(&path) {
            return self.pass_by(&path);
        }
        let path = join(&self.base, &path);
        let (directory, name) = split(&path);
        let directory = self
            .enter(directory)
            .map_err(|errno| parent_error(&entry.path, errno))?;
        let place = Place {
            directory,
            name: OsStr::from_bytes(name),
            path: &path,
        };
        // The last entry of a name counts, also where the one before has made nothing yet.
        self.pending_links.remove(&path);
        match entry.kind {
            Kind::File => self.file(tar, &place, entry),
            Kind::Directory => self.directory(&place, entry),
            Kind::Symlink => self.symlink(&place, entry),
            Kind::Link => self.link(&place, &entry),
            Kind::Char | Kind::Block | Kind::Fifo => self.node(&place, entry),
        }
    }

    fn leaves_out(&self, path: &[u8]) -> bool {
        self.wanted.as_ref().is_some_and(|wanted| !wanted.takes(path))
    }

    /// Notes whether an entry goes where its name does not say. A hard link may be one to a symbolic one.
    fn note(&mut self, path: &[u8], kind: Kind) {
        let is_link = matches!(kind, Kind::Symlink | Kind::Link);
        if !is_link && (self.strayed || self.links.is_empty()) {
            return;
        }
        let digests: Vec<u64> = digests(path).collect();
        let (itself, above) = digests.split_last().expect("a path has a name");
        self.strayed |= above.iter().any(|digest| self.links.contains(digest));
        if is_link {
            self.links.insert(*itself);
        }
    }

    /// Leaves something out. The wanted directories above are there because of it.
    fn pass_by(&mut self, path: &[u8]) -> Result<(), Error> {
        let mut above = split(path).0;
        while !above.is_empty() && self.leaves_out(above) {
            above = split(above).0;
        }
        self.enter(above).map(drop).map_err(|errno| parent_error(path, errno))
    }

    /// An entry for the archive's own root.
    fn top(&mut self, entry: &Entry) -> Result<(), Error> {
        if entry.kind != Kind::Directory {
            return Err(Error::refused(
                &entry.path,
                "it would replace the root with something else",
            ));
        }
        let attributes = self.attributes(entry.clone());
        let base = self.base.clone();
        self.cursor
            .enter(&base, Missing::Make)
            .map_err(|errno| parent_error(&base, errno))?;
        self.cursor.made.remove(&base);
        self.directories.insert(base, attributes);
        Ok(())
    }

    fn attributes(&self, entry: Entry) -> Attributes {
        let owner = match self.style {
            Style::Tree { owner: Some(owner) } => owner,
            _ => (entry.uid, entry.gid),
        };
        Attributes {
            owner,
            mode: entry.mode,
            mtime: entry.mtime,
            xattrs: entry.xattrs,
        }
    }

    fn file<R: Read>(&mut self, tar: &mut Reader<R>, place: &Place<'_>, entry: Entry) -> Result<(), Error> {
        self.size = self.size.saturating_add(entry.size);
        if self.size > self.limits.bytes {
            return Err(Error::TooMuch {
                limit: self.limits.bytes,
                unit: "bytes",
            });
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let create = || openat(&*place.directory, place.name, flags, Mode::RUSR | Mode::WUSR);
        let file = self
            .replace(place, create)
            .map_err(Error::at("create", path_of(place.path)))?;
        let file = File::from(file);
        match &entry.sparse {
            None => self.content(tar, &file, place.path)?,
            Some(map) => self.sparse_content(tar, &file, place.path, entry.size, map)?,
        }
        let attributes = self.attributes(entry);
        attributes
            .apply_to(&file)
            .map_err(Error::at("set the attributes of", path_of(place.path)))
    }

    fn content<R: Read>(&mut self, tar: &mut Reader<R>, mut file: &File, path: &[u8]) -> Result<(), Error> {
        loop {
            let read = tar.read_content(&mut self.buffer)?;
            if read == 0 {
                return Ok(());
            }
            file.write_all(&self.buffer[..read])
                .map_err(Error::at("write", path_of(path)))?;
        }
    }

    fn sparse_content<R: Read>(
        &mut self,
        tar: &mut Reader<R>,
        file: &File,
        path: &[u8],
        size: u64,
        map: &[(u64, u64)],
    ) -> Result<(), Error> {
        ftruncate(file, size).map_err(Error::at("set the size of", path_of(path)))?;
        for &(offset, length) in map {
            let mut at = offset;
            while at < offset + length {
                let wanted = at_most(offset + length - at, self.buffer.len());
                let read = tar.read_content(&mut self.buffer[..wanted])?;
                if read == 0 {
                    return Err(Error::refused(path, "less is stored than its map says"));
                }
                file.write_all_at(&self.buffer[..read], at)
                    .map_err(Error::at("write", path_of(path)))?;
                at += read as u64;
            }
        }
        Ok(())
    }

    fn directory(&mut self, place: &Place<'_>, entry: Entry) -> Result<(), Error> {
        let make = || mkdirat(&*place.directory, place.name, Mode::RWXU);
        match make() {
            Ok(()) => {}
            Err(Errno::EXIST) => self
                .directory_in_place(place)
                .map_err(Error::at("create the directory", path_of(place.path)))?,
            Err(errno) => return Err(Error::at("create the directory", path_of(place.path))(errno)),
        }
        self.cursor.made.remove(place.path);
        let attributes = self.attributes(entry);
        self.directories.insert(place.path.to_vec(), attributes);
        Ok(())
    }

    /// A directory that is there stays; all else makes room.
    fn directory_in_place(&mut self, place: &Place<'_>) -> Result<(), Errno> {
        let found = place.meta()?;
        if found.kind == FileType::Directory {
            return Ok(());
        }
        self.clear(place)?;
        mkdirat(&*place.directory, place.name, Mode::RWXU)?;
        if self.style == Style::Layer && found.is_whiteout() {
            // What is below stays deleted although the name is there again.
            set_opaque(&place.directory, place.name)?;
        }
        Ok(())
    }

    fn symlink(&mut self, place: &Place<'_>, entry: Entry) -> Result<(), Error> {
        if entry.link.is_empty() {
            return Err(Error::refused(place.path, "it is a symbolic link to nothing"));
        }
        let target = OsStr::from_bytes(&entry.link);
        let make = || symlinkat(target, &*place.directory, place.name);
        self.replace(place, make)
            .map_err(Error::at("create the link", path_of(place.path)))?;
        let attributes = self.attributes(entry);
        attributes
            .apply_to_name(place, false)
            .map_err(Error::at("set the attributes of", path_of(place.path)))
    }

    fn link(&mut self, place: &Place<'_>, entry: &Entry) -> Result<(), Error> {
        let target = clean_target(&entry.link).map_err(|what| Error::refused(&entry.path, what))?;
        let target = join(&self.base, &target);
        match self.try_link(place, &target) {
            Ok(()) => Ok(()),
            Err(Errno::NOENT | Errno::NOTDIR) => self
                .postpone(place, target)
                .map_err(Error::at("make room for the hard link", path_of(place.path))),
            Err(Errno::PERM) => Err(Error::refused(&entry.path, "it is a hard link to a directory")),
            Err(errno) => Err(Error::at("create the hard link", path_of(place.path))(errno)),
        }
    }

    /// Notes a hard link for the end. What it replaces goes now: later entries may link to its name.
    fn postpone(&mut self, place: &Place<'_>, target: Vec<u8>) -> Result<(), Errno> {
        if place.is_taken()? {
            self.clear(place)?;
        }
        let link = Pending {
            number: self.entries,
            target,
            parent: Meta::of_fd(&*place.directory)?.id(),
        };
        self.pending_links.insert(place.path.to_vec(), link);
        Ok(())
    }

    fn try_link(&mut self, place: &Place<'_>, target: &[u8]) -> Result<(), Errno> {
        let (directory, name) = split(target);
        let from = self.targets.enter(directory, Missing::Fail)?;
        let from_name = OsStr::from_bytes(name);
        let c_name = std::ffi::CString::new(name).map_err(|_| Errno::INVAL)?;
        let found = Meta::of(&*from, &c_name)?;
        if found.is_whiteout() && self.style == Style::Layer {
            // Deleted by this very layer: it is one of a layer below.
            return Err(Errno::NOENT);
        }
        let make = || linkat(&*from, from_name, &*place.directory, place.name, AtFlags::empty());
        match make() {
            Err(Errno::EXIST) => {}
            result => return result,
        }
        if found.id() == place.meta()?.id() {
            return Ok(());
        }
        self.clear(place)?;
        make()
    }

    fn node(&mut self, place: &Place<'_>, entry: Entry) -> Result<(), Error> {
        let kind = match entry.kind {
            Kind::Char => FileType::CharacterDevice,
            Kind::Block => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        if !self.devices && kind != FileType::Fifo {
            self.skipped_devices.push(place.path.to_vec());
            return Ok(());
        }
        let device = makedev(entry.device.0, entry.device.1);
        let make = || mknodat(&*place.directory, place.name, kind, Mode::RUSR | Mode::WUSR, device);
        match self.replace(place, make) {
            Ok(()) => {}
            // User namespaces have no devices, and steps get their own /dev anyhow.
            Err(Errno::PERM) if entry.kind != Kind::Fifo => {
                self.skipped_devices.push(place.path.to_vec());
                return Ok(());
            }
            Err(errno) => return Err(Error::at("create the device", path_of(place.path))(errno)),
        }
        let attributes = self.attributes(entry);
        attributes
            .apply_to_name(place, true)
            .map_err(Error::at("set the attributes of", path_of(place.path)))
    }

    /// Makes something, out of whose way goes whatever is there.
    fn replace<T>(&mut self, place: &Place<'_>, make: impl Fn() -> Result<T, Errno>) -> Result<T, Errno> {
        match make() {
            Err(Errno::EXIST) => {
                self.clear(place)?;
                make()
            }
            result => result,
        }
    }

    /// The directory in which an entry goes.
    fn enter(&mut self, directory: &[u8]) -> Result<Arc<OwnedFd>, Errno> {
        match self.cursor.enter(directory, Missing::Make) {
            Err(Errno::NOTDIR) if self.style == Style::Layer && self.revive(directory)? => {
                self.cursor.enter(directory, Missing::Make)
            }
            result => result,
        }
    }

    /// Makes a directory of the whiteout that stands for `path` or something above it, if there is one.
    fn revive(&mut self, path: &[u8]) -> Result<bool, Errno> {
        let ends = path
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'/')
            .map(|(at, _)| at);
        for end in ends.chain([path.len()]) {
            let place = self.place(&path[..end])?;
            if place.meta()?.is_whiteout() {
                self.directory_in_place(&place)?;
                let unknown = Attributes {
                    owner: (0, 0),
                    mode: 0o755,
                    mtime: (0, 0),
                    xattrs: Xattrs::new(),
                };
                self.directories.insert(place.path.to_vec(), unknown);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn clear(&mut self, place: &Place<'_>) -> Result<(), Errno> {
        remove(&*place.directory, place.name)?;
        self.cursor.forget();
        self.targets.forget();
        let below = [place.path, b"/"].concat();
        let behind = [place.path, b"0"].concat();
        for gone in keys(&self.directories, place.path, &below, &behind) {
            self.directories.remove(&gone);
        }
        for gone in keys(&self.pending_links, place.path, &below, &behind) {
            self.pending_links.remove(&gone);
        }
        let made: Vec<Vec<u8>> = self.cursor.made.range(below..behind).cloned().collect();
        for gone in made.iter().map(Vec::as_slice).chain([place.path]) {
            self.cursor.made.remove(gone);
        }
        Ok(())
    }

    fn opaque(&mut self, directory: &[u8]) -> Result<(), Errno> {
        let directory = self.enter(directory)?;
        set_opaque(&directory, OsStr::new("."))
    }

    /// A deleted name. What this layer itself has under the name stays (layer.md, "Whiteouts").
    fn whiteout(&mut self, directory: &[u8], name: &[u8]) -> Result<(), Errno> {
        let directory = self.enter(directory)?;
        let name = OsStr::from_bytes(name);
        match mknodat(
            &*directory,
            name,
            FileType::CharacterDevice,
            Mode::empty(),
            makedev(0, 0),
        ) {
            Err(Errno::EXIST) => {
                let place = Place {
                    directory: Arc::clone(&directory),
                    name,
                    path: b"",
                };
                if place.meta()?.kind == FileType::Directory {
                    set_opaque(&directory, name)
                } else {
                    Ok(())
                }
            }
            result => result,
        }
    }

    /// What had to wait for the end: links to later entries, and the attributes of directories.
    fn finish(&mut self) -> Result<(), Error> {
        for (link, target) in self.last_links() {
            let linked = self.place(&link).and_then(|place| self.try_link(&place, &target));
            if linked.is_err() {
                self.missing_links.push((link, target));
            }
        }
        self.cursor.forget();
        if self.style == Style::Layer {
            let nobody = Attributes {
                owner: (0, 0),
                mode: 0o755,
                mtime: (0, 0),
                xattrs: Xattrs::new(),
            };
            for path in &self.cursor.made {
                self.directories.insert(path.clone(), nobody.clone());
            }
        }
        // What is deeper comes first, so that setting it changes no time that is set already.
        for (path, attributes) in std::mem::take(&mut self.directories).iter().rev() {
            match self.finish_directory(path, attributes) {
                // It made room for something by another name, through a link.
                Err(Errno::NOENT | Errno::NOTDIR) => drop(self.cursor.made.remove(path)),
                result => result.map_err(Error::at("set the attributes of", path_of(path)))?,
            }
        }
        if let Style::Tree { owner: Some(owner) } = self.style {
            for path in std::mem::take(&mut self.cursor.made) {
                let directory = self
                    .cursor
                    .enter(&path, Missing::Fail)
                    .map_err(Error::at("open", path_of(&path)))?;
                chown(&directory, OsStr::new("."), owner).map_err(Error::at("set the owner of", path_of(&path)))?;
            }
        }
        Ok(())
    }

    /// The pending links, in their order, that nothing later has taken the place of, by whatever name.
    fn last_links(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut links = Vec::from_iter(std::mem::take(&mut self.pending_links));
        links.sort_unstable_by_key(|(_, pending)| pending.number);
        let mut seen = HashSet::new();
        let mut last = Vec::new();
        for (link, pending) in links.into_iter().rev() {
            let stays = self.place(&link).and_then(|place| {
                let is_there = Meta::of_fd(&*place.directory)?.id() == pending.parent;
                Ok(is_there && !place.is_taken()?)
            });
            let name = split(&link).1.to_vec();
            if stays.unwrap_or(false) && seen.insert((pending.parent, name)) {
                last.push((link, pending.target));
            }
        }
        last.reverse();
        last
    }

    /// A path's place, as far as its directory is there.
    fn place<'p>(&mut self, path: &'p [u8]) -> Result<Place<'p>, Errno> {
        let (directory, name) = split(path);
        Ok(Place {
            directory: self.cursor.enter(directory, Missing::Fail)?,
            name: OsStr::from_bytes(name),
            path,
        })
    }

    fn finish_directory(&mut self, path: &[u8], attributes: &Attributes) -> Result<(), Errno> {
        let directory = self.cursor.enter(path, Missing::Fail)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(&*directory, ".", flags, Mode::empty())?;
        attributes.apply_to(&directory)
    }
}

/// A name in an open directory.
struct Place<'a> {
    directory: Arc<OwnedFd>,
    name: &'a OsStr,
    /// The whole path, clean.
    path: &'a [u8],
}

impl Place<'_> {
    fn meta(&self) -> Result<Meta, Errno> {
        let name = std::ffi::CString::new(self.name.as_bytes()).map_err(|_| Errno::INVAL)?;
        Meta::of(&*self.directory, &name)
    }

    /// Whether something is there that is no whiteout.
    fn is_taken(&self) -> Result<bool, Errno> {
        match self.meta() {
            Ok(meta) => Ok(!meta.is_whiteout()),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}

impl Attributes {
    fn times(&self) -> Timestamps {
        times(self.mtime)
    }

    /// To an open file. The owner comes first: changing it takes setuid bits and capabilities away.
    fn apply_to(&self, file: impl AsFd) -> Result<(), Errno> {
        fchown(
            &file,
            Some(Uid::from_raw(self.owner.0)),
            Some(Gid::from_raw(self.owner.1)),
        )?;
        xattr::apply(&file, &self.xattrs)?;
        fchmod(&file, Mode::from_raw_mode(self.mode))?;
        futimens(&file, &self.times())
    }

    /// To what cannot be opened, and can have no attributes that matter.
    fn apply_to_name(&self, place: &Place<'_>, mode: bool) -> Result<(), Errno> {
        chown(&place.directory, place.name, self.owner)?;
        if mode {
            chmodat(
                &*place.directory,
                place.name,
                Mode::from_raw_mode(self.mode),
                AtFlags::empty(),
            )?;
        }
        utimensat(&*place.directory, place.name, &self.times(), AtFlags::SYMLINK_NOFOLLOW)
    }
}

/// A time of modification, the time of access left as it is.
pub(crate) fn times((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds.into(),
        },
    }
}

/// Sets the owner of a name, a link not followed.
pub(crate) fn chown(directory: impl AsFd, name: &OsStr, (uid, gid): (u32, u32)) -> Result<(), Errno> {
    chownat(
        directory,
        name,
        Some(Uid::from_raw(uid)),
        Some(Gid::from_raw(gid)),
        AtFlags::SYMLINK_NOFOLLOW,
    )
}

fn set_opaque(directory: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    xattr::set_opaque(openat(directory, name, flags, Mode::empty())?)
}

/// Digests of the directories above a path, the uppermost first, and of itself.
fn digests(path: &[u8]) -> impl Iterator<Item = u64> {
    let mut hasher = DefaultHasher::new();
    path.split(|byte| *byte == b'/').map(move |name| {
        name.hash(&mut hasher);
        hasher.finish()
    })
}

fn parent_error(path: &[u8], errno: Errno) -> Error {
    if errno == Errno::NOTDIR {
        return Error::refused(path, "a directory on the way to it is another kind of file");
    }
    Error::at("create the directories above", path_of(path))(errno)
}

/// The keys that are `path` itself or from `below` up to `behind`.
fn keys<T>(map: &BTreeMap<Vec<u8>, T>, path: &[u8], below: &[u8], behind: &[u8]) -> Vec<Vec<u8>> {
    let inside = map.range(below.to_vec()..behind.to_vec()).map(|(key, _)| key.clone());
    map.contains_key(path)
        .then(|| path.to_vec())
        .into_iter()
        .chain(inside)
        .collect()
}
