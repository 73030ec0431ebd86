//! Copying files from one tree to another: COPY, exports, seeds of cache mounts.

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Uid, chmodat, fchmod, fchown, futimens, linkat, makedev, mkdirat, mknodat,
    openat, readlinkat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use crate::Error;
use crate::content::Content;
use crate::cursor::{Cursor, Missing};
use crate::extract::{chown, times};
use crate::mode::ModeChange;
use crate::remove::{remove, remove_below};
use crate::root::{self, clean_in_root, join, path_of, split};
use crate::times::Times;
use crate::walk::{self, FileId, Meta, Name, Next, Walk};
use crate::xattr::{self, Xattrs};

/// What happens to a path of a tree that is copied or digested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// It belongs to it.
    Include,
    /// Neither it nor anything below it does.
    Exclude,
    /// Something below this directory may; then the directory does too.
    Descend,
}

/// Decides over a path, relative to the root of the tree, and whether it is a directory. The path that is copied
/// itself is not asked about, only what lies below it.
pub type FilterFn<'a> = dyn Fn(&Path, bool) -> Filter + 'a;

/// How files are copied.
#[derive(Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct CopyOptions<'a> {
    /// Owner and group of everything that is copied; `None` keeps those of the source.
    pub owner: Option<(u32, u32)>,
    /// What becomes of modes.
    pub mode: ModeChange,
    /// Whether files lose what gives rights to whoever executes them: setuid and setgid bits, capabilities.
    pub powerless: bool,
    /// What is copied; `None` for everything.
    pub filter: Option<&'a FilterFn<'a>>,
    /// Which files the destination has already, by their paths as for the filter: of those nothing is made but the
    /// directories that they are in.
    pub present: Option<&'a dyn Fn(&Path) -> bool>,
    /// What becomes of times.
    pub times: Times,
    /// Whether a symbolic link that is the source itself is copied rather than what it leads to.
    pub no_follow: bool,
    /// Whether a file replaces a symbolic link that is the destination itself rather than what it leads to.
    pub replace_link: bool,
    /// Whether source and destination are layers, of which the source is the upper one: it replaces whatever is in its
    /// way, and its directories keep nothing of those below but, unless it hides them, the files. Whiteouts and marks of
    /// opaque directories stay, for layers further down.
    pub layer: bool,
}

impl std::fmt::Debug for CopyOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopyOptions")
            .field("owner", &self.owner)
            .field("mode", &self.mode)
            .field("powerless", &self.powerless)
            .field("filter", &self.filter.is_some())
            .field("present", &self.present.is_some())
            .field("times", &self.times)
            .field("no_follow", &self.no_follow)
            .field("replace_link", &self.replace_link)
            .field("layer", &self.layer)
            .finish()
    }
}

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CopyStats {
    /// Everything that is no directory.
    pub files: u64,
    /// Bytes of files, each counted once.
    pub bytes: u64,
    /// Device nodes that could not be made, because this user namespace has none, and are left out.
    pub skipped_devices: Vec<PathBuf>,
}

/// Copies a file, or what is in a directory, to `dest_path` in another tree, with metadata, extended attributes and
/// hard links within what is copied.
///
/// Paths are looked up as if the trees were root file systems of their own. Links that lead to the destination are
/// followed, but for the last one if [`CopyOptions::replace_link`] says so; a file replaces what is there unless it is a directory. A directory's contents are merged into the
/// destination: if that is there it keeps owner, mode and time; directories further down take the source's. A
/// directory never replaces anything else, nor anything else a directory. Missing directories above the destination
/// are made with mode 0755. Sockets become empty files, as with `BuildKit`.
pub fn copy_tree(
    source: BorrowedFd<'_>,
    source_path: &Path,
    dest_root: BorrowedFd<'_>,
    dest_path: &Path,
    options: &CopyOptions<'_>,
) -> Result<CopyStats, Error> {
    let path = clean_in_root(source_path);
    let top = Source::open(source, &path, options.no_follow).map_err(Error::at("open", source_path))?;
    match top {
        Source::Directory(top, meta) => copy_directory(top, &meta, &path, dest_root, dest_path, options),
        file => copy_one(&file, dest_root, dest_path, options),
    }
}

/// Writes a file with this content and mode, after `change`, in place of what is there; links that lead to it are
/// followed inside `root`, the last one unless `replace_link`; missing directories above it are made with mode 0755.
pub fn write_file(
    root: BorrowedFd<'_>,
    dest: &Path,
    content: &[u8],
    mode: u32,
    change: &ModeChange,
    (uid, gid): (u32, u32),
    replace_link: bool,
) -> Result<(), Error> {
    let place = locate(root, dest, replace_link)?;
    let file = place.create(|| create_file(&place), dest)?;
    let mut file = File::from(file);
    file.write_all(content).map_err(Error::at("write", dest))?;
    let set = || {
        fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        fchmod(&file, Mode::from_raw_mode(change.apply(mode, false)))
    };
    set().map_err(Error::at("set owner and mode of", dest))?;
    place
        .restore_mtime()
        .map_err(Error::at("set the time of the directory of", dest))
}

/// What is to be copied, opened.
enum Source {
    File(OwnedFd, Meta),
    Directory(OwnedFd, Meta),
    Symlink(CString, Meta),
    /// Devices, pipes, sockets: there is nothing to read.
    Node(Meta),
}

impl Source {
    fn open(root: BorrowedFd<'_>, path: &[u8], no_follow: bool) -> Result<Self, Errno> {
        let nofollow = if no_follow { OFlags::NOFOLLOW } else { OFlags::empty() };
        let found = root::open(root, path, OFlags::PATH | nofollow)?;
        let meta = Meta::of_fd(&found)?;
        match meta.kind {
            FileType::Directory => Ok(Self::Directory(walk::open_directory(&found, c".")?, meta)),
            FileType::RegularFile => {
                let file = root::open(
                    root,
                    path,
                    OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | nofollow,
                )?;
                Self::checked(file)
            }
            FileType::Symlink => Ok(Self::Symlink(readlinkat(&found, c"", Vec::new())?, meta)),
            _ => Ok(Self::Node(meta)),
        }
    }

    /// A name in a directory that is no directory.
    fn in_directory(dir: &OwnedFd, name: &Name) -> Result<Self, Errno> {
        if name.kind == FileType::RegularFile {
            return Self::checked(walk::open_file(dir, &name.name)?);
        }
        let meta = Meta::of(dir, &name.name)?;
        match meta.kind {
            FileType::Directory => Ok(Self::Directory(walk::open_directory(dir, &name.name)?, meta)),
            FileType::RegularFile => Self::checked(walk::open_file(dir, &name.name)?),
            FileType::Symlink => Ok(Self::Symlink(readlinkat(dir, &*name.name, Vec::new())?, meta)),
            _ => Ok(Self::Node(meta)),
        }
    }

    fn checked(file: OwnedFd) -> Result<Self, Errno> {
        let meta = Meta::of_fd(&file)?;
        // Replaced since it was listed.
        if meta.kind == FileType::RegularFile {
            Ok(Self::File(file, meta))
        } else {
            Err(Errno::STALE)
        }
    }

    fn meta(&self) -> &Meta {
        match self {
            Self::File(_, meta) | Self::Directory(_, meta) | Self::Symlink(_, meta) | Self::Node(meta) => meta,
        }
    }
}

/// A name in the destination.
struct Place {
    directory: Rc<OwnedFd>,
    name: CString,
    /// What the directory's time was before anything was changed, if that is to stay.
    mtime: Option<(i64, u32)>,
    /// Whether a directory that is there makes way, with all that is in it.
    replace_directory: bool,
}

impl Place {
    fn meta(&self) -> Result<Meta, Errno> {
        Meta::of(&*self.directory, &self.name)
    }

    /// Makes something in place of what is there.
    fn create<T>(&self, make: impl Fn() -> Result<T, Errno>, path: &Path) -> Result<T, Error> {
        match make() {
            Err(Errno::EXIST) => {}
            result => return result.map_err(Error::at("create", path)),
        }
        let meta = self.meta().map_err(Error::at("examine", path))?;
        if meta.kind == FileType::Directory && !self.replace_directory {
            return Err(Error::IsADirectory { path: path.to_owned() });
        }
        remove(&*self.directory, OsStr::from_bytes(self.name.to_bytes())).map_err(Error::at("replace", path))?;
        make().map_err(Error::at("create", path))
    }

    fn restore_mtime(&self) -> Result<(), Errno> {
        match self.mtime {
            Some(mtime) => utimensat(&*self.directory, c"", &times(mtime), AtFlags::EMPTY_PATH),
            None => Ok(()),
        }
    }
}

fn create_file(place: &Place) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(&*place.directory, &*place.name, flags, Mode::RUSR | Mode::WUSR)
}

/// Where a file goes: links followed inside the root, the last one unless it is to be replaced; the directories above
/// made.
fn locate(root: BorrowedFd<'_>, path: &Path, replace_link: bool) -> Result<Place, Error> {
    let mut raw = clean_in_root(path);
    for _ in 0..40 {
        let (above, name) = split(&raw);
        if matches!(name, b"" | b"." | b"..") {
            return Err(Error::IsADirectory { path: path.to_owned() });
        }
        let directory =
            root::make_directories(root, above, &mut |_| ()).map_err(Error::at("create the directory of", path))?;
        let name = CString::new(name).map_err(|_| Error::at("create", path)(Errno::INVAL))?;
        match readlinkat(&directory, &*name, Vec::new()) {
            Ok(target) if !replace_link && target.as_bytes().starts_with(b"/") => raw = target.into_bytes(),
            Ok(target) if !replace_link => raw = join(above, target.as_bytes()),
            Ok(_) | Err(Errno::INVAL | Errno::NOENT) => {
                let mtime = Meta::of_fd(&directory)
                    .map_err(Error::at("examine the directory of", path))?
                    .mtime;
                return Ok(Place {
                    directory: Rc::new(directory),
                    name,
                    mtime: Some(mtime),
                    replace_directory: false,
                });
            }
            Err(errno) => return Err(Error::at("examine", path)(errno)),
        }
    }
    Err(Error::at("examine", path)(Errno::LOOP))
}

fn copy_one(
    source: &Source,
    dest_root: BorrowedFd<'_>,
    dest_path: &Path,
    options: &CopyOptions<'_>,
) -> Result<CopyStats, Error> {
    let place = locate(dest_root, dest_path, options.replace_link)?;
    let mut copier = Copier::new(options);
    copier.write(source, &place, dest_path)?;
    place
        .restore_mtime()
        .map_err(Error::at("set the time of the directory of", dest_path))?;
    Ok(copier.stats)
}

fn copy_directory(
    top: OwnedFd,
    meta: &Meta,
    source_path: &[u8],
    dest_root: BorrowedFd<'_>,
    dest_path: &Path,
    options: &CopyOptions<'_>,
) -> Result<CopyStats, Error> {
    let dest = clean_in_root(dest_path);
    let not_a_directory = |errno| match errno {
        Errno::NOTDIR => Error::NotADirectory {
            path: dest_path.to_owned(),
        },
        errno => Error::at("create the directory", dest_path)(errno),
    };
    let existing = root::open(dest_root, &dest, OFlags::PATH | OFlags::DIRECTORY);
    let kept = match existing {
        Ok(_) if options.layer => None,
        Ok(existing) => Some(Meta::of_fd(&existing).map_err(Error::at("examine", dest_path))?),
        Err(Errno::NOENT) => None,
        Err(errno) => return Err(not_a_directory(errno)),
    };
    let directory = root::make_directories(dest_root, &dest, &mut |_| ()).map_err(not_a_directory)?;
    let mut copier = Copier::new(options);
    let (xattrs, _) = xattr::read(&top).map_err(Error::at("read the attributes of", path_of(source_path)))?;
    let mut tree = TreeCopy {
        source: source_path,
        dest: dest_path,
        cursor: Cursor::new(directory.as_fd()).map_err(Error::at("open", dest_path))?,
        targets: Cursor::new(directory.as_fd()).map_err(Error::at("open", dest_path))?,
        links: HashMap::new(),
        directories: Vec::new(),
        copier: &mut copier,
    };
    tree.run(top)?;
    let open = walk::open_directory(&directory, c".").map_err(Error::at("open", dest_path))?;
    if options.layer {
        xattr::clear(&open).map_err(Error::at("set the attributes of", dest_path))?;
    }
    match kept {
        Some(kept) => futimens(&open, &times(kept.mtime)).map_err(Error::at("set the time of", dest_path))?,
        None => copier
            .describe(meta, &xattrs)
            .apply_to(&open)
            .map_err(Error::at("set the attributes of", dest_path))?,
    }
    Ok(copier.stats)
}

/// The bits of setuid and setgid.
const SET_IDS: u32 = 0o6000;

/// Copies single files.
struct Copier<'a> {
    options: &'a CopyOptions<'a>,
    content: Content,
    stats: CopyStats,
}

/// What a copy gets.
struct Attributes<'a> {
    owner: (u32, u32),
    mode: u32,
    mtime: (i64, u32),
    xattrs: &'a Xattrs,
}

impl Attributes<'_> {
    fn apply_to(&self, file: impl AsFd) -> Result<(), Errno> {
        fchown(
            &file,
            Some(Uid::from_raw(self.owner.0)),
            Some(Gid::from_raw(self.owner.1)),
        )?;
        xattr::apply(&file, self.xattrs)?;
        fchmod(&file, Mode::from_raw_mode(self.mode))?;
        futimens(&file, &times(self.mtime))
    }
}

impl<'a> Copier<'a> {
    fn new(options: &'a CopyOptions<'a>) -> Self {
        Self {
            options,
            content: Content::default(),
            stats: CopyStats::default(),
        }
    }

    fn describe<'x>(&self, meta: &Meta, xattrs: &'x Xattrs) -> Attributes<'x> {
        let is_directory = meta.kind == FileType::Directory;
        let lost = if self.options.powerless && !is_directory {
            SET_IDS
        } else {
            0
        };
        Attributes {
            owner: self.options.owner.unwrap_or((meta.uid, meta.gid)),
            mode: self.options.mode.apply(meta.mode, is_directory) & !lost,
            mtime: self.options.times.of(meta.mtime),
            xattrs,
        }
    }

    /// Copies anything but a directory.
    fn write(&mut self, source: &Source, place: &Place, path: &Path) -> Result<(), Error> {
        self.stats.files += 1;
        match source {
            Source::File(file, meta) => {
                let (mut xattrs, _) =
                    xattr::read(file).map_err(Error::at("read the attributes of the source of", path))?;
                if self.options.powerless {
                    xattrs.retain(|(name, _)| !name.starts_with(b"security."));
                }
                let copy = place.create(|| create_file(place), path)?;
                self.stats.bytes += self
                    .content
                    .copy(file, &copy, meta)
                    .map_err(Error::at("copy the content of", path))?;
                self.describe(meta, &xattrs)
                    .apply_to(&copy)
                    .map_err(Error::at("set the attributes of", path))
            }
            Source::Symlink(target, meta) => {
                place.create(|| symlinkat(&**target, &*place.directory, &*place.name), path)?;
                self.name_attributes(place, meta)
                    .map_err(Error::at("set the attributes of", path))
            }
            Source::Node(meta) if meta.kind == FileType::Socket && !self.options.layer => {
                let copy = place.create(|| create_file(place), path)?;
                self.describe(meta, &Xattrs::new())
                    .apply_to(&copy)
                    .map_err(Error::at("set the attributes of", path))
            }
            Source::Node(meta) => self.node(place, meta, path),
            Source::Directory(..) => Err(Error::IsADirectory { path: path.to_owned() }),
        }
    }

    fn node(&mut self, place: &Place, meta: &Meta, path: &Path) -> Result<(), Error> {
        let device = makedev(meta.device.0, meta.device.1);
        let make = || {
            mknodat(
                &*place.directory,
                &*place.name,
                meta.kind,
                Mode::RUSR | Mode::WUSR,
                device,
            )
        };
        match place.create(make, path) {
            Ok(()) => {}
            Err(Error::Path { source, .. })
                if meta.kind != FileType::Fifo && Errno::from_io_error(&source) == Some(Errno::PERM) =>
            {
                self.stats.skipped_devices.push(path.to_owned());
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let mode = Mode::from_raw_mode(self.options.mode.apply(meta.mode, false));
        let set = || {
            self.name_attributes(place, meta)?;
            chmodat(&*place.directory, &*place.name, mode, AtFlags::empty())
        };
        set().map_err(Error::at("set the attributes of", path))
    }

    fn name_attributes(&self, place: &Place, meta: &Meta) -> Result<(), Errno> {
        let owner = self.options.owner.unwrap_or((meta.uid, meta.gid));
        chown(&place.directory, OsStr::from_bytes(place.name.to_bytes()), owner)?;
        utimensat(
            &*place.directory,
            &*place.name,
            &times(self.options.times.of(meta.mtime)),
            AtFlags::SYMLINK_NOFOLLOW,
        )
    }
}

impl Directory {
    /// Over the same directory of a lower layer.
    fn settle(&self, parent: &OwnedFd, name: &CStr) -> Result<(), Errno> {
        let there = walk::open_directory(parent, name)?;
        xattr::clear(&there)?;
        if self.opaque { remove_below(&there) } else { Ok(()) }
    }

    /// In place of something else of a lower layer, a whiteout perhaps, which hid what is further down.
    fn replace(&mut self, parent: &OwnedFd, name: &CStr) -> Result<(), Errno> {
        unlinkat(parent, name, AtFlags::empty())?;
        self.opaque = true;
        mkdirat(parent, name, Mode::RWXU)
    }
}

/// Copies what is below a directory.
struct TreeCopy<'a, 'b> {
    source: &'a [u8],
    dest: &'a Path,
    cursor: Cursor<'a>,
    targets: Cursor<'a>,
    links: HashMap<FileId, Vec<u8>>,
    /// The directories that the walk is in.
    directories: Vec<Directory>,
    copier: &'a mut Copier<'b>,
}

struct Directory {
    path: Vec<u8>,
    meta: Meta,
    xattrs: Xattrs,
    /// Whether nothing of what lies below it in other layers is to be seen.
    opaque: bool,
    /// Those that are only descended into are made when there is something in them.
    made: bool,
}

impl TreeCopy<'_, '_> {
    fn run(&mut self, top: OwnedFd) -> Result<(), Error> {
        let mut walk = Walk::new(top).map_err(Error::at("read the directory", path_of(self.source)))?;
        loop {
            match walk.next().map_err(Error::at("walk", path_of(self.source)))? {
                Next::Name(name) => self.name(&mut walk, &name)?,
                Next::Left(_) => self.leave()?,
                Next::Done => return Ok(()),
            }
        }
    }

    fn name(&mut self, walk: &mut Walk, name: &Name) -> Result<(), Error> {
        let path = walk.path_of(&name.name);
        let full = join(self.source, &path);
        let full = path_of(&full);
        let mut filter = Filter::Include;
        if let Some(decide) = self.copier.options.filter {
            let is_directory = match name.kind {
                FileType::Unknown => {
                    Meta::of(walk.dir(), &name.name)
                        .map_err(Error::at("examine", full))?
                        .kind
                }
                kind => kind,
            } == FileType::Directory;
            filter = decide(full, is_directory);
        }
        if filter == Filter::Exclude {
            return Ok(());
        }
        if self.copier.options.present.is_some_and(|present| present(full)) {
            return self.make_directories();
        }
        match Source::in_directory(walk.dir(), name).map_err(Error::at("open", full))? {
            Source::Directory(directory, meta) => {
                let (xattrs, opaque) = xattr::read(&directory).map_err(Error::at("read the attributes of", full))?;
                self.directories.push(Directory {
                    path,
                    meta,
                    xattrs,
                    opaque: opaque && self.copier.options.layer,
                    made: false,
                });
                if filter == Filter::Include {
                    self.make_directories()?;
                }
                walk.enter(&name.name, directory)
                    .map_err(Error::at("read the directory", full))
            }
            _ if filter == Filter::Descend => Ok(()),
            file => {
                self.make_directories()?;
                self.file(&file, &path, &name.name)
            }
        }
    }

    fn file(&mut self, source: &Source, path: &[u8], name: &CStr) -> Result<(), Error> {
        let shown = self.dest.join(path_of(path));
        let directory = self
            .cursor
            .enter(split(path).0, Missing::Fail)
            .map_err(Error::at("open the directory of", &shown))?;
        let place = Place {
            directory,
            name: name.to_owned(),
            mtime: None,
            replace_directory: self.copier.options.layer,
        };
        let meta = source.meta();
        if meta.is_linked() {
            if let Some(first) = self.links.get(&meta.id()) {
                let (above, first_name) = split(first);
                let from = self
                    .targets
                    .enter(above, Missing::Fail)
                    .map_err(Error::at("open the directory of", &shown))?;
                let from_name = OsStr::from_bytes(first_name);
                self.copier.stats.files += 1;
                return place.create(
                    || linkat(&*from, from_name, &*place.directory, &*place.name, AtFlags::empty()),
                    &shown,
                );
            }
            self.copier.write(source, &place, &shown)?;
            // A device that was skipped has no first name to link to.
            if place.meta().is_ok() {
                self.links.insert(meta.id(), path.to_vec());
            }
            return Ok(());
        }
        self.copier.write(source, &place, &shown)
    }

    /// Makes those of the directories at hand that are not there yet.
    fn make_directories(&mut self) -> Result<(), Error> {
        let first = self
            .directories
            .iter()
            .rposition(|directory| directory.made)
            .map_or(0, |last| last + 1);
        for directory in &mut self.directories[first..] {
            let (above, name) = split(&directory.path);
            let shown = self.dest.join(path_of(&directory.path));
            let parent = self
                .cursor
                .enter(above, Missing::Fail)
                .map_err(Error::at("open the directory of", &shown))?;
            match mkdirat(&*parent, OsStr::from_bytes(name), Mode::RWXU) {
                Ok(()) => {}
                Err(Errno::EXIST) => {
                    let c_name = CString::new(name).map_err(|_| Error::at("create", &shown)(Errno::INVAL))?;
                    let kind = Meta::of(&*parent, &c_name).map_err(Error::at("examine", &shown))?.kind;
                    match (kind == FileType::Directory, self.copier.options.layer) {
                        (true, false) => {}
                        (true, true) => directory.settle(&parent, &c_name).map_err(Error::at("empty", shown))?,
                        (false, true) => directory
                            .replace(&parent, &c_name)
                            .map_err(Error::at("replace", shown))?,
                        (false, false) => return Err(Error::NotADirectory { path: shown }),
                    }
                }
                Err(errno) => return Err(Error::at("create the directory", shown)(errno)),
            }
            directory.made = true;
        }
        Ok(())
    }

    /// The directory at hand is done: now its own attributes.
    fn leave(&mut self) -> Result<(), Error> {
        let Some(directory) = self.directories.pop() else {
            return Ok(());
        };
        if !directory.made {
            return Ok(());
        }
        let shown = self.dest.join(path_of(&directory.path));
        let mut set = || {
            let found = self.cursor.enter(&directory.path, Missing::Fail)?;
            let open = walk::open_directory(&*found, c".")?;
            if directory.opaque {
                xattr::set_opaque(&open)?;
            }
            self.copier.describe(&directory.meta, &directory.xattrs).apply_to(&open)
        };
        set().map_err(Error::at("set the attributes of", shown))
    }
}
