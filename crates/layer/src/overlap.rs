//! What two trees both have.

use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use crate::Error;
use crate::root::{self, path_of};
use crate::walk::{self, Meta, Next, Walk};

/// The first path that is in both trees and not a directory in both: merging them would lose one of the two.
pub fn overlap(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<Option<PathBuf>, Error> {
    let top = walk::open_directory(other, c".").map_err(Error::at("open the directory", "."))?;
    let mut walk = Walk::new(top).map_err(Error::at("read the directory", "."))?;
    loop {
        let name = match walk.next().map_err(Error::at("walk", "."))? {
            Next::Name(name) => name,
            Next::Left(_) => continue,
            Next::Done => return Ok(None),
        };
        let path = walk.path_of(&name.name);
        let Some(first) = kind(one, &path).map_err(Error::at("examine", path_of(&path)))? else {
            continue;
        };
        let second = Meta::of(walk.dir(), &name.name).map_err(Error::at("examine", path_of(&path)))?;
        if first != FileType::Directory || second.kind != FileType::Directory {
            return Ok(Some(path_of(&path).to_owned()));
        }
        // What only one of them has is not looked into.
        let opened = walk::open_directory(walk.dir(), &name.name).map_err(Error::at("open", path_of(&path)))?;
        walk.enter(&name.name, opened)
            .map_err(Error::at("read the directory", path_of(&path)))?;
    }
}

/// What a tree has at a path all of whose parents it has as directories.
fn kind(tree: BorrowedFd<'_>, path: &[u8]) -> Result<Option<FileType>, Errno> {
    match root::open(tree, path, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(found) => Ok(Some(Meta::of_fd(&found)?.kind)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, write};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn files_overlap_and_directories_do_not() {
        for (one, other, found) in [
            (&["a/b", "a/c/d"][..], &["a/e", "f"][..], None),
            (&["a/b", "a/c/d"], &["a/c/d"], Some("a/c/d")),
            (&["a/b"], &["a"], Some("a")),
            (&["a"], &["a/b"], Some("a")),
        ] {
            let tree = |files: &[&str]| {
                let directory = tempfile::tempdir().unwrap();
                for file in files {
                    let path = directory.path().join(file);
                    create_dir_all(path.parent().unwrap()).unwrap();
                    write(path, file).unwrap();
                }
                let opened = std::fs::File::open(directory.path()).unwrap();
                (directory, opened)
            };
            let (one, other) = (tree(one), tree(other));
            let path = overlap(one.1.as_fd(), other.1.as_fd()).unwrap();
            assert_eq!(path, found.map(PathBuf::from));
        }
    }
}
