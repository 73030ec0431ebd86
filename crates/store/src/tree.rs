//! File trees: removing and measuring them, however deep they are and whatever their modes. One directory is open at a
//! time; the way back is `..`, which is checked to be where the way came from.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, Statx, StatxFlags, openat, statx, unlinkat};
use rustix::io::Errno;

/// Units of `stx_blocks`.
const BLOCK: u64 = 512;

/// Removes whatever is at `path`, with everything below; nothing where there is nothing. Gives the bytes on disk that
/// were freed.
pub(crate) fn remove(path: &Path) -> io::Result<u64> {
    Ok(walk(path, true)?)
}

/// Bytes on disk of whatever is at `path`, with everything below; 0 where there is nothing. If others change it
/// meanwhile, about as many.
pub(crate) fn measure(path: &Path) -> io::Result<u64> {
    Ok(walk(path, false)?)
}

/// Bytes on disk of one file.
pub(crate) fn disk_of(meta: &std::fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    meta.blocks() * BLOCK
}

/// A directory on the way from the top to the one at hand.
struct Level {
    /// Its name in the directory above; empty for the top.
    name: CString,
    /// Device and inode number.
    id: (u32, u32, u64),
    /// Those of the directories in it that are still to be visited.
    pending: Vec<CString>,
}

fn walk(path: &Path, remove: bool) -> Result<u64, Errno> {
    let path = rustix::path::Arg::into_c_str(path)?.into_owned();
    let mut bytes = 0;
    let Some(meta) = examine(CWD, &path)? else { return Ok(0) };
    if !is_directory(&meta) {
        return take(CWD, &path, &meta, remove);
    }
    let mut dir = open_directory(CWD, &path, remove)?;
    let mut levels = vec![enter(&dir, CString::default(), remove, &mut bytes)?];
    while let Some(level) = levels.last_mut() {
        if let Some(name) = level.pending.pop() {
            match open_directory(&dir, &name, remove) {
                Ok(below) => dir = below,
                // Taken away or replaced since it was listed.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                Err(error) => return Err(error),
            }
            levels.push(enter(&dir, name, remove, &mut bytes)?);
            continue;
        }
        let Some(left) = levels.pop() else { break };
        let Some(above) = levels.last() else { break };
        dir = open_directory(&dir, c"..", false)?;
        if identity(&examine_open(&dir)?) != above.id {
            // Somebody moved the directory away meanwhile. What is here is not to be touched, nor counted.
            return if remove { Err(Errno::STALE) } else { Ok(bytes) };
        }
        if remove {
            ignore_absent(unlinkat(&dir, &left.name, AtFlags::REMOVEDIR))?;
        }
    }
    if remove {
        ignore_absent(unlinkat(CWD, &path, AtFlags::REMOVEDIR))?;
    }
    Ok(bytes)
}

/// Visits everything in a directory but the directories, which are left for later.
fn enter(dir: &OwnedFd, name: CString, remove: bool, bytes: &mut u64) -> Result<Level, Errno> {
    let meta = examine_open(dir)?;
    *bytes += size(&meta);
    let mut pending = Vec::new();
    let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
    let mut entries = RawDir::new(dir, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = match entry {
            // The directory was removed since it was opened: there is nothing in it.
            Err(Errno::NOENT) => break,
            entry => entry?,
        };
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let Some(meta) = examine(dir, name)? else { continue };
        if is_directory(&meta) {
            pending.push(name.to_owned());
        } else {
            *bytes += take(dir, name, &meta, remove)?;
        }
    }
    let id = identity(&meta);
    Ok(Level { name, id, pending })
}

/// What is no directory.
fn take(dir: impl AsFd, name: &CStr, meta: &Statx, remove: bool) -> Result<u64, Errno> {
    if remove {
        ignore_absent(unlinkat(dir, name, AtFlags::empty()))?;
        return Ok(if meta.stx_nlink > 1 { 0 } else { size(meta) });
    }
    // The other names of a file are mostly in the same tree: together they count once.
    Ok(size(meta) / u64::from(meta.stx_nlink.max(1)))
}

/// Another process may be removing the same.
fn ignore_absent(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        result => result,
    }
}

/// `None` where there is nothing. No link is followed.
fn examine(dir: impl AsFd, name: &CStr) -> Result<Option<Statx>, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    match statx(dir, name, flags, StatxFlags::BASIC_STATS) {
        Ok(meta) => Ok(Some(meta)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn examine_open(file: impl AsFd) -> Result<Statx, Errno> {
    statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
}

fn is_directory(meta: &Statx) -> bool {
    FileType::from_raw_mode(meta.stx_mode.into()) == FileType::Directory
}

fn identity(meta: &Statx) -> (u32, u32, u64) {
    (meta.stx_dev_major, meta.stx_dev_minor, meta.stx_ino)
}

fn size(meta: &Statx) -> u64 {
    meta.stx_blocks * BLOCK
}

/// Opens a directory for reading. With `change` its mode is changed first if the owner may not read or write it, which
/// keeps nobody from removing it but owners that are not root.
fn open_directory(dir: impl AsFd, name: &CStr, change: bool) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if change {
        let found = openat(&dir, name, flags | OFlags::PATH, Mode::empty())?;
        let mode = Mode::from_raw_mode(examine_open(&found)?.stx_mode.into());
        if !mode.contains(Mode::RWXU) {
            // By this way the mode of no other file can be changed, whatever takes the name's place. If it cannot be
            // changed, opening tells whether that matters.
            let path = format!("/proc/self/fd/{}", found.as_raw_fd());
            let _tried = rustix::fs::chmod(path, mode | Mode::RWXU);
        }
    }
    openat(dir, name, flags | OFlags::RDONLY, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_removed_while_it_is_open_is_empty() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("removed");
        std::fs::create_dir(&path).unwrap();
        let name = CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
        let open = open_directory(CWD, &name, false).unwrap();
        std::fs::remove_dir(&path).unwrap();
        let level = enter(&open, CString::default(), false, &mut 0).unwrap();
        assert_eq!(level.pending, Vec::<CString>::new());
        // Nor is the way back gone.
        assert!(open_directory(&open, c"..", false).is_ok());
    }
}
