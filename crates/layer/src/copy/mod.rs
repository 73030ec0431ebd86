//! Copying files from one tree to another: COPY, exports, seeds of cache mounts.

mod crew;
mod file;
mod place;
mod source;
mod tree;

use std::fs::File;
use std::io::Write;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, Uid, fchmod, fchown};

use self::file::{Copier, Rules};
use self::place::{create_file, locate};
use self::source::Source;
use self::tree::copy_directory;
use crate::Error;
use crate::mode::ModeChange;
use crate::root::clean_in_root;
use crate::times::Times;

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
    let mode = change.apply(mode, false);
    let file = place.create(|| create_file(&place, mode), dest)?;
    let mut file = File::from(file);
    file.write_all(content).map_err(Error::at("write", dest))?;
    let set = || {
        fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        fchmod(&file, Mode::from_raw_mode(mode))
    };
    set().map_err(Error::at("set owner and mode of", dest))?;
    place
        .restore_mtime()
        .map_err(Error::at("set the time of the directory of", dest))
}

fn copy_one(
    source: &Source,
    dest_root: BorrowedFd<'_>,
    dest_path: &Path,
    options: &CopyOptions<'_>,
) -> Result<CopyStats, Error> {
    let place = locate(dest_root, dest_path, options.replace_link)?;
    let rules = Rules::of(options);
    let mut copier = Copier::new(&rules);
    copier.write(source, &place, dest_path)?;
    place
        .restore_mtime()
        .map_err(Error::at("set the time of the directory of", dest_path))?;
    Ok(copier.stats)
}
