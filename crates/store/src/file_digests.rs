//! The stat index: digests of files of this machine by what the kernel says of the files, so that a file that did not
//! change is not read again.
//!
//! A file that is written to twice within a tick of its file system's clock looks the same after both. So an entry is
//! only made of files whose times were clearly past before they were read: whatever is written to them from then on
//! gets other times. (Git calls the others "racily clean".) The time of the last change of anything (`ctime`) is the
//! kernel's own and cannot be set back, as the other can.

use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::params;

use crate::Store;
use crate::error::{Error, Result};
use crate::schema::immediate;

/// How many files are remembered; about 100 bytes each. The longest unused ones go first.
const KEPT: i64 = 1 << 20;

/// Inode numbers of a file system that are looked up together. Those of files in one directory are mostly neighbours.
const BLOCK: i64 = 256;

/// How many blocks are in memory, at most 12 MB: those of some tens of thousands of files, which several steps look at. When they are full others take their place, unless it was not worth it.
const BLOCKS: usize = 512;

/// How many files must be looked for in a block for it to be worth reading. Otherwise they are looked up one by one.
const WORTHWHILE: usize = 16;

/// How many entries are written in one transaction.
const BATCH: usize = 1024;

/// Longer than a tick of any clock of a file system (FAT's is the longest), and than clocks are slewed in a build.
const TICK: Duration = Duration::from_secs(2);

/// What a digest is remembered by: all that changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileKey {
    /// Major and minor number of the file system.
    pub dev: (u32, u32),
    /// Inode number.
    pub ino: u64,
    /// Size in bytes.
    pub size: u64,
    /// Last change of the content: seconds since 1970 and nanoseconds.
    pub mtime: (i64, u32),
    /// Last change of anything.
    pub ctime: (i64, u32),
}

impl FileKey {
    fn device(&self) -> i64 {
        (i64::from(self.dev.0) << 32) | i64::from(self.dev.1)
    }

    /// What must not have changed, and of what the digest is.
    fn look(&self, format: u32) -> Look {
        let mut look = [0; LOOK];
        let (mtime, ctime) = (self.mtime, self.ctime);
        look[..8].copy_from_slice(&self.size.to_le_bytes());
        look[8..16].copy_from_slice(&mtime.0.to_le_bytes());
        look[16..20].copy_from_slice(&mtime.1.to_le_bytes());
        look[20..28].copy_from_slice(&ctime.0.to_le_bytes());
        look[28..32].copy_from_slice(&ctime.1.to_le_bytes());
        look[32..].copy_from_slice(&format.to_le_bytes());
        look
    }
}

const LOOK: usize = 36;

type Look = [u8; LOOK];

/// An entry, in memory.
#[derive(Debug)]
struct Entry {
    ino: i64,
    number: i64,
    look: Look,
    digest: [u8; 32],
}

/// What was looked for and its neighbours.
#[derive(Debug, Default)]
struct Blocks {
    /// Entries by device and number of the block, sorted by inode number.
    entries: HashMap<(i64, i64), Vec<Entry>>,
    /// How many files were looked for in these.
    asked: usize,
}

impl Blocks {
    /// Whether one more may be read: others make room where they have been of use.
    fn have_room(&mut self) -> bool {
        if self.entries.len() >= BLOCKS && self.asked >= BLOCKS * WORTHWHILE {
            *self = Self::default();
        }
        self.entries.len() < BLOCKS
    }
}

/// The stat index. What is put is written in batches, the last one by [`FileDigests::flush`].
///
/// It may be shared by threads; memory is bounded.
#[derive(Debug)]
pub struct FileDigests<'a> {
    store: &'a Store,
    format: u32,
    /// Only files that were last changed before are remembered.
    settled: (i64, u32),
    /// Entries below are moved up when they are used, so that they are not forgotten.
    old: i64,
    kept: i64,
    blocks: Mutex<Blocks>,
    pending: Mutex<Vec<(FileKey, [u8; 32])>>,
}

impl Store {
    /// Opens the stat index; files are to be looked at and read only afterwards. `format` says of what the digests are:
    /// those of another one are not found.
    pub fn file_digests(&self, format: u32) -> Result<FileDigests<'_>> {
        FileDigests::open(self, format, SystemTime::now(), KEPT)
    }
}

impl<'a> FileDigests<'a> {
    fn open(store: &'a Store, format: u32, now: SystemTime, kept: i64) -> Result<Self> {
        let settled = now.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(TICK);
        let newest: Option<i64> = store
            .db()
            .query_row("SELECT max(number) FROM file_digests", [], |row| row.get(0))?;
        Ok(Self {
            store,
            format,
            settled: (
                i64::try_from(settled.as_secs()).unwrap_or(i64::MAX),
                settled.subsec_nanos(),
            ),
            old: newest.unwrap_or_default() - kept / 2,
            kept,
            blocks: Mutex::default(),
            pending: Mutex::default(),
        })
    }

    /// The digest of a file that looked just so when it was put.
    pub fn get(&self, file: &FileKey) -> Result<Option<[u8; 32]>> {
        let Some((number, digest)) = self.find(file)? else {
            return Ok(None);
        };
        if number < self.old {
            self.remember(file, digest)?;
        }
        Ok(Some(digest))
    }

    fn find(&self, file: &FileKey) -> Result<Option<(i64, [u8; 32])>> {
        let (device, ino) = (file.device(), file.ino.cast_signed());
        let number = ino.div_euclid(BLOCK);
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let single;
        let block = if blocks.entries.contains_key(&(device, number)) || blocks.have_room() {
            blocks.asked += 1;
            match blocks.entries.entry((device, number)) {
                Occupied(block) => block.into_mut(),
                Vacant(place) => place.insert(self.read(device, number * BLOCK, number * BLOCK + (BLOCK - 1))?),
            }
        } else {
            single = self.read(device, ino, ino)?;
            &single
        };
        let found = block.binary_search_by_key(&ino, |entry| entry.ino).ok();
        let entry = found.map(|index| &block[index]);
        let same = entry.filter(|entry| entry.look == file.look(self.format));
        Ok(same.map(|entry| (entry.number, entry.digest)))
    }

    fn read(&self, device: i64, first: i64, last: i64) -> Result<Vec<Entry>> {
        let db = self.store.db();
        let mut statement = db.prepare_cached(
            "SELECT ino, number, look, digest FROM file_digests WHERE dev = ? AND ino BETWEEN ? AND ? ORDER BY ino",
        )?;
        let rows = statement.query_map([device, first, last], |row| {
            Ok(Entry {
                ino: row.get(0)?,
                number: row.get(1)?,
                look: row.get(2)?,
                digest: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Remembers a digest. The file looked like `file` before and after it was read. Nothing where it was changed so
    /// shortly before that it may change again and look the same.
    pub fn put(&self, file: &FileKey, digest: [u8; 32]) -> Result<()> {
        if file.mtime < self.settled && file.ctime < self.settled {
            self.remember(file, digest)?;
        }
        Ok(())
    }

    fn remember(&self, file: &FileKey, digest: [u8; 32]) -> Result<()> {
        let full = {
            let mut pending = self.pending();
            pending.push((*file, digest));
            pending.len() >= BATCH
        };
        if full { self.flush() } else { Ok(()) }
    }

    /// Writes what was put.
    pub fn flush(&self) -> Result<()> {
        let batch = std::mem::take(&mut *self.pending());
        if batch.is_empty() {
            return Ok(());
        }
        let mut db = self.store.db();
        let transaction = immediate(&mut db)?;
        for (file, digest) in batch {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO file_digests (dev, ino, look, digest) VALUES (?, ?, ?, ?)")?
                .execute(params![
                    file.device(),
                    file.ino.cast_signed(),
                    file.look(self.format),
                    digest
                ])?;
        }
        transaction.execute(
            "DELETE FROM file_digests WHERE number <= (SELECT max(number) FROM file_digests) - ?",
            [self.kept],
        )?;
        transaction.commit()?;
        Ok(())
    }

    fn pending(&self) -> MutexGuard<'_, Vec<(FileKey, [u8; 32])>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FileDigests<'_> {
    fn drop(&mut self) {
        // What is not written is read once more.
        let _only_slower: std::result::Result<(), Error> = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000_000);

    fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        (directory, store)
    }

    fn index(store: &Store, kept: i64) -> FileDigests<'_> {
        FileDigests::open(store, 1, UNIX_EPOCH + NOW, kept).unwrap()
    }

    /// A file that was changed long ago.
    fn file(ino: u64) -> FileKey {
        FileKey {
            dev: (8, 1),
            ino,
            size: 5,
            mtime: (1000, 5),
            ctime: (1000, 6),
        }
    }

    fn known(store: &Store, file: &FileKey) -> bool {
        index(store, KEPT).get(file).unwrap().is_some()
    }

    #[test]
    fn what_was_put_is_found_and_nothing_else() {
        let (_directory, store) = store();
        index(&store, KEPT).put(&file(1), [7; 32]).unwrap();
        assert_eq!(index(&store, KEPT).get(&file(1)).unwrap(), Some([7; 32]));
        let others = [
            FileKey { dev: (8, 2), ..file(1) },
            FileKey { dev: (1, 8), ..file(1) },
            FileKey { ino: 2, ..file(1) },
            FileKey { size: 6, ..file(1) },
            FileKey {
                mtime: (1000, 6),
                ..file(1)
            },
            FileKey {
                mtime: (1001, 5),
                ..file(1)
            },
            FileKey {
                ctime: (1000, 7),
                ..file(1)
            },
            FileKey {
                ctime: (-1000, 6),
                ..file(1)
            },
        ];
        for other in others {
            assert!(!known(&store, &other), "{other:?}");
        }
        let of_something_else = store.file_digests(2).unwrap();
        assert_eq!(of_something_else.get(&file(1)).unwrap(), None);
    }

    #[test]
    fn the_newest_look_of_a_file_replaces_the_others() {
        let (_directory, store) = store();
        let changed = FileKey {
            ctime: (2000, 0),
            ..file(1)
        };
        index(&store, KEPT).put(&file(1), [1; 32]).unwrap();
        index(&store, KEPT).put(&changed, [2; 32]).unwrap();
        assert!(!known(&store, &file(1)) && known(&store, &changed));
    }

    #[test]
    fn files_whose_times_are_not_clearly_past_are_not_believed() {
        let (_directory, store) = store();
        let now = i64::try_from(NOW.as_secs()).unwrap();
        let ages = [
            (1, false),
            (0, false),
            (-1, false),
            (-2, false),
            (-3, true),
            (i64::MIN / 2, true),
        ];
        for (ino, (age, believed)) in (0..).zip(ages) {
            let changed = FileKey {
                ctime: (now + age, 0),
                ..file(ino)
            };
            index(&store, KEPT).put(&changed, [1; 32]).unwrap();
            assert_eq!(known(&store, &changed), believed, "ctime {age}");
            let written = FileKey {
                mtime: (now + age, 0),
                ..file(ino + 100)
            };
            index(&store, KEPT).put(&written, [1; 32]).unwrap();
            assert_eq!(known(&store, &written), believed, "mtime {age}");
        }
    }

    #[test]
    fn the_longest_unused_are_forgotten() {
        let (_directory, store) = store();
        for ino in 0..30 {
            let index = index(&store, 10);
            // File 0 is used all the time.
            assert_eq!(index.get(&file(0)).unwrap().is_some(), ino > 0);
            index.put(&file(ino), [1; 32]).unwrap();
        }
        let count: i64 = store
            .db()
            .query_row("SELECT count(*) FROM file_digests", [], |row| row.get(0))
            .unwrap();
        assert!(count <= 10, "{count}");
        assert!(known(&store, &file(0)) && known(&store, &file(29)) && !known(&store, &file(1)));
    }

    #[test]
    fn inodes_of_all_sizes_are_found_in_memory_or_not() {
        let (_directory, store) = store();
        let numbers = || {
            (0..)
                .step_by(usize::try_from(BLOCK).unwrap())
                .take(BLOCKS + 10)
                .chain([u64::MAX, 1 << 63, (1 << 63) - 1])
        };
        let index = index(&store, KEPT);
        for ino in numbers() {
            index.put(&file(ino), [1; 32]).unwrap();
        }
        index.flush().unwrap();
        for ino in numbers() {
            assert_eq!(index.get(&file(ino)).unwrap(), Some([1; 32]), "{ino}");
        }
        assert_eq!(index.blocks.lock().unwrap().entries.len(), BLOCKS);
    }

    #[test]
    fn blocks_that_were_of_use_make_room_for_others() {
        let (_directory, store) = store();
        let index = index(&store, KEPT);
        let numbers = || 0..3 * (BLOCKS as u64) * u64::try_from(BLOCK).unwrap();
        for ino in numbers().step_by(7) {
            index.put(&file(ino), [1; 32]).unwrap();
        }
        index.flush().unwrap();
        for ino in numbers() {
            assert_eq!(index.get(&file(ino)).unwrap().is_some(), ino % 7 == 0, "{ino}");
        }
        let blocks = index.blocks.lock().unwrap();
        let last = 3 * i64::try_from(BLOCKS).unwrap() - 1;
        assert!(blocks.entries.len() <= BLOCKS && blocks.entries.keys().any(|(_, number)| *number == last));
    }

    #[test]
    fn full_batches_are_written_at_once() {
        let (_directory, store) = store();
        let index = index(&store, KEPT);
        for ino in 0..BATCH as u64 {
            index.put(&file(ino), [1; 32]).unwrap();
        }
        assert!(index.pending().is_empty() && known(&store, &file(0)));
    }
}
