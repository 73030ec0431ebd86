//! Copying what is below a directory.

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, futimens, linkat, mkdirat, unlinkat};
use rustix::io::Errno;

use super::file::Copier;
use super::place::Place;
use super::source::Source;
use super::{CopyOptions, CopyStats, Filter};
use crate::Error;
use crate::cursor::{Cursor, Missing};
use crate::extract::times;
use crate::remove::remove_below;
use crate::root::{self, clean_in_root, join, path_of, split};
use crate::walk::{self, FileId, Meta, Name, Next, Walk};
use crate::xattr::{self, Xattrs};

pub(super) fn copy_directory(
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
