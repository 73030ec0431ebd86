//! Files of an image, written to a directory of this machine.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, fchmod, mkdirat, openat, symlinkat};
use rustix::io::Errno;

use crate::error::Error;
use crate::index::Kind;
use crate::moments::Moments;
use crate::tree::Place;

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extracted {
    /// Where the file or directory is.
    pub path: PathBuf,
    /// How many files and links.
    pub files: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// How many were left out: devices and pipes, and names that no file system takes.
    pub skipped: u64,
}

/// Deeper directories are not written: each on the way is held open.
const DEEPEST: usize = 512;

/// What the writing needs.
struct Writer<'w, 'a> {
    moments: &'w Moments<'a>,
    moment: u32,
    open: &'w dyn Fn(Place) -> Result<File, Error>,
    done: Extracted,
}

/// Writes what is at a node at a moment into a directory, under its own name. What is there already is never touched, and
/// no link of the image is followed: every directory that is written into was made here. Permissions are kept but for setuid
/// and its like; owners and times are not.
pub fn extract(
    moments: &Moments<'_>,
    moment: u32,
    node: u32,
    open: &dyn Fn(Place) -> Result<File, Error>,
    directory: &Path,
) -> Result<Extracted, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = openat(CWD, directory, flags, Mode::empty()).map_err(written(directory))?;
    let mut writer = Writer {
        moments,
        moment,
        open,
        done: Extracted {
            path: directory.join(OsStr::from_bytes(moments.name(node))),
            ..Extracted::default()
        },
    };
    writer.write(top.as_fd(), node, directory, 0)?;
    Ok(writer.done)
}

fn written(path: &Path) -> impl FnOnce(Errno) -> Error {
    let path = path.to_owned();
    move |errno| Error::Write {
        path,
        source: errno.into(),
    }
}

impl Writer<'_, '_> {
    fn write(&mut self, into: BorrowedFd<'_>, node: u32, directory: &Path, depth: usize) -> Result<(), Error> {
        let name = OsStr::from_bytes(self.moments.name(node));
        let path = directory.join(name);
        let Some(place) = self.moments.at(node, self.moment) else {
            return Ok(());
        };
        if matches!(name.as_bytes(), b"" | b"." | b"..") || name.as_bytes().contains(&b'/') || depth > DEEPEST {
            self.done.skipped += 1;
            return Ok(());
        }
        let layer = self.moments.layer(place);
        let entry = self.moments.entry(place);
        let mode = Mode::from_raw_mode(u32::from(entry.mode & 0o777));
        match entry.kind {
            Kind::Directory => {
                let made = new_directory(into, name).map_err(written(&path))?;
                let mut children = self.moments.children(node).to_vec();
                children.sort_unstable_by_key(|child| self.moments.name(*child));
                for child in children {
                    self.write(made.as_fd(), child, &path, depth + 1)?;
                }
                return fchmod(&made, mode).map_err(written(&path));
            }
            Kind::File => {
                let first = Place {
                    entry: layer.first_name(place.entry),
                    ..place
                };
                let mut from = (self.open)(first)?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = openat(into, name, flags, Mode::RUSR | Mode::WUSR).map_err(written(&path))?;
                let mut file = File::from(file);
                let copied = io::copy(&mut from, &mut file);
                self.done.bytes += copied.map_err(|source| Error::Write {
                    path: path.clone(),
                    source,
                })?;
                fchmod(&file, mode).map_err(written(&path))?;
            }
            Kind::Symlink => {
                symlinkat(OsStr::from_bytes(layer.target(entry)), into, name).map_err(written(&path))?;
            }
            Kind::Char | Kind::Block | Kind::Fifo | Kind::Whiteout => {
                self.done.skipped += 1;
                return Ok(());
            }
        }
        self.done.files += 1;
        Ok(())
    }
}

/// A new directory, that its owner can write to until it is filled.
fn new_directory(into: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    mkdirat(into, name, Mode::RWXU)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(into, name, flags, Mode::empty())
}
