//! Paths that never leave a root directory, however its symbolic links are laid.

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, UTIME_OMIT, Uid, chownat, fchmod, fstat,
    futimens, mkdirat, openat, openat2, readlinkat,
};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// How often a look-up that raced with a rename is tried again.
const RETRIES: usize = 128;

/// How many dangling symbolic links are followed when creating a path (the kernel's own limit for look-ups).
const MAX_LINKS: usize = 40;

/// Opens `path` as if `root` were the file system's root: absolute paths, `..` and symbolic links all stay inside.
///
/// `O_CLOEXEC` is added. Errors are the kernel's.
pub fn open_in_root(root: impl AsFd, path: impl AsRef<Path>, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    let root = root.as_fd();
    let path = path.as_ref();
    let path = if path.as_os_str().is_empty() {
        Path::new("/")
    } else {
        path
    };
    let mut tries = 0;
    loop {
        // EAGAIN: a rename or mount elsewhere made the kernel unsure that ".." stayed inside (openat2(2)).
        match openat2(root, path, flags | OFlags::CLOEXEC, mode, ResolveFlags::IN_ROOT) {
            Err(Errno::AGAIN) if tries < RETRIES => tries += 1,
            result => return result,
        }
    }
}

/// Opens the directory `path` inside `root` (as `O_PATH`), creating what is missing with mode `mode` (whatever the
/// umask) and, if given, owner `(uid, gid)` and time of modification in seconds since 1970. A dangling symbolic link on the way is followed, inside the root, and its
/// target created. A file in its place is [`Errno::NOTDIR`], as one on the way is.
pub fn mkdir_all_in_root(
    root: impl AsFd,
    path: impl AsRef<Path>,
    mode: Mode,
    owner: Option<(u32, u32)>,
    time: Option<i64>,
) -> Result<OwnedFd, Errno> {
    let mut all_made = Vec::new();
    let directory = create_in_root(root.as_fd(), path.as_ref(), &mut |parent, name, _last| {
        match mkdirat(parent, name, Mode::RWXU) {
            Ok(()) => {}
            // Somebody else was faster; what they made is as good.
            Err(Errno::EXIST) => return Ok(()),
            Err(errno) => return Err(errno),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(parent, name, flags, Mode::empty())?;
        if let Some((uid, gid)) = owner {
            chownat(
                &made,
                "",
                Some(Uid::from_raw(uid)),
                Some(Gid::from_raw(gid)),
                AtFlags::EMPTY_PATH,
            )?;
        }
        fchmod(&made, mode)?;
        if time.is_some() {
            all_made.push(made);
        }
        Ok(())
    })?;
    // What is made in a directory changes its time: all are dated in the end.
    for made in all_made {
        date(&made, time.unwrap_or_default())?;
    }
    match FileType::from_raw_mode(fstat(&directory)?.st_mode) {
        FileType::Directory => Ok(directory),
        _ => Err(Errno::NOTDIR),
    }
}

/// Sets the time of modification, and leaves that of the last access.
fn date(directory: &OwnedFd, seconds: i64) -> Result<(), Errno> {
    let last_access = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_OMIT,
    };
    let last_modification = Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    futimens(
        directory,
        &Timestamps {
            last_access,
            last_modification,
        },
    )
}

/// Makes one missing component: in the directory, under the name; `true` for the last one of the path.
pub(crate) type Make<'a> = &'a mut dyn FnMut(BorrowedFd<'_>, &OsStr, bool) -> Result<(), Errno>;

/// Opens `path` inside `root` as `O_PATH`, calling `make` for every component that is missing.
pub(crate) fn create_in_root(root: BorrowedFd<'_>, path: &Path, make: Make<'_>) -> Result<OwnedFd, Errno> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match open_in_root(root, &path, OFlags::PATH, Mode::empty()) {
            Err(Errno::NOENT) => {}
            result => return result,
        }
        match create_missing(root, &path, make)? {
            Missing::Created => {}
            Missing::Link(target) => path = target,
        }
    }
    Err(Errno::LOOP)
}

enum Missing {
    /// Everything is there now.
    Created,
    /// A dangling link is in the way; this is the path with the link's target in its place.
    Link(PathBuf),
}

fn create_missing(root: BorrowedFd<'_>, path: &Path, make: Make<'_>) -> Result<Missing, Errno> {
    let mut prefix = PathBuf::from("/");
    let mut parent = open_in_root(root, &prefix, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
    let mut components = path
        .components()
        .filter(|c| matches!(c, Component::Normal(_) | Component::ParentDir));
    let mut next = components.next();
    while let Some(component) = next {
        let name = component.as_os_str();
        next = components.next();
        let last = next.is_none();
        prefix.push(name);
        let flags = if last {
            OFlags::PATH
        } else {
            OFlags::PATH | OFlags::DIRECTORY
        };
        let found = match open_in_root(root, &prefix, flags, Mode::empty()) {
            Err(Errno::NOENT) => match readlinkat(&parent, name, Vec::new()) {
                Ok(target) => {
                    prefix.pop();
                    prefix.push(OsStr::from_bytes(target.as_bytes()));
                    prefix.extend(next.into_iter().chain(components).map(|c| c.as_os_str().to_owned()));
                    return Ok(Missing::Link(prefix));
                }
                Err(Errno::NOENT) => {
                    make(parent.as_fd(), name, last)?;
                    open_in_root(root, &prefix, flags, Mode::empty())?
                }
                Err(errno) => return Err(errno),
            },
            result => result?,
        };
        parent = found;
    }
    Ok(Missing::Created)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn root() -> (tempfile::TempDir, OwnedFd) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        let fd = fs::File::open(&root).unwrap().into();
        (dir, fd)
    }

    #[test]
    fn nothing_leads_out_of_the_root() {
        let (dir, fd) = root();
        fs::write(dir.path().join("outside"), "secret").unwrap();
        symlink("../../../outside", dir.path().join("root/relative")).unwrap();
        symlink(dir.path().join("outside"), dir.path().join("root/absolute")).unwrap();
        for path in ["../outside", "/../outside", "relative", "absolute", "/a/../../outside"] {
            let result = open_in_root(&fd, path, OFlags::RDONLY, Mode::empty());
            assert!(result.is_err(), "{path}");
        }
    }

    #[test]
    fn missing_directories_get_mode_and_owner_and_others_keep_theirs() {
        let (dir, fd) = root();
        let root = dir.path().join("root");
        fs::create_dir(root.join("old")).unwrap();
        fs::set_permissions(root.join("old"), fs::Permissions::from_mode(0o711)).unwrap();
        let owner = fs::metadata(&root).unwrap();
        let made = mkdir_all_in_root(
            &fd,
            "/old/../old/new/deep/",
            Mode::from_raw_mode(0o2775),
            Some((owner.uid(), owner.gid())),
            Some(-5),
        );
        made.unwrap();
        assert_ne!(fs::metadata(root.join("old")).unwrap().mtime(), -5);
        assert_eq!(fs::metadata(root.join("old/new")).unwrap().mtime(), -5);
        assert_eq!(fs::metadata(root.join("old/new/deep")).unwrap().mtime(), -5);
        assert_eq!(fs::metadata(root.join("old")).unwrap().mode() & 0o7777, 0o711);
        assert_eq!(fs::metadata(root.join("old/new")).unwrap().mode() & 0o7777, 0o2775);
        assert_eq!(fs::metadata(root.join("old/new/deep")).unwrap().mode() & 0o7777, 0o2775);
    }

    #[test]
    fn dangling_links_are_created_inside_the_root() {
        let (dir, fd) = root();
        let root = dir.path().join("root");
        symlink("/../../over/there", root.join("link")).unwrap();
        mkdir_all_in_root(&fd, "link/sub", Mode::from_raw_mode(0o755), None, None).unwrap();
        assert!(root.join("over/there/sub").is_dir());
        assert!(!dir.path().join("over").exists());
        symlink("loop", root.join("loop")).unwrap();
        assert_eq!(
            mkdir_all_in_root(&fd, "loop/x", Mode::RWXU, None, None).unwrap_err(),
            Errno::LOOP
        );
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let (dir, fd) = root();
        fs::write(dir.path().join("root/file"), "").unwrap();
        assert_eq!(
            mkdir_all_in_root(&fd, "file", Mode::RWXU, None, None).unwrap_err(),
            Errno::NOTDIR
        );
        assert_eq!(
            mkdir_all_in_root(&fd, "file/x", Mode::RWXU, None, None).unwrap_err(),
            Errno::NOTDIR
        );
    }
}
