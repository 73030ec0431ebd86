//! What is remembered of the files of local contexts between builds: the store's stat index, as the digests of trees
//! ask for it.

use kiln_layer::FileStat;
use kiln_store::{FileDigests, FileKey, Store};

use crate::error::StepResult;

/// Counts up whenever [`kiln_layer::digest_tree`] digests files in another way.
const FORMAT: u32 = 1;

/// The stat index of a build.
#[derive(Debug)]
pub(crate) struct KnownFiles<'a>(FileDigests<'a>);

impl<'a> KnownFiles<'a> {
    /// To be opened before files are looked at.
    pub(crate) fn open(store: &'a Store) -> StepResult<Self> {
        Ok(Self(store.file_digests(FORMAT)?))
    }
}

/// The index only saves time: where it fails, files are read. What ails the store shows where the build needs it.
impl kiln_layer::FileDigests for KnownFiles<'_> {
    fn get(&self, stat: &FileStat) -> Option<[u8; 32]> {
        self.0.get(&key(stat)).ok().flatten()
    }

    fn put(&self, stat: &FileStat, digest: [u8; 32]) {
        let _only_slower = self.0.put(&key(stat), digest);
    }
}

fn key(stat: &FileStat) -> FileKey {
    FileKey {
        dev: stat.dev,
        ino: stat.ino,
        size: stat.size,
        mtime: stat.mtime,
        ctime: stat.ctime,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd as _;
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use kiln_layer::{DigestOptions, TreeDigest, digest_tree};

    use super::*;

    /// Counts what was found.
    struct Counting<'a>(KnownFiles<'a>, AtomicUsize);

    impl kiln_layer::FileDigests for Counting<'_> {
        fn get(&self, stat: &FileStat) -> Option<[u8; 32]> {
            let found = self.0.get(stat);
            self.1.fetch_add(found.is_some().into(), Ordering::SeqCst);
            found
        }

        fn put(&self, stat: &FileStat, digest: [u8; 32]) {
            self.0.put(stat, digest);
        }
    }

    fn digest(store: &Store, path: &Path) -> (TreeDigest, usize) {
        let root = File::open(path).unwrap();
        let known = Counting(KnownFiles::open(store).unwrap(), AtomicUsize::new(0));
        let options = DigestOptions {
            known: &known,
            ..DigestOptions::default()
        };
        let digest = digest_tree(root.as_fd(), Path::new(""), &options, &mut |_| ());
        (digest.unwrap(), known.1.into_inner())
    }

    #[test]
    fn files_that_did_not_change_for_long_are_read_once() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        // Files of the system are older than any tick of a clock.
        let files = Path::new("/etc/init.d");
        let files = if files.is_dir() { files } else { Path::new("/etc") };
        let (first, found) = digest(&store, files);
        assert_eq!(found, 0);
        let (second, found) = digest(&store, files);
        assert_eq!(second, first);
        assert!(found > 0);
    }

    #[test]
    fn what_changes_right_after_it_was_read_is_read_again() {
        let (directory, context) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Store::open(directory.path()).unwrap();
        let mut last = None;
        for number in 0..50_u8 {
            std::fs::write(context.path().join("file"), [number]).unwrap();
            let (digest, found) = digest(&store, context.path());
            assert_eq!(found, 0);
            assert_ne!(Some(digest), last);
            last = Some(digest);
        }
    }
}
