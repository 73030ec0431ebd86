//! Copying what is below a directory.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, futimens, mkdirat, unlinkat};
use rustix::io::Errno;

use super::crew::{Batch, Closing, Crew, Site, others};
use super::file::Rules;
use super::{CopyOptions, CopyStats, Filter};
use crate::Error;
use crate::cursor::{Cursor, Missing};
use crate::extract::times;
use crate::remove::remove_below;
use crate::root::{self, clean_in_root, join, path_of, split};
use crate::walk::{self, Meta, Name, Next, Walk};
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
    let (xattrs, _) = xattr::read(&top).map_err(Error::at("read the attributes of", path_of(source_path)))?;
    let site = Site::new(Rules::of(options), source_path, dest_path, directory.as_fd());
    let walked = copy_below(&site, options, top, others());
    let open = walk::open_directory(&directory, c".").map_err(Error::at("open", dest_path))?;
    let attributes = site.rules.describe(meta, &xattrs);
    // What failed while files were copied comes before what the walk came to.
    let stats = site.end().and_then(|stats| walked.map(|()| stats))?;
    if options.layer {
        xattr::clear(&open).map_err(Error::at("set the attributes of", dest_path))?;
    }
    match kept {
        Some(kept) => futimens(&open, &times(kept.mtime)).map_err(Error::at("set the time of", dest_path))?,
        None => attributes
            .apply_to(&open)
            .map_err(Error::at("set the attributes of", dest_path))?,
    }
    Ok(stats)
}

/// Copies what is below a directory, with the help of so many threads. What goes wrong with files the site knows.
fn copy_below(site: &Site<'_>, options: &CopyOptions<'_>, top: OwnedFd, others: usize) -> Result<(), Error> {
    std::thread::scope(|scope| {
        let mut tree = TreeCopy {
            site,
            options,
            cursor: Cursor::new(site.top).map_err(Error::at("open", site.dest))?,
            directories: Vec::new(),
            files: None,
            crew: Crew::new(scope, site, others),
        };
        let walked = tree.run(top);
        tree.crew.finish();
        walked
    })
}

/// The walk through what is below a directory: it makes directories, and has files copied.
struct TreeCopy<'s, 'e> {
    site: &'e Site<'e>,
    options: &'e CopyOptions<'e>,
    cursor: Cursor<'e>,
    /// The directories that the walk is in.
    directories: Vec<Directory>,
    /// The directory at hand, and files in it that nobody copies yet.
    files: Option<(Arc<OwnedFd>, Vec<Name>)>,
    crew: Crew<'s, 'e>,
}

/// A directory that is copied.
pub(super) struct Directory {
    path: Vec<u8>,
    meta: Meta,
    xattrs: Xattrs,
    /// Whether nothing of what lies below it in other layers is to be seen.
    opaque: bool,
    /// Those that are only descended into are made when there is something in them.
    made: bool,
    /// If files in it are being copied.
    closing: Option<Arc<Closing>>,
}

impl TreeCopy<'_, '_> {
    fn run(&mut self, top: OwnedFd) -> Result<(), Error> {
        let source = path_of(self.site.source);
        let mut walk = Walk::new(top).map_err(Error::at("read the directory", source))?;
        while !self.site.has_failed() {
            match walk.next().map_err(Error::at("walk", source))? {
                Next::Name(name) => self.name(&mut walk, name)?,
                Next::Left(_) => self.leave()?,
                Next::Done => return self.flush(),
            }
        }
        Ok(())
    }

    fn name(&mut self, walk: &mut Walk, mut name: Name) -> Result<(), Error> {
        let path = walk.path_of(&name.name);
        let full = join(self.site.source, &path);
        let full = path_of(&full);
        if name.kind == FileType::Unknown {
            let meta = Meta::of(walk.dir(), &name.name).map_err(Error::at("examine", full))?;
            name.kind = meta.kind;
        }
        let is_directory = name.kind == FileType::Directory;
        let filter = self
            .options
            .filter
            .map_or(Filter::Include, |decide| decide(full, is_directory));
        if filter == Filter::Exclude || (filter == Filter::Descend && !is_directory) {
            return Ok(());
        }
        if is_directory {
            return self.enter(walk, &name, path, filter);
        }
        self.make_directories()?;
        if self.options.present.is_some_and(|present| present(full)) {
            return Ok(());
        }
        let (_, names) = self.files.get_or_insert_with(|| (Arc::clone(walk.dir()), Vec::new()));
        names.push(name);
        if names.len() < Batch::FULL {
            Ok(())
        } else {
            self.flush()
        }
    }

    fn enter(&mut self, walk: &mut Walk, name: &Name, path: Vec<u8>, filter: Filter) -> Result<(), Error> {
        self.flush()?;
        let full = join(self.site.source, &path);
        let full = path_of(&full);
        let directory = walk::open_directory(walk.dir(), &name.name).map_err(Error::at("open", full))?;
        let meta = Meta::of_fd(&directory).map_err(Error::at("examine", full))?;
        let (xattrs, opaque) = xattr::read(&directory).map_err(Error::at("read the attributes of", full))?;
        self.directories.push(Directory {
            path,
            meta,
            xattrs,
            opaque: opaque && self.options.layer,
            made: false,
            closing: None,
        });
        if filter == Filter::Include {
            self.make_directories()?;
        }
        walk.enter(&name.name, directory)
            .map_err(Error::at("read the directory", full))
    }

    /// Has the files at hand copied.
    fn flush(&mut self) -> Result<(), Error> {
        let Some((from, names)) = self.files.take() else {
            return Ok(());
        };
        let directory = self.directories.last_mut();
        let above = directory
            .as_ref()
            .map_or_else(Vec::new, |directory| directory.path.clone());
        let to = self.cursor.enter(&above, Missing::Fail);
        let to = to.map_err(|errno| Error::at("open", self.site.dest.join(path_of(&above)))(errno))?;
        let closing = directory.map(|directory| Arc::clone(directory.closing.get_or_insert_default()));
        self.crew.give(Batch {
            from,
            to,
            above,
            names,
            closing,
        });
        Ok(())
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
            let shown = self.site.dest.join(path_of(&directory.path));
            let parent = self
                .cursor
                .enter(above, Missing::Fail)
                .map_err(Error::at("open the directory of", &shown))?;
            match mkdirat(&*parent, OsStr::from_bytes(name), Mode::RWXU) {
                Ok(()) => {}
                Err(Errno::EXIST) => {
                    let c_name = CString::new(name).map_err(|_| Error::at("create", &shown)(Errno::INVAL))?;
                    let kind = Meta::of(&*parent, &c_name).map_err(Error::at("examine", &shown))?.kind;
                    match (kind == FileType::Directory, self.options.layer) {
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

    /// All that is in the directory at hand has a place now, and perhaps is there.
    fn leave(&mut self) -> Result<(), Error> {
        self.flush()?;
        let Some(mut directory) = self.directories.pop() else {
            return Ok(());
        };
        if !directory.made {
            return Ok(());
        }
        let path = directory.path.clone();
        let directory = match directory.closing.take() {
            Some(closing) => closing.leave(directory),
            None => Some(directory),
        };
        let Some(directory) = directory else { return Ok(()) };
        let found = self.cursor.enter(&path, Missing::Fail);
        let found = found.map_err(|errno| Error::at("open", self.site.dest.join(path_of(&path)))(errno))?;
        directory.close(self.site, &found)
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

    /// Nothing comes into it any more: now its own attributes.
    pub(super) fn close(&self, site: &Site<'_>, there: &OwnedFd) -> Result<(), Error> {
        let set = || {
            let open = walk::open_directory(there, c".")?;
            if self.opaque {
                xattr::set_opaque(&open)?;
            }
            site.rules.describe(&self.meta, &self.xattrs).apply_to(&open)
        };
        set().map_err(|errno| Error::at("set the attributes of", site.dest.join(path_of(&self.path)))(errno))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    /// However many processors this machine has.
    #[test]
    fn any_number_of_hands_copies_the_same() {
        let from = tempfile::tempdir().unwrap();
        for number in 0..600 {
            let above = from.path().join(format!("{}/deep/{}", number % 3, number % 7));
            fs::create_dir_all(&above).unwrap();
            let file = above.join(format!("f{number}"));
            fs::write(&file, number.to_string()).unwrap();
            if number % 5 == 0 {
                fs::hard_link(&file, from.path().join(format!("z{number}"))).unwrap();
            }
        }
        for others in [0, 1, 3, 8] {
            let to = tempfile::tempdir().unwrap();
            let (source, dest) = (File::open(from.path()).unwrap(), File::open(to.path()).unwrap());
            let site = Site::new(Rules::of(&CopyOptions::default()), b"", Path::new("/"), dest.as_fd());
            copy_below(&site, &CopyOptions::default(), source.into(), others).unwrap();
            assert_eq!(site.end().unwrap().files, 600 + 120, "{others}");
            for number in 0..600 {
                let file = to.path().join(format!("{}/deep/{}/f{number}", number % 3, number % 7));
                assert_eq!(fs::read_to_string(&file).unwrap(), number.to_string());
                let names = if number % 5 == 0 { 2 } else { 1 };
                assert_eq!(fs::metadata(&file).unwrap().nlink(), names, "{others} {number}");
            }
        }
    }
}
