//! What is remembered of files between builds: the store's stat index, as the digests of trees ask for it.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use kiln_layer::FileStat;
use kiln_store::{FileDigests, FileKey, Store};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use crate::error::{StepError, StepResult};

/// Counts up whenever [`kiln_layer::digest_tree`] digests files in another way.
const FORMAT: u32 = 1;

/// The stat index of a build, for files of local contexts.
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

/// The stat index of a build, for a tree of layers. Nobody changes their files, but links do change `ctime`, and the
/// overlays that show them have device numbers of their own. So a file is known by its inode number, which an overlay
/// takes from the layers' file system (overlayfs.rst, "Inode properties"), and by the layers.
#[derive(Debug)]
pub(crate) struct KnownLayers<'a> {
    files: &'a KnownFiles<'a>,
    dev: (u32, u32),
    layers: (i64, u32),
}

impl<'a> KnownLayers<'a> {
    /// For layers in these directories. `None` if there are none, or the file system does not say when they were made: an
    /// image's layer that is fetched again has its name again, and other files with those inode numbers.
    pub(crate) fn open(files: &'a KnownFiles<'a>, directories: &[PathBuf]) -> StepResult<Option<Self>> {
        let mut dev = None;
        let mut hasher = blake3::Hasher::new();
        for directory in directories {
            let stat = statx(CWD, directory, AtFlags::empty(), StatxFlags::INO | StatxFlags::BTIME);
            let stat = stat.map_err(StepError::errno("examine", directory))?;
            if stat.stx_mask & StatxFlags::BTIME.bits() == 0 {
                return Ok(None);
            }
            dev = Some((stat.stx_dev_major, stat.stx_dev_minor));
            hasher.update(&stat.stx_ino.to_le_bytes());
            hasher.update(&stat.stx_btime.tv_sec.to_le_bytes());
            hasher.update(&stat.stx_btime.tv_nsec.to_le_bytes());
            hasher.update(directory.as_os_str().as_bytes());
        }
        let (mut seconds, mut nanoseconds) = ([0; 8], [0; 4]);
        let mut digest = hasher.finalize_xof();
        digest.fill(&mut seconds);
        digest.fill(&mut nanoseconds);
        // In the place of a time: one that is long past.
        let layers = (i64::from_le_bytes(seconds) | i64::MIN, u32::from_le_bytes(nanoseconds));
        Ok(dev.map(|dev| Self { files, dev, layers }))
    }

    fn stat(&self, stat: &FileStat) -> FileStat {
        FileStat {
            dev: self.dev,
            ctime: self.layers,
            ..*stat
        }
    }
}

impl kiln_layer::FileDigests for KnownLayers<'_> {
    fn get(&self, stat: &FileStat) -> Option<[u8; 32]> {
        self.files.get(&self.stat(stat))
    }

    fn put(&self, stat: &FileStat, digest: [u8; 32]) {
        self.files.put(&self.stat(stat), digest);
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

    #[test]
    fn files_of_layers_are_known_while_the_layers_are_the_same() {
        let (directory, layers) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Store::open(directory.path()).unwrap();
        let old = std::time::SystemTime::UNIX_EPOCH;
        let make = |name: &str| {
            std::fs::create_dir(layers.path().join(name)).unwrap();
            let file = File::create(layers.path().join(name).join("file")).unwrap();
            file.set_modified(old).unwrap();
            file
        };
        let stat = |file: &File| {
            let meta = file.metadata().unwrap();
            FileStat {
                dev: (7, 7),
                ino: std::os::unix::fs::MetadataExt::ino(&meta),
                size: meta.len(),
                mtime: (0, 0),
                ctime: (std::os::unix::fs::MetadataExt::ctime(&meta), 0),
            }
        };
        let known = |names: &[&str], file: &FileStat| {
            let files = KnownFiles::open(&store).unwrap();
            let directories: Vec<PathBuf> = names.iter().map(|name| layers.path().join(name)).collect();
            let known = KnownLayers::open(&files, &directories).unwrap()?;
            let found = kiln_layer::FileDigests::get(&known, file);
            kiln_layer::FileDigests::put(&known, file, [3; 32]);
            found
        };
        let file = make("one");
        make("two");
        let before = stat(&file);
        assert_eq!(known(&["one"], &before), None);
        // A link changes its ctime.
        std::fs::hard_link(layers.path().join("one/file"), layers.path().join("link")).unwrap();
        assert_eq!(known(&["one"], &stat(&file)), Some([3; 32]));
        assert_eq!(known(&["two", "one"], &before), None);
        assert_eq!(known(&[], &before), None);
        // The same name, another layer.
        known(&["one"], &before);
        std::fs::rename(layers.path().join("one"), layers.path().join("gone")).unwrap();
        make("one");
        assert_eq!(known(&["one"], &before), None);
    }
}
