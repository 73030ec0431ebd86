//! Opening stores.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Barrier;
use std::time::Duration;

use kiln_store::{BuildId, BuildStep, Error, LayerId, Record, Store};
use rusqlite::Connection;

use super::children;

/// Opens a store and writes something.
pub(crate) fn open_and_use(root: &Path) {
    let store = Store::open(root).unwrap();
    store.begin_build("test").unwrap();
}

#[test]
fn many_threads_make_a_new_store_at_once() {
    for _ in 0..30 {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("store");
        let ready = Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    ready.wait();
                    open_and_use(&root);
                });
            }
        });
        assert_eq!(Store::open(&root).unwrap().builds().unwrap().len(), 8);
    }
}

#[test]
fn many_processes_make_a_new_store_at_once() {
    for _ in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        let children: Vec<_> = (0..6).map(|_| children::start("open", directory.path())).collect();
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        assert_eq!(Store::open(directory.path()).unwrap().builds().unwrap().len(), 6);
    }
}

#[test]
fn a_store_of_a_newer_program_is_left_alone() {
    let (directory, store) = super::support::store();
    drop(store);
    let database = Connection::open(directory.path().join("kiln.db")).unwrap();
    database.pragma_update(None, "user_version", 1000).unwrap();
    let error = Store::open(directory.path()).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 1000, .. }));
    let message = error.to_string();
    assert!(
        message.contains("newer Kiln") && message.contains("--root"),
        "{message}"
    );
}

#[test]
fn a_damaged_database_is_called_so() {
    for content in [vec![], b"this is no database".repeat(1000)] {
        let (directory, store) = super::support::store();
        drop(store);
        std::fs::write(directory.path().join("kiln.db"), content).unwrap();
        let error = Store::open(directory.path()).unwrap_err();
        assert!(matches!(error, Error::Damaged(_)));
        let message = error.to_string();
        assert!(message.contains("damaged") && message.contains("--root"), "{message}");
    }
}

#[test]
fn only_its_owner_may_look_into_a_store() {
    let (directory, _store) = super::support::store();
    for name in ["layers", "blobs", "tmp", "cache", "logs", "locks"] {
        let mode = std::fs::metadata(directory.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700, "{name}");
    }
}

/// The tables of the first version, and the one that the database keeps for itself.
const FIRST_TABLES: &[&str] = &[
    "layers",
    "layer_blobs",
    "records",
    "images",
    "tags",
    "resolutions",
    "builds",
    "steps",
    "cache_mounts",
    "sqlite_sequence",
];

/// Columns of those tables that came later.
const LATER_COLUMNS: &[(&str, &str)] = &[
    ("layers", "disk"),
    ("layers", "used"),
    ("layers", "family"),
    ("records", "used"),
    ("cache_mounts", "disk"),
    ("cache_mounts", "created"),
    ("cache_mounts", "key"),
    ("builds", "disk"),
    ("images", "sources"),
    ("steps", "first_line"),
    ("steps", "last_line"),
    ("steps", "made_by"),
    ("steps", "made_at"),
    ("steps", "began_ms"),
    ("steps", "lineage"),
    ("steps", "emulated"),
    ("steps", "cached_layer"),
];

#[test]
fn a_store_of_an_older_program_is_brought_up_to_date() {
    let (directory, store) = super::support::store();
    let blob = store.put_blob(&[1; 9000]).unwrap();
    drop(store);
    make_old(&Connection::open(directory.path().join("kiln.db")).unwrap());
    let ready = Barrier::new(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                ready.wait();
                Store::open(directory.path()).unwrap().file_digests(1).unwrap();
            });
        }
    });
    // What was there is known, with its size.
    let contents = Store::open(directory.path()).unwrap().contents().unwrap();
    let found: Vec<_> = contents
        .items
        .iter()
        .map(|item| (&item.id, item.disk >= 9000))
        .collect();
    assert_eq!(found, [(&blob.hex(), true)]);
}

#[test]
fn steps_that_an_older_program_had_from_the_cache_have_the_layers_of_their_records() {
    let (directory, store) = super::support::store();
    let layer = super::support::add_step(&store, 1, "content");
    let build = store.begin_build("test").unwrap();
    let first = store.builds().unwrap().last().unwrap().id;
    for (key, build, name) in [(2, first, "twins"), (3, first, "twins"), (4, BuildId::ELSEWHERE, "RUN")] {
        let record = Record::new(LayerId::random().unwrap(), build, name, Duration::ZERO);
        store.put_record(&super::support::key(key), &record).unwrap();
    }
    let step = |index, name: &str, made: Option<BuildId>| BuildStep {
        index,
        name: name.to_owned(),
        lines: None,
        outcome: "cached".to_owned(),
        began: None,
        duration: Duration::ZERO,
        made: made.map(|build| (build, 0)),
        layer: None,
        lineage: None,
        emulated: false,
    };
    for step in [
        step(0, "RUN", Some(first)),
        step(1, "other", Some(first)),
        step(2, "RUN", None),
        step(3, "twins", Some(first)),
        step(4, "RUN", Some(BuildId::ELSEWHERE)),
    ] {
        store.put_step(build, &step).unwrap();
    }
    drop(store);
    let database = Connection::open(directory.path().join("kiln.db")).unwrap();
    database
        .execute_batch("ALTER TABLE steps DROP COLUMN cached_layer; CREATE INDEX records_build ON records(build)")
        .unwrap();
    database.pragma_update(None, "user_version", 19).unwrap();
    drop(database);
    let steps = Store::open(directory.path()).unwrap().build_steps(build).unwrap();
    let layers: Vec<_> = steps.into_iter().map(|step| step.layer).collect();
    assert_eq!(layers, [Some(layer), None, None, None, None]);
}

/// Makes the database one of the first version.
fn make_old(database: &Connection) {
    let names = |kind: &str| -> Vec<String> {
        let mut statement = database
            .prepare("SELECT name FROM sqlite_schema WHERE type = ? AND sql IS NOT NULL")
            .unwrap();
        let names = statement.query_map([kind], |row| row.get(0)).unwrap();
        names.collect::<rusqlite::Result<_>>().unwrap()
    };
    for trigger in names("trigger") {
        database.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    for table in names("table")
        .iter()
        .filter(|table| !FIRST_TABLES.contains(&table.as_str()))
    {
        database.execute_batch(&format!("DROP TABLE {table}")).unwrap();
    }
    for index in names("index").iter().filter(|index| *index != "records_layer") {
        database.execute_batch(&format!("DROP INDEX {index}")).unwrap();
    }
    for (table, column) in LATER_COLUMNS {
        database
            .execute_batch(&format!("ALTER TABLE {table} DROP COLUMN {column}"))
            .unwrap();
    }
    database.pragma_update(None, "user_version", 1).unwrap();
}
