//! Whether the upper layers of a file tree say all that there is to say of a path.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, openat, openat2, readlinkat};
use rustix::io::Errno;

use crate::root::{join, path_of};
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

/// Looks a path up in layers' directories, the topmost first, as the kernel would in their overlay; symbolic links and `..`
/// stay inside, and a link that the path itself is is followed only on demand. `is_all` says that there are no lower layers.
/// Of a directory everything in it counts. The directories have of their layers what is `wanted`, and perhaps more.
pub fn look(layers: &[PathBuf], is_all: bool, path: &Path, follow: bool, wanted: &Wanted) -> Result<Look, Error> {
    let open = |path: &PathBuf| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, path, flags, Mode::empty()).map_err(Error::at("open the layer directory", path))
    };
    let layers: Result<Vec<_>, _> = layers.iter().map(open).collect();
    let mut walk = Walk {
        layers: layers?,
        is_all,
        wanted,
        at: vec![Level {
            path: Vec::new(),
            layers: 0,
            is_closed: is_all,
        }],
        todo: Vec::new(),
        links: 0,
    };
    walk.at[0].layers = walk.layers.len();
    walk.push(path.as_os_str().as_bytes());
    walk.run(follow).map_err(Error::at("look up", path))
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
    layers: Vec<OwnedFd>,
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

impl Walk<'_> {
    fn push(&mut self, path: &[u8]) {
        let names = path.rsplit(|byte| *byte == b'/');
        let names = names.filter(|name| !matches!(*name, b"" | b"."));
        self.todo.extend(names.map(<[u8]>::to_vec));
    }

    fn here(&self) -> &Level {
        self.at.last().expect("the root stays")
    }

    fn run(&mut self, follow: bool) -> Result<Look, Errno> {
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
                return Ok(Look::Elsewhere(self.ahead(path)));
            }
            let (found, level) = self.look_up(path)?;
            match found {
                Found::Nothing if level.is_closed => return Ok(Look::Settled),
                Found::Nothing => return Ok(Look::Open),
                Found::Directory => self.at.push(level),
                Found::Link(_) if is_last && !follow => return Ok(Look::Settled),
                Found::Link(target) => {
                    self.links += 1;
                    if self.links > MOST_LINKS {
                        return Ok(Look::Settled);
                    }
                    if target.starts_with(b"/") {
                        self.at.truncate(1);
                    }
                    self.push(&target);
                }
                // Where more was to come it leads nowhere.
                Found::Other => return Ok(Look::Settled),
            }
        }
        let here = self.here();
        if !self.wanted.covers(&here.path) {
            return Ok(Look::Elsewhere(path_of(&here.path).to_owned()));
        }
        Ok(if here.is_closed {
            Look::Settled
        } else {
            Look::OpenDirectory
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
            let Some(file) = open(layer, &level.path, OFlags::PATH)? else {
                continue;
            };
            let meta = Meta::of_fd(&file)?;
            let mut end = |layers| (level.layers, level.is_closed) = (layers, true);
            if meta.kind == FileType::Directory {
                found = Found::Directory;
                let directory = open(layer, &level.path, OFlags::RDONLY | OFlags::DIRECTORY)?.ok_or(Errno::NOENT)?;
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
fn open(layer: &OwnedFd, path: &[u8], flags: OFlags) -> Result<Option<OwnedFd>, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat2(layer, OsStr::from_bytes(path), flags, Mode::empty(), resolve) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(errno) => Err(errno),
    }
}
