//! Files of an image, written to a directory of this machine.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, fchmod, linkat, mkdirat, openat, openat2, symlinkat};
use rustix::io::Errno;

use crate::error::Error;
use crate::image::Piece;
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

/// Gives the contents of files: [`crate::Image::read_files`] of one image, or of two.
pub type Contents<'c> = &'c dyn Fn(&[Place], &mut (dyn FnMut(usize, Piece<'_>) + Send)) -> Result<(), Error>;

/// Writes what is at a node at a moment into a directory, under its own name. What is there already is never touched, and no
/// link is followed: everything that is written into was made here. Permissions are kept but for setuid and its like; owners
/// and times are not.
pub fn extract(
    moments: &Moments<'_>,
    moment: u32,
    node: u32,
    contents: Contents<'_>,
    directory: &Path,
) -> Result<Extracted, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = openat(CWD, directory, flags, Mode::empty()).map_err(written(directory))?;
    let mut writer = Writer {
        moments,
        moment,
        top,
        directory,
        files: Vec::new(),
        directories: Vec::new(),
        firsts: HashMap::new(),
        done: Extracted {
            path: directory.join(OsStr::from_bytes(moments.name(node))),
            ..Extracted::default()
        },
    };
    writer.make_all(node)?;
    writer.fill(contents)?;
    for (path, mode) in writer.directories.iter().rev() {
        let made = writer.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        fchmod(made, *mode).map_err(written(&writer.shown(path)))?;
    }
    Ok(writer.done)
}

fn written(path: &Path) -> impl FnOnce(Errno) -> Error + use<> {
    let path = path.to_owned();
    move |errno| Error::Write {
        path,
        source: errno.into(),
    }
}

/// What is written, by paths below the directory.
struct Writer<'w, 'a> {
    moments: &'w Moments<'a>,
    moment: u32,
    top: OwnedFd,
    directory: &'w Path,
    files: Vec<(Vec<u8>, Place, Mode)>,
    directories: Vec<(Vec<u8>, Mode)>,
    /// The first of a file's names.
    firsts: HashMap<Place, Vec<u8>>,
    done: Extracted,
}

impl Writer<'_, '_> {
    fn shown(&self, path: &[u8]) -> PathBuf {
        self.directory.join(OsStr::from_bytes(path))
    }

    /// Opens what was made here.
    fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Error> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let path = if path.is_empty() { b"." } else { path };
        let opened = openat2(
            &self.top,
            OsStr::from_bytes(path),
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            resolve,
        );
        opened.map_err(written(&self.shown(path)))
    }

    /// Makes everything that is below a node, files without their contents.
    fn make_all(&mut self, node: u32) -> Result<(), Error> {
        let mut todo = vec![(node, Vec::new())];
        while let Some((node, parent)) = todo.pop() {
            let name = self.moments.name(node);
            let Some(place) = self.moments.at(node, self.moment) else {
                continue;
            };
            if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
                self.done.skipped += 1;
                continue;
            }
            let path = if parent.is_empty() {
                name.to_vec()
            } else {
                [&parent[..], b"/", name].concat()
            };
            let directory = self.open(&parent, OFlags::RDONLY | OFlags::DIRECTORY)?;
            if self.make(directory.as_fd(), OsStr::from_bytes(name), place, &path)? {
                todo.extend(self.moments.children(node).iter().map(|child| (*child, path.clone())));
            }
        }
        Ok(())
    }

    /// Makes one thing; gives whether there may be something in it.
    fn make(&mut self, into: BorrowedFd<'_>, name: &OsStr, place: Place, path: &[u8]) -> Result<bool, Error> {
        let layer = self.moments.layer(place);
        let entry = self.moments.entry(place);
        let mode = Mode::from_raw_mode(u32::from(entry.mode & 0o777));
        let failed = written(&self.shown(path));
        match entry.kind {
            Kind::Directory => {
                mkdirat(into, name, Mode::RWXU).map_err(failed)?;
                self.directories.push((path.to_vec(), mode));
                return Ok(true);
            }
            Kind::File => {
                let first = Place {
                    entry: layer.first_name(place.entry),
                    ..place
                };
                if let Some(same) = self.firsts.get(&first) {
                    linkat(&self.top, OsStr::from_bytes(same), into, name, AtFlags::empty()).map_err(failed)?;
                } else {
                    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    openat(into, name, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
                    self.files.push((path.to_vec(), place, mode));
                    self.firsts.insert(first, path.to_vec());
                }
            }
            Kind::Symlink => symlinkat(OsStr::from_bytes(layer.target(entry)), into, name).map_err(failed)?,
            Kind::Char | Kind::Block | Kind::Fifo | Kind::Whiteout => {
                self.done.skipped += 1;
                return Ok(false);
            }
        }
        self.done.files += 1;
        Ok(false)
    }

    /// Writes the contents of the files.
    fn fill(&mut self, contents: Contents<'_>) -> Result<(), Error> {
        let places: Vec<Place> = self.files.iter().map(|(_, place, _)| *place).collect();
        let mut open: Option<File> = None;
        let mut bytes = 0;
        let mut failed = Ok(());
        let writer = &*self;
        contents(&places, &mut |number, piece| {
            if failed.is_ok() {
                failed = writer.take(number, piece, &mut open, &mut bytes);
            }
        })?;
        failed?;
        self.done.bytes = bytes;
        for (path, _, mode) in &self.files {
            let file = self.open(path, OFlags::WRONLY)?;
            fchmod(file, *mode).map_err(written(&self.shown(path)))?;
        }
        Ok(())
    }

    fn take(&self, number: usize, piece: Piece<'_>, open: &mut Option<File>, bytes: &mut u64) -> Result<(), Error> {
        let path = &self.files[number].0;
        match (piece, open.as_mut()) {
            (Piece::Begin, _) => *open = Some(File::from(self.open(path, OFlags::WRONLY | OFlags::TRUNC)?)),
            (Piece::Bytes(piece), Some(file)) => {
                let done = file.write_all(piece);
                done.map_err(|source| Error::Write {
                    path: self.shown(path),
                    source,
                })?;
                *bytes += piece.len() as u64;
            }
            (Piece::Bytes(_), None) => {}
        }
        Ok(())
    }
}
