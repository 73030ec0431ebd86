//! The database: tables, versions, settings.

use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};

use crate::error::{Error, Result};
use crate::values::{from_sql, to_sql};
use crate::{journal, locks, tree};

/// The database's name in the store.
const DATABASE: &str = "kiln.db";

/// How long a process waits for another's transaction; they last milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Each makes a database of the version that is its index into one of the next. What was released stays as it is.
const CHANGES: &[&str] = &[
    TABLES,
    STAT_INDEX,
    DOWNLOADS,
    INDEXES,
    RUNS,
    SIZES,
    WRITERS,
    LOST_RUNS,
    FAMILIES,
    KEYS,
    MOUNT_STEPS,
    MEMBERS,
    LAYER_INDEXES,
    NAMES,
    FOREIGN_LAYERS,
    BUILD_RESULTS,
    PLACES,
    IMAGE_SOURCES,
    LINEAGES,
    CACHED_LAYERS,
];

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
";

/// The greater its number, the newer an entry.
const STAT_INDEX: &str = "
CREATE TABLE file_digests (
    number INTEGER PRIMARY KEY, dev INTEGER NOT NULL, ino INTEGER NOT NULL, look BLOB NOT NULL, digest BLOB NOT NULL,
    UNIQUE (dev, ino)
);
";

const DOWNLOADS: &str = "
CREATE TABLE downloads (
    url TEXT PRIMARY KEY, layer TEXT NOT NULL, digest TEXT NOT NULL, etag TEXT, last_modified TEXT
) WITHOUT ROWID;
";

/// A tag names an image or an index.
const INDEXES: &str = "
CREATE TABLE indexes (id TEXT PRIMARY KEY, created INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE index_images (
    image_index TEXT NOT NULL REFERENCES indexes(id) ON DELETE CASCADE, position INTEGER NOT NULL,
    image TEXT NOT NULL REFERENCES images(id), manifest TEXT NOT NULL, platform TEXT NOT NULL,
    PRIMARY KEY (image_index, position)
) WITHOUT ROWID;
CREATE INDEX index_images_image ON index_images(image);
";

/// Runs without a layer failed; see [`LOST_RUNS`].
const RUNS: &str = "
CREATE TABLE runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, started INTEGER NOT NULL, build INTEGER NOT NULL, step INTEGER NOT NULL,
    definition BLOB NOT NULL, place BLOB NOT NULL, title BLOB NOT NULL, inputs BLOB NOT NULL,
    layer TEXT REFERENCES layers(id) ON DELETE CASCADE
);
CREATE INDEX runs_step ON runs(build, step);
CREATE INDEX runs_definition ON runs(definition);
CREATE INDEX runs_place ON runs(place);
CREATE INDEX runs_title ON runs(title);
CREATE INDEX runs_layer ON runs(layer);
CREATE TABLE listings (digest BLOB PRIMARY KEY, listing BLOB NOT NULL);
CREATE TABLE run_listings (
    run INTEGER NOT NULL REFERENCES runs(number) ON DELETE CASCADE, digest BLOB NOT NULL, PRIMARY KEY (run, digest)
) WITHOUT ROWID;
ALTER TABLE steps ADD COLUMN first_line INTEGER;
ALTER TABLE steps ADD COLUMN last_line INTEGER;
ALTER TABLE steps ADD COLUMN made_by INTEGER;
ALTER TABLE steps ADD COLUMN made_at INTEGER;
";

/// Bytes on disk (`disk`) and the times of the last use (`used`, in milliseconds since 1970). `held` has the sum of all
/// bytes, so that nobody has to add them up to know whether there is room.
///
/// Of what was there before, the files' own sizes must do until it is measured; see [`adopt_blobs`].
const SIZES: &str = "
ALTER TABLE layers ADD COLUMN disk INTEGER NOT NULL DEFAULT 0;
ALTER TABLE layers ADD COLUMN used INTEGER NOT NULL DEFAULT 0;
UPDATE layers SET disk = size, used = created * 1000;
ALTER TABLE records ADD COLUMN used INTEGER NOT NULL DEFAULT 0;
UPDATE records SET used = created * 1000;
ALTER TABLE cache_mounts ADD COLUMN disk INTEGER NOT NULL DEFAULT 0;
ALTER TABLE cache_mounts ADD COLUMN created INTEGER NOT NULL DEFAULT 0;
UPDATE cache_mounts SET created = used, used = used * 1000;
ALTER TABLE builds ADD COLUMN disk INTEGER NOT NULL DEFAULT 0;
CREATE TABLE blobs (
    digest TEXT PRIMARY KEY, disk INTEGER NOT NULL, created INTEGER NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX layer_blobs_digest ON layer_blobs(digest);
CREATE TABLE reservations (
    process TEXT NOT NULL, number INTEGER NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (process, number)
) WITHOUT ROWID;
CREATE TABLE held (bytes INTEGER NOT NULL);
INSERT INTO held SELECT coalesce(sum(disk), 0) FROM layers;
CREATE TRIGGER layer_added AFTER INSERT ON layers BEGIN UPDATE held SET bytes = bytes + new.disk; END;
CREATE TRIGGER layer_removed AFTER DELETE ON layers BEGIN UPDATE held SET bytes = bytes - old.disk; END;
CREATE TRIGGER layer_changed AFTER UPDATE OF disk ON layers
    BEGIN UPDATE held SET bytes = bytes - old.disk + new.disk; END;
CREATE TRIGGER blob_added AFTER INSERT ON blobs BEGIN UPDATE held SET bytes = bytes + new.disk; END;
CREATE TRIGGER blob_removed AFTER DELETE ON blobs BEGIN UPDATE held SET bytes = bytes - old.disk; END;
CREATE TRIGGER blob_changed AFTER UPDATE OF disk ON blobs
    BEGIN UPDATE held SET bytes = bytes - old.disk + new.disk; END;
CREATE TRIGGER cache_mount_added AFTER INSERT ON cache_mounts BEGIN UPDATE held SET bytes = bytes + new.disk; END;
CREATE TRIGGER cache_mount_removed AFTER DELETE ON cache_mounts BEGIN UPDATE held SET bytes = bytes - old.disk; END;
CREATE TRIGGER cache_mount_changed AFTER UPDATE OF disk ON cache_mounts
    BEGIN UPDATE held SET bytes = bytes - old.disk + new.disk; END;
CREATE TRIGGER build_added AFTER INSERT ON builds BEGIN UPDATE held SET bytes = bytes + new.disk; END;
CREATE TRIGGER build_removed AFTER DELETE ON builds BEGIN UPDATE held SET bytes = bytes - old.disk; END;
CREATE TRIGGER build_changed AFTER UPDATE OF disk ON builds
    BEGIN UPDATE held SET bytes = bytes - old.disk + new.disk; END;
";

/// What steps wrote to cache mounts, by what they run on.
const WRITERS: &str = "
CREATE TABLE cache_mount_writers (
    name TEXT NOT NULL REFERENCES cache_mounts(name) ON DELETE CASCADE, writer TEXT NOT NULL, PRIMARY KEY (name, writer)
) WITHOUT ROWID;
";

/// A run stays as long as its layer or its build does. One that lost its layer did not fail.
const LOST_RUNS: &str = "
ALTER TABLE runs ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER layer_lost BEFORE DELETE ON layers BEGIN
    UPDATE runs SET layer = NULL, lost = 1 WHERE layer = old.id AND build IN (SELECT id FROM builds);
END;
";

/// Layers that share files are a family, which has the name of one that was there first; see `families`.
const FAMILIES: &str = "
ALTER TABLE layers ADD COLUMN family TEXT;
CREATE INDEX layers_family ON layers(family) WHERE family IS NOT NULL;
CREATE TRIGGER layer_left AFTER DELETE ON layers WHEN old.family IS NOT NULL BEGIN
    UPDATE layers SET disk = disk + old.disk WHERE id =
        (SELECT id FROM layers WHERE family = old.family ORDER BY created DESC, id LIMIT 1);
END;
";

/// What tells cache mounts with the same id apart.
const KEYS: &str = "ALTER TABLE cache_mounts ADD COLUMN key TEXT NOT NULL DEFAULT '';";

/// The steps that began to write to a cache mount and did not end by themselves: not yet, or no more.
const MOUNT_STEPS: &str = "
CREATE TABLE cache_mount_steps (
    name TEXT NOT NULL REFERENCES cache_mounts(name) ON DELETE CASCADE, build INTEGER NOT NULL, step INTEGER NOT NULL,
    PRIMARY KEY (name, build, step)
) WITHOUT ROWID;
";

/// Where parts of blobs are that were compressed by themselves.
const MEMBERS: &str = "
CREATE TABLE members (
    key BLOB PRIMARY KEY, blob TEXT NOT NULL REFERENCES blobs(digest) ON DELETE CASCADE, start INTEGER NOT NULL,
    size INTEGER NOT NULL, fingerprint BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX members_blob ON members(blob);
";

/// The names of an image are asked for whenever images are listed: without this each looked through all names of all.
const NAMES: &str = "CREATE INDEX tags_image ON tags(image);";

/// Where the steps of builds ran, and the layers of those that failed.
const PLACES: &str = "
CREATE TABLE places (build INTEGER PRIMARY KEY REFERENCES builds(id) ON DELETE CASCADE, content BLOB NOT NULL);
CREATE TABLE failed_steps (
    build INTEGER NOT NULL REFERENCES builds(id) ON DELETE CASCADE, step INTEGER NOT NULL,
    layer TEXT NOT NULL REFERENCES layers(id) ON DELETE CASCADE, PRIMARY KEY (build, step)
) WITHOUT ROWID;
CREATE INDEX failed_steps_layer ON failed_steps(layer);
";

/// What images were made from; see `image_sources`. Nothing is known of those that were there before.
const IMAGE_SOURCES: &str = "ALTER TABLE images ADD COLUMN sources TEXT;";

/// What is in layers, as whoever looks into images writes it down. A layer that is made again has another one.
const LAYER_INDEXES: &str = "
CREATE TABLE layer_indexes (
    layer TEXT PRIMARY KEY REFERENCES layers(id) ON DELETE CASCADE, format INTEGER NOT NULL, content BLOB NOT NULL
);
CREATE TRIGGER layer_made_again AFTER UPDATE OF boot ON layers BEGIN
    DELETE FROM layer_indexes WHERE layer = new.id;
END;
";

/// What was found in layers that are not in the store.
const FOREIGN_LAYERS: &str = "
CREATE TABLE foreign_layers (
    diff_id TEXT PRIMARY KEY, format INTEGER NOT NULL, content BLOB NOT NULL, used INTEGER NOT NULL
);
";

/// When steps began, in milliseconds after the build did, and what builds came to, for each name.
const BUILD_RESULTS: &str = "
ALTER TABLE steps ADD COLUMN began_ms INTEGER;
CREATE TABLE build_results (
    build INTEGER NOT NULL REFERENCES builds(id) ON DELETE CASCADE, name TEXT NOT NULL, image TEXT, size INTEGER NOT NULL,
    PRIMARY KEY (build, name)
) WITHOUT ROWID;
CREATE INDEX build_results_name ON build_results(name);
";

/// What tells steps from all others of their Dockerfile, and whether their programs ran in an emulator.
const LINEAGES: &str = "
ALTER TABLE steps ADD COLUMN lineage BLOB;
ALTER TABLE steps ADD COLUMN emulated INTEGER NOT NULL DEFAULT 0;
CREATE INDEX steps_lineage ON steps(lineage) WHERE lineage IS NOT NULL;
CREATE INDEX records_build ON records(build);
";

/// The layers of steps that were cached; of builds before, those are known where one record alone has the same words.
/// What another machine made has no build that could tell such records apart.
const CACHED_LAYERS: &str = "
ALTER TABLE steps ADD COLUMN cached_layer TEXT;
UPDATE steps SET cached_layer = (SELECT min(records.layer) FROM records
                          WHERE records.build = steps.made_by AND records.name = steps.name
                          HAVING count(DISTINCT records.layer) = 1)
WHERE steps.made_by <> 0;
DROP INDEX records_build;
";

/// The version from which on blobs have rows.
const BLOBS_HAVE_ROWS: usize = 6;

/// Makes the directories of a new store; nobody but its owner may look into them.
fn create_directories(root: &Path) -> Result<()> {
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

/// Whether there is a database.
pub(crate) fn is_in(root: &Path) -> bool {
    root.join(DATABASE).exists()
}

/// Opens the database, which is made if there is none yet.
pub(crate) fn open(root: &Path) -> Result<Connection> {
    let path = root.join(DATABASE);
    if !is_in(root) {
        create_directories(root)?;
        create(root, &path)?;
    }
    let mut connection = connect(&path, OpenFlags::default().difference(OpenFlags::SQLITE_OPEN_CREATE))?;
    // Else a query by ranges is compiled anew whenever it has other bounds.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    journal::keep_short(&mut connection, &path)?;
    check(&mut connection, root, &path)?;
    Ok(connection)
}

/// Makes the database under another name and renames it when it is whole: nobody ever opens an unfinished one, or
/// one whose journal is being switched to WAL meanwhile: others cannot wait for that.
fn create(root: &Path, path: &Path) -> Result<()> {
    let _alone = locks::exclusive(root, "create the database")?;
    if path.exists() {
        return Ok(());
    }
    let unfinished = root.join("kiln.db.unfinished");
    remove_leftovers(&unfinished)?;
    let mut connection = connect(&unfinished, OpenFlags::default())?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    upgrade(&mut connection, root)?;
    // Closing moves the journal into the file and removes it.
    connection.close().map_err(|(_, error)| error)?;
    let synced = File::open(&unfinished).and_then(|file| file.sync_all());
    synced.map_err(Error::io("sync", &unfinished))?;
    std::fs::rename(&unfinished, path).map_err(Error::io("rename to", path))
}

/// Removes what a process left that died in [`create`].
fn remove_leftovers(unfinished: &Path) -> Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = unfinished.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::io("remove", &name)(error)),
            _ => {}
        }
    }
    Ok(())
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

/// Only a database of this program's schema is used; an older one is changed into it.
fn check(connection: &mut Connection, root: &Path, path: &Path) -> Result<()> {
    match version(connection)? {
        0 => Err(Error::Damaged(format!("{} has no tables", path.display()))),
        found if found > CHANGES.len() => Err(Error::Newer {
            path: path.to_owned(),
            found,
            known: CHANGES.len(),
        }),
        found if found < CHANGES.len() => {
            upgrade(connection, root)?;
            check(connection, root, path)
        }
        _ => Ok(()),
    }
}

/// The schema's version.
fn version(connection: &Connection) -> Result<usize> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// Of several processes that come at once, one does it.
fn upgrade(connection: &mut Connection, root: &Path) -> Result<()> {
    let transaction = immediate(connection)?;
    let found = version(&transaction)?;
    for change in CHANGES.iter().skip(found) {
        transaction.execute_batch(change)?;
    }
    if found < BLOBS_HAVE_ROWS {
        adopt_blobs(&transaction, root)?;
    }
    let now = to_sql(CHANGES.len().max(found) as u64);
    transaction.pragma_update(None, "user_version", now)?;
    transaction.commit()?;
    Ok(())
}

/// Gives rows to the blobs of a store from before they had some.
fn adopt_blobs(transaction: &Transaction<'_>, root: &Path) -> Result<()> {
    let directory = root.join("blobs/sha256");
    for entry in std::fs::read_dir(&directory).map_err(Error::io("read", &directory))? {
        let entry = entry.map_err(Error::io("read", &directory))?;
        let meta = entry.metadata().map_err(Error::io("examine", entry.path()))?;
        transaction.execute(
            "INSERT INTO blobs (digest, disk, created, used) VALUES (?, ?, ?, ?)",
            params![
                entry.file_name().to_string_lossy(),
                to_sql(tree::disk_of(&meta)),
                meta.mtime(),
                meta.mtime() * 1000
            ],
        )?;
    }
    Ok(())
}

/// Bytes on disk of the database and its journal, but for pages that are free: the database does not grow before they are
/// filled, and never shrinks.
pub(crate) fn database_size(connection: &Connection, root: &Path) -> Result<u64> {
    let query = "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size";
    let free = connection.prepare_cached(query)?.query_row([], |row| row.get(0))?;
    let files = ["", "-wal"].map(|suffix| root.join(format!("{DATABASE}{suffix}")));
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |meta| tree::disk_of(&meta));
    let all: u64 = files.iter().map(size).sum();
    Ok(all.saturating_sub(from_sql(free)))
}

/// A transaction that has the right to write from its beginning: it waits for others then, and never fails for them later.
pub(crate) fn immediate(connection: &mut Connection) -> Result<Transaction<'_>> {
    Ok(connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
}
