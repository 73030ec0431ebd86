//! Whether the upper layers of a file tree say all that there is to say of a path.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, openat, openat2, readlinkat};
use rustix::io::Errno;

use crate::root::{bytes_of, join, path_of};
use crate::walk::Meta;
use crate::wanted::Wanted;
use crate::{Error, xattr};

/// How many symbolic links a look-up follows; the kernel's own limit.
const MOST_LINKS: usize = 40;

/// What is known of a path from the upper layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// Whatever lower layers have, it changes nothing: not even that there is nothing.
    Settled,
    /// There is nothing so far, and lower layers may have something.
    Open,
    /// It is a directory, in which lower layers may have something.
    OpenDirectory,
    /// It leads through this path, which is not one of those that are wanted: nothing is known of it.
    Elsewhere(PathBuf),
}

/// Opens a layer's directory to look paths up in it.
pub fn open_layer(dir: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, dir, flags, Mode::empty()).map_err(Error::at("open the layer directory", dir))
}

/// Looks a path up in layers' directories, the topmost first, as the kernel would in their overlay; symbolic links and `..`
/// stay inside, and a link that the path itself is is followed only on demand. `is_all` says that there are no lower layers.
/// Of a directory everything in it counts. The directories have of their layers what is `wanted`, and perhaps more.
pub fn look(layers: &[impl AsFd], is_all: bool, path: &Path, follow: bool, wanted: &Wanted) -> Result<Look, Error> {
    let mut walk = Walk::new(layers, is_all, wanted, bytes_of(path));
    let end = walk.run(follow).map_err(Error::at("look up", path))?;
    Ok(match end {
        End::Elsewhere(path) => Look::Elsewhere(path),
        End::Nothing { is_closed: false } => Look::Open,
        End::Directory { is_closed: false } => Look::OpenDirectory,
        _ => Look::Settled,
    })
}

/// The path of a file, through no link, that is at a path of those layers merged; a link that it is itself is not followed.
/// `None` where there is nothing, or a directory.
pub(crate) fn place(layers: &[impl AsFd], path: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    Ok(match Walk::new(layers, true, &Wanted::all(), path).run(false)? {
        End::File(path) => Some(path),
        _ => None,
    })
}

/// A directory that was come to.
struct Level {
    /// Clean, and through no link.
    path: Vec<u8>,
    /// How many of the layers may have something in it: those from the topmost.
    layers: usize,
    /// Whether none of those further down has.
    is_closed: bool,
}

struct Walk<'w> {
    layers: Vec<BorrowedFd<'w>>,
    is_all: bool,
    wanted: &'w Wanted,
    /// The root and the directories below it that lead to the last.
    at: Vec<Level>,
    /// Names still to come, the next one last.
    todo: Vec<Vec<u8>>,
    links: usize,
}

/// What is at a path.
enum Found {
    Nothing,
    Directory,
    Link(Vec<u8>),
    Other,
}

/// What is at the end of a path. Behind a file, and in a circle of links, there is nothing, whatever lower layers have.
enum End {
    Nothing { is_closed: bool },
    Directory { is_closed: bool },
    File(Vec<u8>),
    Elsewhere(PathBuf),
}

impl<'w> Walk<'w> {
    fn new(layers: &'w [impl AsFd], is_all: bool, wanted: &'w Wanted, path: &[u8]) -> Self {
        let mut walk = Self {
            layers: layers.iter().map(AsFd::as_fd).collect(),
            is_all,
            wanted,
            at: vec![Level {
                path: Vec::new(),
                layers: layers.len(),
                is_closed: is_all,
            }],
            todo: Vec::new(),
            links: 0,
        };
        walk.push(path);
        walk
    }

    fn push(&mut self, path: &[u8]) {
        let names = path.rsplit(|byte| *byte == b'/');
        let names = names.filter(|name| !matches!(*name, b"" | b"."));
        self.todo.extend(names.map(<[u8]>::to_vec));
    }

    fn here(&self) -> &Level {
        self.at.last().expect("the root stays")
    }

    fn run(&mut self, follow: bool) -> Result<End, Errno> {
        let nowhere = End::Nothing { is_closed: true };
        while let Some(name) = self.todo.pop() {
            if name == b".." {
                if self.at.len() > 1 {
                    self.at.pop();
                }
                continue;
            }
            let path = join(&self.here().path, &name);
            let is_last = self.todo.is_empty();
            if !self.wanted.takes(&path) || (is_last && !self.wanted.covers(&path)) {
                return Ok(End::Elsewhere(self.ahead(path)));
            }
            let (found, level) = self.look_up(path)?;
            match found {
                Found::Nothing => {
                    return Ok(End::Nothing {
                        is_closed: level.is_closed,
                    });
                }
                Found::Directory => self.at.push(level),
                Found::Link(_) if is_last && !follow => return Ok(End::File(level.path)),
                Found::Link(target) => {
                    self.links += 1;
                    if self.links > MOST_LINKS {
                        return Ok(nowhere);
                    }
                    if target.starts_with(b"/") {
                        self.at.truncate(1);
                    }
                    self.push(&target);
                }
                Found::Other if is_last => return Ok(End::File(level.path)),
                Found::Other => return Ok(nowhere),
            }
        }
        let here = self.here();
        if !self.wanted.covers(&here.path) {
            return Ok(End::Elsewhere(path_of(&here.path).to_owned()));
        }
        Ok(End::Directory {
            is_closed: here.is_closed,
        })
    }

    /// A path, and what is to come below it.
    fn ahead(&self, path: Vec<u8>) -> PathBuf {
        let names = self.todo.iter().rev().take_while(|name| *name != b"..");
        let path = names.fold(path, |path, name| join(&path, name));
        path_of(&path).to_owned()
    }

    /// What is at a path below the current directory: the topmost layer that has something there says what; and how far down
    /// its content goes, should it be a directory.
    fn look_up(&self, path: Vec<u8>) -> Result<(Found, Level), Errno> {
        let here = self.here();
        let mut found = Found::Nothing;
        let mut level = Level {
            path,
            layers: here.layers,
            is_closed: here.is_closed,
        };
        for (number, layer) in self.layers[..here.layers].iter().enumerate() {
            let Some(file) = open(*layer, &level.path, OFlags::PATH)? else {
                continue;
            };
            let meta = Meta::of_fd(&file)?;
            let mut end = |layers| (level.layers, level.is_closed) = (layers, true);
            if meta.kind == FileType::Directory {
                found = Found::Directory;
                let directory = open(*layer, &level.path, OFlags::RDONLY | OFlags::DIRECTORY)?.ok_or(Errno::NOENT)?;
                if !xattr::read(&directory)?.1 {
                    continue;
                }
                end(number + 1);
            } else {
                end(number);
                if matches!(found, Found::Nothing) && !meta.is_whiteout() {
                    found = match meta.kind {
                        FileType::Symlink => Found::Link(readlinkat(&file, "", Vec::new())?.into_bytes()),
                        _ => Found::Other,
                    };
                }
            }
            break;
        }
        level.is_closed |= self.is_all;
        Ok((found, level))
    }
}

/// What a layer itself has at a path, no link followed.
fn open(layer: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<Option<OwnedFd>, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat2(layer, OsStr::from_bytes(path), flags, Mode::empty(), resolve) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(errno) => Err(errno),
    }
}
