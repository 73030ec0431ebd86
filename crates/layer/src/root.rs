//! Paths that never leave a directory, however its symbolic links are laid.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, chmodat, mkdirat, openat, openat2, readlinkat};
use rustix::io::Errno;

/// How often a look-up that raced with a rename is tried again.
const RETRIES: usize = 128;

/// How many symbolic links are followed when a path is made; the kernel's own limit for look-ups.
const MAX_LINKS: usize = 40;

/// Flags to open a directory as a place to look things up in.
pub(crate) const DIRECTORY: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Bytes as a path.
pub(crate) fn path_of(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// A path's bytes.
pub(crate) fn bytes_of(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// The path without empty and `.` components and with `..` resolved as text, relative; empty for the root itself.
/// `None` if it leads above where it starts.
pub(crate) fn clean(path: &[u8]) -> Option<Vec<u8>> {
    let mut out: Vec<u8> = Vec::with_capacity(path.len());
    for component in path.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." if out.is_empty() => return None,
            b".." => out.truncate(out.iter().rposition(|&byte| byte == b'/').unwrap_or(0)),
            name => {
                if !out.is_empty() {
                    out.push(b'/');
                }
                out.extend_from_slice(name);
            }
        }
    }
    Some(out)
}

/// As [`clean`], for paths of the user: `..` above the root stays at the root, as in a root directory.
pub(crate) fn clean_in_root(path: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    for component in bytes_of(path).split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                out.pop();
            }
            name => out.push(name),
        }
    }
    out.join(&b'/')
}

/// Directory and name of a clean path.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// `directory/name`, or the name alone below the root.
pub(crate) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() {
        name.to_vec()
    } else {
        [directory, b"/", name].concat()
    }
}

/// Opens `path` as if `root` were the file system's root: links, `..` and absolute paths all stay inside.
pub(crate) fn open(root: impl AsFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() {
        OsStr::new(".")
    } else {
        OsStr::from_bytes(path)
    };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let mut tries = 0;
    loop {
        // EAGAIN: a rename elsewhere made the kernel unsure whether ".." stayed inside (openat2(2)).
        match openat2(root.as_fd(), path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN) if tries < RETRIES => tries += 1,
            result => return result,
        }
    }
}

/// Opens the directory `path` inside `root`, links followed, making what is missing with mode 0755. A dangling link
/// on the way is followed within the root and its target made. `made` hears of each directory: its clean path, which
/// goes through no link.
pub(crate) fn make_directories(
    root: BorrowedFd<'_>,
    path: &[u8],
    made: &mut dyn FnMut(&[u8]),
) -> Result<OwnedFd, Errno> {
    match open(root, path, OFlags::PATH | OFlags::DIRECTORY) {
        Err(Errno::NOENT) => Maker::new(path).run(root, made),
        result => result,
    }
}

/// Makes a directory of mode 0755, whatever the umask.
pub(crate) fn make_directory(parent: impl AsFd, name: &OsStr) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(0o755);
    mkdirat(&parent, name, mode)?;
    chmodat(&parent, name, mode, AtFlags::empty())
}

/// Looks a path up component by component, as the kernel does, but makes what is missing.
///
/// The way back up is the chain of directories that it came down, never `..` itself: nothing leads above the root.
struct Maker {
    /// Components still to come, the next one last.
    todo: Vec<Vec<u8>>,
    chain: Vec<(Vec<u8>, OwnedFd)>,
    links: usize,
}

impl Maker {
    fn new(path: &[u8]) -> Self {
        let mut maker = Self {
            todo: Vec::new(),
            chain: Vec::new(),
            links: 0,
        };
        maker.push(path);
        maker
    }

    fn push(&mut self, path: &[u8]) {
        self.todo.extend(path.rsplit(|&byte| byte == b'/').map(<[u8]>::to_vec));
    }

    fn run(mut self, root: BorrowedFd<'_>, made: &mut dyn FnMut(&[u8])) -> Result<OwnedFd, Errno> {
        let top = open(root, b"", OFlags::PATH | OFlags::DIRECTORY)?;
        while let Some(component) = self.todo.pop() {
            match component.as_slice() {
                b"" | b"." => {}
                b".." => drop(self.chain.pop()),
                _ => self.step(&top, component, made)?,
            }
        }
        Ok(self.chain.pop().map_or(top, |(_, directory)| directory))
    }

    fn step(&mut self, top: &OwnedFd, component: Vec<u8>, made: &mut dyn FnMut(&[u8])) -> Result<(), Errno> {
        let parent = self.chain.last().map_or(top, |(_, directory)| directory);
        let name = OsStr::from_bytes(&component);
        let directory = match openat(parent, name, DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT) => {
                match make_directory(parent, name) {
                    Ok(()) => made(&self.path_of(&component)),
                    // Somebody else was faster; what they made is as good.
                    Err(Errno::EXIST) => {}
                    Err(errno) => return Err(errno),
                }
                openat(parent, name, DIRECTORY, Mode::empty())?
            }
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let target = readlinkat(parent, name, Vec::new()).map_err(|_| Errno::NOTDIR)?;
                return self.follow(target.as_bytes());
            }
            result => result?,
        };
        self.chain.push((component, directory));
        Ok(())
    }

    fn follow(&mut self, target: &[u8]) -> Result<(), Errno> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::LOOP);
        }
        if target.starts_with(b"/") {
            self.chain.clear();
        }
        self.push(target);
        Ok(())
    }

    fn path_of(&self, name: &[u8]) -> Vec<u8> {
        let mut path = self.chain.iter().map(|(name, _)| name.as_slice()).collect::<Vec<_>>();
        path.push(name);
        path.join(&b'/')
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn cleaning() {
        let cases: &[(&str, Option<&str>)] = &[
            ("./a//b/", Some("a/b")),
            ("/a/./b", Some("a/b")),
            ("a/../b", Some("b")),
            ("a/b/..", Some("a")),
            (".", Some("")),
            ("", Some("")),
            ("../a", None),
            ("a/../../b", None),
            ("/..", None),
        ];
        for (path, expected) in cases {
            assert_eq!(clean(path.as_bytes()).as_deref(), expected.map(str::as_bytes), "{path}");
        }
        assert_eq!(clean_in_root(Path::new("/../a/./b/../c")), b"a/c");
    }

    #[test]
    fn nothing_leads_out() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("root");
        fs::create_dir(&inside).unwrap();
        symlink("../../out", inside.join("link")).unwrap();
        symlink(dir.path().join("out2"), inside.join("absolute")).unwrap();
        let root = File::open(&inside).unwrap();
        let mut made = Vec::new();
        for path in [b"link/a".as_slice(), b"absolute/b", b"../../out3/c"] {
            make_directories(root.as_fd(), path, &mut |path| made.push(path.to_vec())).unwrap();
        }
        assert!(inside.join("out/a").is_dir() && inside.join("out3/c").is_dir());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(made[..2], [b"out".to_vec(), b"out/a".to_vec()]);
        symlink("loop", inside.join("loop")).unwrap();
        assert_eq!(
            make_directories(root.as_fd(), b"loop/x", &mut |_| ()).unwrap_err(),
            Errno::LOOP
        );
    }
}
