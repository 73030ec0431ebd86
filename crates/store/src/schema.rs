//! The database: tables, versions, settings.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use crate::error::{Error, Result};

/// The schema that this program writes.
const VERSION: u32 = 1;

/// How long a process waits for another's transaction; they last milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

const TABLES: &str = "
CREATE TABLE layers (
    id TEXT PRIMARY KEY, size INTEGER NOT NULL, diff_id TEXT, tar_size INTEGER, created INTEGER NOT NULL,
    boot TEXT NOT NULL, durable INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE layer_blobs (
    layer TEXT NOT NULL REFERENCES layers(id) ON DELETE CASCADE,
    digest TEXT NOT NULL, size INTEGER NOT NULL, media_type TEXT NOT NULL,
    PRIMARY KEY (layer, digest)
) WITHOUT ROWID;
CREATE TABLE records (
    key BLOB PRIMARY KEY, layer TEXT NOT NULL, build INTEGER NOT NULL, name TEXT NOT NULL,
    created INTEGER NOT NULL, duration_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX records_layer ON records(layer);
CREATE TABLE images (
    id TEXT PRIMARY KEY, manifest TEXT, layers TEXT NOT NULL, platform TEXT NOT NULL,
    size INTEGER NOT NULL, created INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE tags (name TEXT PRIMARY KEY, image TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE resolutions (
    name TEXT NOT NULL, platform TEXT NOT NULL, manifest TEXT NOT NULL, PRIMARY KEY (name, platform)
) WITHOUT ROWID;
CREATE TABLE builds (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, started INTEGER NOT NULL, outcome TEXT
);
CREATE TABLE steps (
    build INTEGER NOT NULL REFERENCES builds(id) ON DELETE CASCADE,
    number INTEGER NOT NULL, name TEXT NOT NULL, outcome TEXT NOT NULL, duration_ms INTEGER NOT NULL,
    PRIMARY KEY (build, number)
) WITHOUT ROWID;
CREATE TABLE cache_mounts (name TEXT PRIMARY KEY, id TEXT NOT NULL, directory TEXT NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID;
PRAGMA user_version = 1;
";

/// Makes the directories of a new store; nobody but its owner may look into them.
pub(crate) fn create_directories(root: &Path) -> Result<()> {
    for name in ["", "blobs/sha256", "layers", "tmp", "locks", "cache", "logs"] {
        let path = if name.is_empty() {
            root.to_owned()
        } else {
            root.join(name)
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(Error::io("create", &path))?;
    }
    Ok(())
}

/// Opens the database, making or checking the schema.
pub(crate) fn open(path: &Path) -> Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    match version(&connection)? {
        VERSION => Ok(connection),
        0 => {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            create_tables(&mut connection)?;
            Ok(connection)
        }
        found => Err(Error::Newer {
            path: path.to_owned(),
            found,
            known: VERSION,
        }),
    }
}

fn version(connection: &Connection) -> Result<u32> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Of several processes that come first, one makes the tables.
fn create_tables(connection: &mut Connection) -> Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    if version(&transaction)? == 0 {
        transaction.execute_batch(TABLES)?;
    }
    transaction.commit()?;
    Ok(())
}
