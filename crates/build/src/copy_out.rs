//! Files out of an image, without a container.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use kiln_dockerfile::suggest;
use kiln_image::Platform;
use kiln_layer::{CopyOptions, PackOptions, copy_tree, pack_path};
use kiln_sandbox::open_in_root;
use kiln_store::{LayerDir, LayerId};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, statat};
use rustix::io::Errno;

use crate::builder::{Builder, FIRST_TASK};
use crate::cancel::Cancel;
use crate::error::{Error, Missing, MissingCause, StepError, StepResult};
use crate::event::Sink;
use crate::images::Images;
use crate::part::{self, Goal, Part};
use crate::session::Tasks;
use crate::source::{self, OfSource};

/// What is copied out of an image.
#[derive(Debug, Clone)]
pub struct CopyOut {
    /// The image, as people write where one is: see [`Builder::locate`]. What the store does not have is read where it is.
    pub image: String,
    /// For which platform; of several in the store this machine's where not given.
    pub platform: Option<Platform>,
    /// The path in it, from the root. What ends in `/.` is what is in the directory, without itself.
    pub path: PathBuf,
    /// Whether a symbolic link that the path is stands for what it leads to.
    pub follow: bool,
}

/// Where it goes.
pub enum CopyTo<'a> {
    /// To a path of this machine, as `docker cp` understands it: into a directory that is there, else under that name.
    Path {
        /// The path.
        path: &'a Path,
        /// Whether owners and groups stay those of the image; else all is whoever's who copies it.
        keep_owner: bool,
    },
    /// As a tar, whose entries begin with the last name of the path.
    Tar(&'a mut dyn Write),
}

impl std::fmt::Debug for CopyTo<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path { path, keep_owner } => f.debug_tuple("Path").field(path).field(keep_owner).finish(),
            Self::Tar(_) => f.write_str("Tar"),
        }
    }
}

impl Builder {
    /// Copies a file or directory of an image, whose layers are laid over one another for it. Of an image that is not in the
    /// store layers are read from the top, until all is known of what is copied; none is taken into the store.
    pub fn copy_out(&self, what: &CopyOut, to: CopyTo<'_>, sink: &dyn Sink, cancel: &Cancel) -> Result<(), Error> {
        let tasks = Tasks::new(sink, FIRST_TASK);
        let images = Images::new(&self.store, &self.registry, &tasks, cancel);
        Ok(copy_out(&images, what, to)?)
    }
}

fn copy_out(images: &Images<'_>, what: &CopyOut, to: CopyTo<'_>) -> StepResult<()> {
    let _in_use = images.store.in_use()?;
    let location = source::locate(images.store, &what.image)?;
    let image = source::open(images, &location, what.platform.as_ref())?;
    let empty = images.store.new_layer()?;
    if image.is_in_store() {
        let layers: Vec<LayerId> = image.layers.iter().map(|layer| layer.id.clone()).collect();
        let tree = part::tree(images.directories(&images.mountable(&layers)?), empty.fs())?;
        return deliver(images, &Source::find(&tree, what)?, &what.path, to);
    }
    let task = images.tasks.start(format!("read layers of {}", image.name));
    let read = read(images, &OfSource::new(images, &image, &task), what, &empty);
    let (_part, tree) = task.end(read)?;
    deliver(images, &Source::find(&tree, what)?, &what.path, to)
}

/// Reads an image until all is known of what is copied. Where that is not there, what lies beside it says what was meant.
fn read(images: &Images<'_>, layers: &OfSource<'_>, what: &CopyOut, empty: &LayerDir) -> StepResult<(Part, OwnedFd)> {
    let lay = |path: &Path, follow| {
        let path = path.to_owned();
        let part = Part::read(images.store, layers, &[Goal { path, follow }])?;
        let tree = part.tree(empty.fs())?;
        Ok((part, tree))
    };
    let found = lay(&what.path, Meant::of(what).follow)?;
    match Source::find(&found.1, what) {
        Err(StepError::Missing(_)) => lay(clean(&what.path).parent().unwrap_or(Path::new("/")), true),
        _ => Ok(found),
    }
}

/// Copies what was found.
fn deliver(images: &Images<'_>, source: &Source<'_>, path: &Path, to: CopyTo<'_>) -> StepResult<()> {
    match to {
        CopyTo::Tar(out) => {
            let name = if source.content_only {
                Path::new("")
            } else {
                source.name()
            };
            let options = PackOptions::default();
            pack_path(source.tree, path, name, source.follow, &options, out)?;
        }
        CopyTo::Path { path, keep_owner } => {
            let skipped = source.copy_to(&Destination::find(path, source)?, keep_owner)?;
            for device in skipped {
                images.tasks.notice(format!(
                    "{} is a device, which only root can make: it is left out",
                    device.display()
                ));
            }
        }
    }
    Ok(())
}

/// How a path is meant, by how it is written.
struct Meant {
    /// Whether what is in the directory is meant.
    content_only: bool,
    as_directory: bool,
    follow: bool,
}

impl Meant {
    fn of(what: &CopyOut) -> Self {
        let bytes = what.path.as_os_str().as_bytes();
        let content_only = bytes.ends_with(b"/.") || bytes == b"." || bytes.iter().all(|byte| *byte == b'/');
        // A slash behind a link asks for the directory that it leads to.
        let as_directory = content_only || bytes.ends_with(b"/");
        Self {
            content_only,
            as_directory,
            follow: what.follow || as_directory,
        }
    }
}

/// What was found in the image.
struct Source<'a> {
    /// The file tree.
    tree: BorrowedFd<'a>,
    path: &'a Path,
    is_directory: bool,
    /// Whether what is in the directory is meant.
    content_only: bool,
    follow: bool,
}

impl<'a> Source<'a> {
    /// Looks a path up in a file tree.
    fn find(tree: &'a OwnedFd, what: &'a CopyOut) -> StepResult<Self> {
        let Meant {
            content_only,
            as_directory,
            follow,
        } = Meant::of(what);
        let is_directory = match kind(tree, &what.path, follow) {
            Ok(FileType::Directory) => true,
            Ok(_) if as_directory => return Err(StepError::errno("open", &what.path)(Errno::NOTDIR)),
            Ok(_) => false,
            Err(Errno::NOENT) => return Err(missing(tree, what)),
            Err(errno) => return Err(StepError::errno("open", &what.path)(errno)),
        };
        Ok(Self {
            tree: tree.as_fd(),
            path: &what.path,
            is_directory,
            content_only,
            follow,
        })
    }

    /// The last name of the path.
    fn name(&self) -> &'a Path {
        Path::new(self.path.file_name().unwrap_or_default())
    }

    /// Gives the devices that could not be made.
    fn copy_to(&self, to: &Destination, keep_owner: bool) -> StepResult<Vec<PathBuf>> {
        let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let options = CopyOptions {
            owner: (!keep_owner).then_some(own),
            // What an image lets do as its root must not be let do as whoever copies it.
            powerless: !keep_owner,
            no_follow: !self.follow,
            replace_link: true,
            ..CopyOptions::default()
        };
        let name = Path::new(&to.name);
        let copied = copy_tree(self.tree, self.path, to.directory.as_fd(), name, &options)?;
        Ok(copied.skipped_devices)
    }
}

/// What a path is in a file tree.
fn kind(tree: &OwnedFd, path: &Path, follow: bool) -> Result<FileType, Errno> {
    let follow = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
    let found = open_in_root(tree, clean(path), OFlags::PATH | follow, Mode::empty())?;
    let stat = statat(&found, "", AtFlags::EMPTY_PATH)?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}

fn missing(tree: &OwnedFd, what: &CopyOut) -> StepError {
    let nearest = nearest(tree, &what.path).map(|path| path.display().to_string());
    StepError::Missing(Missing {
        path: what.path.display().to_string(),
        place: format!("the image {}", what.image),
        cause: MissingCause::Absent { nearest },
    })
}

/// The name beside a path that it was meant to be.
fn nearest(tree: &OwnedFd, path: &Path) -> Option<PathBuf> {
    let path = clean(path);
    let parent = path.parent()?;
    let directory = open_in_root(tree, parent, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).ok()?;
    let entries = Dir::read_from(&directory).ok()?.filter_map(Result::ok);
    let names: Vec<String> = entries
        .filter_map(|entry| Some(entry.file_name().to_str().ok()?.to_owned()))
        .collect();
    let nearest = suggest::closest(path.file_name()?.to_str()?, names.iter().map(String::as_str))?;
    Some(parent.join(nearest))
}

/// The path from the root, without `.`, `..` and slashes too many.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            std::path::Component::Normal(name) => clean.push(name),
            std::path::Component::ParentDir => drop(clean.pop()),
            _ => {}
        }
    }
    clean
}

/// A directory of this machine, and the name of what is copied there; none for the directory itself.
struct Destination {
    directory: OwnedFd,
    name: OsString,
}

impl Destination {
    /// As `docker cp` has it: what is copied goes into a directory that is there, and else becomes what is named.
    fn find(path: &Path, source: &Source<'_>) -> StepResult<Self> {
        let invalid = |what: &str| Err(StepError::Invalid(format!("{}: {what}", path.display())));
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => {
                let name = if source.content_only {
                    "".as_ref()
                } else {
                    source.name().as_os_str()
                };
                let beside = path.join(name);
                let there = std::fs::symlink_metadata(&beside).ok().filter(|_| !name.is_empty());
                match there {
                    Some(there) if source.is_directory && !there.is_dir() => Err(StepError::Invalid(format!(
                        "{}: a directory cannot replace what is no directory",
                        beside.display()
                    ))),
                    _ => Self::open(path, name),
                }
            }
            Ok(_) if source.is_directory => invalid("a directory cannot be copied to what is no directory"),
            Ok(_) if ends_with_slash(path) => invalid("it is not a directory"),
            Ok(meta) if !meta.is_file() => {
                invalid("it is neither a file nor a directory; with `-` in its place a tar goes to standard output")
            }
            Ok(_) => {
                let real = std::fs::canonicalize(path).map_err(StepError::io("open", path))?;
                Self::in_parent(&real)
            }
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StepError::io("open", path)(error)),
            Err(_) if std::fs::symlink_metadata(path).is_ok() => invalid("it is a symbolic link to nothing"),
            Err(_) if ends_with_slash(path) && !source.is_directory => {
                invalid("there is no such directory, and a file must go into one that is there")
            }
            Err(_) => Self::in_parent(path),
        }
    }

    fn in_parent(path: &Path) -> StepResult<Self> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let name = path.file_name().unwrap_or_default();
        Self::open(parent.unwrap_or(Path::new(".")), name)
    }

    fn open(directory: &Path, name: &OsStr) -> StepResult<Self> {
        let opened = File::open(directory).map_err(StepError::io("open the directory", directory))?;
        Ok(Self {
            directory: opened.into(),
            name: name.to_owned(),
        })
    }
}

fn ends_with_slash(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(b"/")
}
