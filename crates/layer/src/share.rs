//! Files that a copy shares with another layer, as hard links.

use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString, OsStr};
use std::num::NonZero;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, FileType, linkat};
use rustix::io::Errno;

use crate::cursor::{Cursor, Missing};
use crate::root::split;
use crate::walk::{self, FileId, Meta};
use crate::xattr;

/// A file that another layer has with the same content, owner, mode and attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unchanged<'a> {
    /// Relative to what was copied.
    pub path: &'a [u8],
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970 and nanoseconds.
    pub mtime: (i64, u32),
}

/// The files that two copies share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shared {
    /// Relative to what was copied.
    pub paths: HashSet<Vec<u8>>,
    /// Bytes of them.
    pub bytes: u64,
}

/// What becomes of several names of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names<'a> {
    /// They are files of their own: the first is shared, the others are to be copied.
    Apart,
    /// They are names of one file in the copy, too: all are shared or none is.
    Together {
        /// Files of the same directory that are copied: then all their names are.
        copied: &'a [Unchanged<'a>],
    },
}

/// A file with more names than this gets no further ones. File systems allow some ten thousand (ext4: 65 000), and a file
/// whose names stay together must not come to the end in the middle of them.
const MOST_NAMES: u32 = 30_000;

/// Fewer files are linked before a thread has started.
const FEW: usize = 256;

/// More threads than this wait for the file system's journal.
const THREADS: usize = 4;

/// Links files of the directory `earlier` into the directory `copy`, which must be on the same mount and have none of them. Directories are made on the way; their attributes are left to whoever copies the rest.
/// The files are to come in the order of a walk.
///
/// What cannot be shared is not an error, but is to be copied: a file that is not as it should be, that has another name
/// where those are files [apart](Names::Apart), that has too many names, or that has attributes which a copy would not
/// have.
pub fn share_files(
    earlier: BorrowedFd<'_>,
    copy: BorrowedFd<'_>,
    files: &[Unchanged<'_>],
    names: Names<'_>,
) -> Result<Shared, Errno> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let parts = parts(files, threads.min(THREADS).min(files.len() / FEW).max(1));
    let mut cursor = Cursor::new(copy)?;
    for part in &parts {
        // Nobody makes a directory then that somebody else makes too. What fails is not shared.
        let _copied = part.first().map(|file| cursor.enter(split(file.path).0, Missing::Make));
    }
    let seen = Seen::new(earlier, names)?;
    let (first, others) = parts.split_first().expect("there is a part");
    let share = |part: &[Unchanged<'_>]| share_part(earlier, copy, part, &seen);
    let share = &share;
    std::thread::scope(|scope| {
        let start = |part| std::thread::Builder::new().spawn_scoped(scope, move || share(part));
        let others: Vec<_> = others.iter().map(|part| (part, start(part))).collect();
        let mut shared = share(first)?;
        for (part, other) in others {
            let other = match other {
                Ok(thread) => thread.join().expect("who links does not panic")?,
                // The system has no thread left.
                Err(_) => share(part)?,
            };
            shared.paths.extend(other.paths);
            shared.bytes += other.bytes;
        }
        Ok(shared)
    })
}

/// Cuts a list of files into about `count` parts, none within a directory.
fn parts<'a, 'f>(mut files: &'f [Unchanged<'a>], count: usize) -> Vec<&'f [Unchanged<'a>]> {
    let mut parts = Vec::new();
    let about = files.len() / count;
    while parts.len() + 1 < count {
        let above = |file: &Unchanged<'a>| split(file.path).0;
        let Some(last) = files.get(about) else { break };
        let rest = files[about..].iter().position(|file| above(file) != above(last));
        let Some(rest) = rest else { break };
        let (part, others) = files.split_at(about + rest);
        parts.push(part);
        files = others;
    }
    parts.push(files);
    parts
}

fn share_part(
    earlier: BorrowedFd<'_>,
    copy: BorrowedFd<'_>,
    files: &[Unchanged<'_>],
    seen: &Seen,
) -> Result<Shared, Errno> {
    let (mut earlier, mut copy) = (Cursor::new(earlier)?, Cursor::new(copy)?);
    let mut shared = Shared::default();
    for file in files {
        if share(&mut earlier, &mut copy, file, seen).is_some() {
            shared.paths.insert(file.path.to_vec());
            shared.bytes += file.size;
        }
    }
    Ok(shared)
}

/// The files with several names that were met.
struct Seen {
    /// Whether all names of a file are shared, or the first alone.
    together: bool,
    /// Whether their names are shared.
    linked: Mutex<HashMap<FileId, bool>>,
}

impl Seen {
    fn new(earlier: BorrowedFd<'_>, names: Names<'_>) -> Result<Self, Errno> {
        let mut linked = HashMap::new();
        if let Names::Together { copied } = names {
            let mut cursor = Cursor::new(earlier)?;
            let mut look = |path| {
                let (above, name) = split(path);
                let above = cursor.enter(above, Missing::Fail).ok()?;
                Meta::of(&*above, &CString::new(name).ok()?).ok()
            };
            let metas = copied.iter().filter_map(|file| look(file.path));
            linked.extend(metas.filter(Meta::is_linked).map(|meta| (meta.id(), false)));
        }
        Ok(Self {
            together: matches!(names, Names::Together { .. }),
            linked: Mutex::new(linked),
        })
    }

    /// Whether a name of the file may be linked, as far as its other names decide that.
    fn allows(&self, meta: &Meta) -> bool {
        if !meta.is_linked() {
            return true;
        }
        let mut linked = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&first) = linked.get(&meta.id()) {
            return self.together && first;
        }
        let few = meta.links <= MOST_NAMES;
        linked.insert(meta.id(), few);
        few
    }
}

/// Whether a file has only attributes that a copy of it has too. Overlayfs's own would make one file of two.
fn has_own_attributes(directory: &OwnedFd, name: &CStr) -> Option<bool> {
    xattr::all_belong(walk::open_file(directory, name).ok()?).ok()
}

/// `None` if it cannot be.
fn share(earlier: &mut Cursor<'_>, copy: &mut Cursor<'_>, file: &Unchanged<'_>, seen: &Seen) -> Option<()> {
    let (above, name) = split(file.path);
    let from = earlier.enter(above, Missing::Fail).ok()?;
    let c_name = CString::new(name).ok()?;
    let meta = Meta::of(&*from, &c_name).ok()?;
    if meta.kind != FileType::RegularFile || meta.size != file.size || meta.mtime != file.mtime {
        return None;
    }
    if !seen.allows(&meta) || !has_own_attributes(&from, &c_name)? {
        return None;
    }
    let to = copy.enter(above, Missing::Make).ok()?;
    let name = OsStr::from_bytes(name);
    linkat(&*from, name, &*to, name, AtFlags::empty()).ok()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::{Path, PathBuf};

    use super::*;

    fn unchanged<'a>(root: &Path, path: &'a str) -> Unchanged<'a> {
        let meta = fs::metadata(root.join(path)).unwrap();
        Unchanged {
            path: path.as_bytes(),
            size: meta.size(),
            mtime: (meta.mtime(), u32::try_from(meta.mtime_nsec()).unwrap()),
        }
    }

    /// Gone with the first: two empty ones in it.
    fn two_directories() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let (earlier, copy) = (directory.path().join("earlier"), directory.path().join("copy"));
        fs::create_dir(&earlier).unwrap();
        fs::create_dir(&copy).unwrap();
        (directory, earlier, copy)
    }

    /// Two names, `a` and `b`, of one file.
    fn twice_named(directory: &Path) -> [Unchanged<'static>; 2] {
        fs::write(directory.join("a"), "content").unwrap();
        fs::hard_link(directory.join("a"), directory.join("b")).unwrap();
        ["a", "b"].map(|path| unchanged(directory, path))
    }

    #[test]
    fn shares_what_is_as_it_was_and_leaves_the_rest() {
        let directory = tempfile::tempdir().unwrap();
        let (earlier, copy) = (directory.path().join("earlier"), directory.path().join("copy"));
        fs::create_dir_all(earlier.join("a/b")).unwrap();
        fs::create_dir(&copy).unwrap();
        for path in ["a/b/same", "a/touched", "a/grown", "top"] {
            fs::write(earlier.join(path), path).unwrap();
        }
        std::os::unix::fs::symlink("top", earlier.join("link")).unwrap();
        let of = |path| unchanged(&earlier, path);
        let mut touched = of("a/touched");
        touched.mtime.1 ^= 1;
        let grown = Unchanged {
            size: 1,
            ..of("a/grown")
        };
        let gone = Unchanged {
            path: b"x/gone",
            ..of("top")
        };
        let link = Unchanged {
            path: b"link",
            ..of("top")
        };
        let files = [of("a/b/same"), touched, grown, gone, link, of("top")];
        let (from, to) = (File::open(&earlier).unwrap(), File::open(&copy).unwrap());
        let shared = share_files(from.as_fd(), to.as_fd(), &files, Names::Apart).unwrap();
        let expected = ["a/b/same", "top"].map(|path| path.as_bytes().to_vec());
        assert_eq!(shared.paths, HashSet::from(expected));
        for path in ["a/b/same", "top"] {
            let inode = |root: &Path| fs::metadata(root.join(path)).unwrap().ino();
            assert_eq!(inode(&earlier), inode(&copy), "{path}");
        }
        assert_eq!(shared.bytes, "a/b/same".len() as u64 + "top".len() as u64);
        for path in ["a/touched", "a/grown", "x", "link"] {
            assert!(!copy.join(path).exists(), "{path}");
        }
    }

    #[test]
    fn many_files_are_shared_by_parts() {
        let directory = tempfile::tempdir().unwrap();
        let (earlier, copy) = (directory.path().join("earlier"), directory.path().join("copy"));
        fs::create_dir(&copy).unwrap();
        let mut paths = Vec::new();
        for above in ["", "a/", "a/b/", "a/c/d/", "e/"] {
            fs::create_dir_all(earlier.join(above)).unwrap();
            for index in 0..FEW {
                paths.push(format!("{above}{index}"));
                fs::write(earlier.join(paths.last().unwrap()), above).unwrap();
            }
        }
        let files: Vec<_> = paths.iter().map(|path| unchanged(&earlier, path)).collect();
        for count in 1..8 {
            let parts = parts(&files, count);
            assert!(parts.len() <= count && parts.concat() == files, "{count}");
            let directories = parts.iter().map(|part| split(part[0].path).0);
            assert_eq!(directories.collect::<HashSet<_>>().len(), parts.len(), "{count}");
        }
        let (from, to) = (File::open(&earlier).unwrap(), File::open(&copy).unwrap());
        let shared = share_files(from.as_fd(), to.as_fd(), &files, Names::Apart).unwrap();
        assert_eq!(shared.paths.len(), paths.len());
        for path in &paths {
            assert_eq!(fs::metadata(copy.join(path)).unwrap().nlink(), 2, "{path}");
        }
    }

    #[test]
    fn two_names_of_one_file_are_two_files_where_nobody_says_otherwise() {
        let (_directory, earlier, copy) = two_directories();
        let files = twice_named(&earlier);
        let (from, to) = (File::open(&earlier).unwrap(), File::open(&copy).unwrap());
        let shared = share_files(from.as_fd(), to.as_fd(), &files, Names::Apart).unwrap();
        assert_eq!(shared.paths, HashSet::from([b"a".to_vec()]));
        assert!(!copy.join("b").exists());
    }

    #[test]
    fn names_that_stay_together_are_all_shared() {
        let (_directory, earlier, copy) = two_directories();
        let files = twice_named(&earlier);
        let (from, to) = (File::open(&earlier).unwrap(), File::open(&copy).unwrap());
        let shared = share_files(from.as_fd(), to.as_fd(), &files, Names::Together { copied: &[] }).unwrap();
        assert_eq!(shared.paths.len(), 2);
        assert_eq!(fs::metadata(copy.join("b")).unwrap().nlink(), 4);
    }

    #[test]
    fn names_of_what_is_copied_are_all_copied() {
        let (_directory, earlier, copy) = two_directories();
        let [a, b] = twice_named(&earlier);
        let (from, to) = (File::open(&earlier).unwrap(), File::open(&copy).unwrap());
        let names = Names::Together { copied: &[a] };
        assert!(
            share_files(from.as_fd(), to.as_fd(), &[b], names)
                .unwrap()
                .paths
                .is_empty()
        );
    }

    #[test]
    fn what_overlayfs_wrote_down_is_not_shared() {
        let (_directory, earlier, copy) = two_directories();
        for name in ["marked", "plain"] {
            fs::write(earlier.join(name), name).unwrap();
        }
        let marked = File::open(earlier.join("marked")).unwrap();
        let flags = rustix::fs::XattrFlags::empty();
        if rustix::fs::fsetxattr(&marked, "user.overlay.origin", b"x", flags).is_err() {
            eprintln!("SKIPPED: this file system has no attributes");
            return;
        }
        let (from, to) = (File::open(&earlier).unwrap(), File::open(&copy).unwrap());
        let files = ["marked", "plain"].map(|path| unchanged(&earlier, path));
        for names in [Names::Apart, Names::Together { copied: &[] }] {
            let shared = share_files(from.as_fd(), to.as_fd(), &files, names).unwrap();
            assert_eq!(shared.paths, HashSet::from([b"plain".to_vec()]));
            fs::remove_file(copy.join("plain")).unwrap();
        }
    }
}
