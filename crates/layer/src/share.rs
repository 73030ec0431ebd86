//! Files that a copy shares with an earlier copy of the same, as hard links.

use std::collections::HashSet;
use std::ffi::{CString, OsStr};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{AtFlags, FileType, linkat};
use rustix::io::Errno;

use crate::cursor::{Cursor, Missing};
use crate::root::split;
use crate::walk::{FileId, Meta};

/// A file that an earlier copy has with the same content, owner, mode and attributes.
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

/// Links files of the earlier copy in the directory `earlier` into the directory `copy`, which must be on the same mount
/// and have none of them. Directories are made on the way; their attributes are left to whoever copies the rest.
///
/// What cannot be shared is not an error, but is to be copied: a file that is not as it should be, that is there
/// under another name too, or that has as many names as the file system allows.
pub fn share_files<'a>(
    earlier: BorrowedFd<'_>,
    copy: BorrowedFd<'_>,
    files: impl Iterator<Item = Unchanged<'a>>,
) -> Result<Shared, Errno> {
    let (mut earlier, mut copy) = (Cursor::new(earlier)?, Cursor::new(copy)?);
    let mut shared = Shared::default();
    let mut seen = HashSet::new();
    for file in files {
        if share(&mut earlier, &mut copy, &file, &mut seen).is_some() {
            shared.paths.insert(file.path.to_vec());
            shared.bytes += file.size;
        }
    }
    Ok(shared)
}

/// `None` if it cannot be.
fn share(
    earlier: &mut Cursor<'_>,
    copy: &mut Cursor<'_>,
    file: &Unchanged<'_>,
    seen: &mut HashSet<FileId>,
) -> Option<()> {
    let (above, name) = split(file.path);
    let from = earlier.enter(above, Missing::Fail).ok()?;
    let meta = Meta::of(&*from, &CString::new(name).ok()?).ok()?;
    if meta.kind != FileType::RegularFile || meta.size != file.size || meta.mtime != file.mtime {
        return None;
    }
    // What were two names of one file are two files now.
    if meta.is_linked() && !seen.insert(meta.id()) {
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
    use std::path::Path;

    use super::*;

    fn unchanged<'a>(root: &Path, path: &'a str) -> Unchanged<'a> {
        let meta = fs::metadata(root.join(path)).unwrap();
        Unchanged {
            path: path.as_bytes(),
            size: meta.size(),
            mtime: (meta.mtime(), u32::try_from(meta.mtime_nsec()).unwrap()),
        }
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
        let shared = share_files(from.as_fd(), to.as_fd(), files.into_iter()).unwrap();
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
    fn two_names_of_one_file_are_two_files_where_nobody_says_otherwise() {
        let directory = tempfile::tempdir().unwrap();
        let (earlier, copy) = (directory.path().join("earlier"), directory.path().join("copy"));
        fs::create_dir(&earlier).unwrap();
        fs::create_dir(&copy).unwrap();
        fs::write(earlier.join("a"), "content").unwrap();
        fs::hard_link(earlier.join("a"), earlier.join("b")).unwrap();
        let (from, to) = (File::open(&earlier).unwrap(), File::open(&copy).unwrap());
        let files = ["a", "b"].map(|path| unchanged(&earlier, path));
        let shared = share_files(from.as_fd(), to.as_fd(), files.into_iter()).unwrap();
        assert_eq!(shared.paths, HashSet::from([b"a".to_vec()]));
        assert!(!copy.join("b").exists());
    }
}
