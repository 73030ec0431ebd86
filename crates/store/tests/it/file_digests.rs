//! The stat index over real files.

use std::fs::{File, FileTimes};
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use kiln_store::{FileKey, Store};

use super::support;

/// The nanoseconds of one tick of a file system's clock.
type Tick = i64;

/// What a file looks like where the clock has that tick.
fn key(path: &Path, tick: Tick) -> FileKey {
    let meta = std::fs::metadata(path).unwrap();
    let nanoseconds = |count: i64| u32::try_from(count - count % tick).unwrap();
    FileKey {
        dev: (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev())),
        ino: meta.ino(),
        size: meta.size(),
        mtime: (meta.mtime(), nanoseconds(meta.mtime_nsec())),
        ctime: (meta.ctime(), nanoseconds(meta.ctime_nsec())),
    }
}

/// The digest of a file as a build gets it; whether it was read.
fn digest(store: &Store, path: &Path, tick: Tick) -> ([u8; 32], bool) {
    let index = store.file_digests(1).unwrap();
    let before = key(path, tick);
    if let Some(digest) = index.get(&before).unwrap() {
        return (digest, false);
    }
    let digest = of(&std::fs::read(path).unwrap());
    if key(path, tick) == before {
        index.put(&before, digest).unwrap();
    }
    (digest, true)
}

fn of(content: &[u8]) -> [u8; 32] {
    *kiln_image::Digest::of(content).as_bytes()
}

/// A file that keeps its size, written right after it was read, with the time of its last writing set back: mostly
/// nothing of what the kernel says of it differs.
#[test]
fn what_is_written_within_a_tick_of_the_clock_is_never_missed() {
    let (directory, store) = support::store();
    let path = directory.path().join("file");
    let mut file = File::create(&path).unwrap();
    let old = SystemTime::now() - Duration::from_secs(3600);
    let mut write = |number: u32| {
        file.rewind().unwrap();
        file.write_all(&number.to_le_bytes()).unwrap();
        file.set_times(FileTimes::new().set_modified(old)).unwrap();
    };
    for number in (0..400).step_by(2) {
        let tick = [1, 10_000_000, 1_000_000_000][number as usize % 3];
        let index = store.file_digests(1).unwrap();
        write(number);
        let before = key(&path, tick);
        let digest_before = of(&std::fs::read(&path).unwrap());
        write(number + 1);
        index.put(&before, digest_before).unwrap();
        drop(index);
        assert_eq!(
            digest(&store, &path, tick).0,
            of(&(number + 1).to_le_bytes()),
            "{number}"
        );
    }
}

#[test]
fn what_was_not_written_for_long_is_not_read_again() {
    let (_directory, store) = support::store();
    let path = std::fs::canonicalize("/bin/sh").unwrap();
    let first = digest(&store, &path, 1);
    assert!(first.1);
    assert_eq!(digest(&store, &path, 1), (first.0, false));
}
