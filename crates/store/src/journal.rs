//! The database's journal, which is moved into its file now and then.
//!
//! That costs three waits for the disk. Whoever writes does not wait for them: a thread of its own does, which has a
//! connection of its own and is not in the way of those who write. What is written meanwhile stays in the journal, so a
//! process that writes without a pause makes it longer until it is [`LONG`]; then the writer waits for once. Who finds a
//! journal that is to be moved waits too: it may be gone before a thread has ended, and whoever writes next after it was
//! moved whole begins it anew.

use std::ffi::c_int;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::Builder;

use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, OpenFlags};

use crate::error::Result;

/// After so many pages the journal is moved. It is read when the store is opened, so it stays small.
const PAGES: c_int = 250;
/// So long it becomes at most, in pages.
const LONG: c_int = 4 * PAGES;
/// Bytes of a page, about.
const PAGE: c_int = 4096;

/// Has the journal of a connection moved from now on; nobody moves it when the connection is closed: whoever comes next
/// would begin with another.
pub(crate) fn keep_short(connection: &mut Connection, path: &Path) -> Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "journal_size_limit", PAGES * PAGE)?;
    let mut mover = Mover {
        path: path.to_owned(),
        wanted: None,
        moving: Arc::default(),
        moved: None,
    };
    let hook = move |journal: &mut Wal, pages| {
        mover.written(journal, pages);
        Ok(())
    };
    Ok(connection.wal_hook(Some(hook))?)
}

/// Who decides when the journal is moved. It is told of each transaction.
struct Mover {
    path: PathBuf,
    /// Wakes the thread; none until there is something to do.
    wanted: Option<SyncSender<()>>,
    /// Held by who moves it: nobody else can meanwhile.
    moving: Arc<Mutex<()>>,
    /// How long the journal was when it was last to be moved; none before the first transaction.
    moved: Option<c_int>,
}

impl Mover {
    /// What fails here is tried again after the next transaction.
    fn written(&mut self, journal: &mut Wal, pages: c_int) {
        let is_found = self.moved.is_none() && pages >= PAGES;
        // It begins anew at times.
        let moved = self.moved.filter(|moved| pages >= *moved).unwrap_or(0);
        let is_due = pages >= moved + PAGES;
        self.moved = Some(if is_due { pages } else { moved });
        if is_found || pages >= LONG || (is_due && !self.wake()) {
            let _alone = self.moving.lock();
            let _later = journal.checkpoint();
        }
    }

    /// False if there is no thread to be had.
    fn wake(&mut self) -> bool {
        let start = || start(self.path.clone(), Arc::clone(&self.moving));
        let wanted = self.wanted.get_or_insert_with(start);
        !matches!(wanted.try_send(()), Err(TrySendError::Disconnected(())))
    }
}

/// Starts the thread, which ends when the connection is closed.
fn start(path: PathBuf, moving: Arc<Mutex<()>>) -> SyncSender<()> {
    let (wanted, orders) = sync_channel(1);
    // Without it the other end of the channel is gone.
    let _unless_none_is_left = Builder::new()
        .name("journal".to_owned())
        .spawn(move || work(&path, &orders, &moving));
    wanted
}

fn work(path: &Path, orders: &Receiver<()>, moving: &Mutex<()>) {
    let flags = OpenFlags::default().difference(OpenFlags::SQLITE_OPEN_CREATE);
    let Ok(connection) = Connection::open_with_flags(path, flags) else {
        return;
    };
    let kept = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    if kept.is_err() {
        return;
    }
    while orders.recv().is_ok() {
        let _alone = moving.lock();
        let _later = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length_of(path: &Path) -> u64 {
        std::fs::metadata(path.with_extension("db-wal")).map_or(0, |meta| meta.len())
    }

    /// Each page and what the journal adds to it.
    const FRAME: u64 = 4096 + 24;

    #[test]
    fn who_finds_a_long_one_moves_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("test.db");
        let open = || {
            let mut connection = Connection::open(&path).unwrap();
            connection.pragma_update(None, "journal_mode", "WAL").unwrap();
            keep_short(&mut connection, &path).unwrap();
            connection
        };
        let table = "CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)";
        open().execute_batch(table).unwrap();
        // One that short processes leave, none of which writes much, and of which the last closes the database.
        for round in 0..200 {
            let connection = open();
            for _ in 0..2 {
                connection
                    .execute("INSERT INTO t (b) VALUES (randomblob(3000))", [])
                    .unwrap();
            }
            let most = u64::try_from(PAGES + 20).unwrap() * FRAME;
            assert!(length_of(&path) < most, "{round}: {}", length_of(&path));
        }
    }

    /// `SQLite` by itself would do it at a thousand pages, and the writer at [`LONG`].
    #[test]
    fn a_thread_moves_what_is_not_long() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("test.db");
        let mut connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection
            .execute_batch("CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)")
            .unwrap();
        keep_short(&mut connection, &path).unwrap();
        for _ in 0..PAGES {
            connection
                .execute("INSERT INTO t (b) VALUES (randomblob(3000))", [])
                .unwrap();
        }
        assert!(length_of(&path) < u64::try_from(LONG).unwrap() * FRAME);
        let is_moved = || std::fs::metadata(&path).unwrap().len() > u64::try_from(PAGES / 4).unwrap() * 4096;
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !is_moved() {
            assert!(std::time::Instant::now() < patience, "nobody moved it");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    #[test]
    fn the_journal_stays_short_and_nothing_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("test.db");
        let mut connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.pragma_update(None, "synchronous", "NORMAL").unwrap();
        connection
            .execute_batch("CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)")
            .unwrap();
        keep_short(&mut connection, &path).unwrap();
        let mut longest = 0;
        for number in 0..4000 {
            connection
                .execute("INSERT INTO t (b) VALUES (randomblob(3000))", [])
                .unwrap();
            if number % 50 == 0 {
                longest = longest.max(length_of(&path));
            }
        }
        assert!(longest > u64::try_from(PAGES / 2).unwrap() * FRAME, "{longest}");
        assert!(longest < u64::try_from(LONG + 20).unwrap() * FRAME, "{longest}");
        drop(connection);
        let again = Connection::open(&path).unwrap();
        let count: i64 = again.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(count, 4000);
        // Most of it is in the file itself.
        assert!(std::fs::metadata(&path).unwrap().len() > 3000 * 4000);
    }
}
