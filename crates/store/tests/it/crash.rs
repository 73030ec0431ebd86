//! Processes that are killed at any moment.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use kiln_image::Digest;
use kiln_store::{LayerId, LayerInfo, Record, Store};
use rusqlite::Connection;

use super::children;
use super::support::{add_image, key, names, prune};

const FILES: usize = 20;

/// The signal of `Child::kill`.
const SIGKILL: i32 = 9;

/// Writes everything that there is to write, and prunes now and then, until it is killed.
pub(crate) fn work(root: &Path) {
    let store = Store::open(root).unwrap();
    for round in 0_u8.. {
        add(&store, round);
        if round % 8 == 7 {
            prune(&store, round % 16 == 7);
        }
        if round == u8::MAX {
            return work(root);
        }
    }
}

/// Writes everything once, and prunes. Each time the same, but for random names.
pub(crate) fn work_once(root: &Path) {
    let store = Store::open(root).unwrap();
    add(&store, 1);
    prune(&store, false);
    prune(&store, true);
}

fn add(store: &Store, round: u8) {
    let _in_use = store.in_use().unwrap();
    let build = store.begin_build("test").unwrap();
    let id = LayerId::random().unwrap();
    let directory = store.new_layer().unwrap();
    for file in 0..FILES {
        std::fs::write(directory.fs().join(file.to_string()), id.as_str()).unwrap();
    }
    store.commit_layer(&directory, &id, &LayerInfo::default()).unwrap();
    let record = Record::new(id.clone(), build, "RUN", Duration::ZERO);
    store.put_record(&key(round % 20), &record).unwrap();
    let blob = store.put_blob(id.as_str().repeat(1000).as_bytes()).unwrap();
    store.add_layer_blob(&id, &blob, 10, "a/b").unwrap();
    let image = add_image(store, &format!("[{round}]"), &[id]);
    let name = format!("docker.io/library/a:{}", round % 4).parse().unwrap();
    store.tag(&name, &image).unwrap();
    store.finish_build(build, "done").unwrap();
}

#[test]
fn whenever_processes_are_killed_the_store_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let mut rows = 0;
    for _ in 0..25 {
        let children: Vec<_> = (0..2).map(|_| children::start("work", root)).collect();
        for mut child in children {
            std::thread::sleep(Duration::from_millis(arbitrary() % 150));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        rows += check(root);
    }
    assert!(rows > 0, "the children were killed before they wrote anything");
}

/// What changes the store: each is once the one that is not done any more. Of those that are many, every how many.
const SYSTEM_CALLS: &[(&str, usize)] = &[
    ("rename,renameat,renameat2", 1),
    ("mkdir,mkdirat", 1),
    ("unlink", 2),
    ("unlinkat", 1),
    ("fsync", 1),
    ("fdatasync", 1),
    ("ftruncate", 1),
    ("flock", 3),
    ("write", 5),
    ("pwrite64", 7),
];

#[test]
fn whatever_system_call_is_the_last_the_store_is_whole() {
    if Command::new("strace").arg("-V").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "strace is not installed");
        eprintln!("SKIPPED: strace is not installed");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for (calls, step) in SYSTEM_CALLS {
        let mut number = 1;
        while !work_until(calls, number, root) {
            check(root);
            number += step;
        }
        check(root);
        assert!(number > 1, "{calls}: never killed");
    }
}

/// Kills a process as it enters its `number`th of these system calls. Whether it came to its end before.
fn work_until(calls: &str, number: usize, root: &Path) -> bool {
    let mut strace = Command::new("strace");
    strace.args(["--follow-forks", "--quiet=all", "--output=/dev/null"]);
    strace.args([
        format!("--trace={calls}"),
        format!("--inject={calls}:signal=KILL:when={number}"),
    ]);
    let mut child = children::start_under(strace, "work once", root);
    let status = child.wait().unwrap();
    assert!(status.success() || status.signal() == Some(SIGKILL), "{status}");
    status.success()
}

/// Checks a store whose users were killed. Gives the number of layers that were there.
fn check(root: &Path) -> usize {
    if !root.join("kiln.db").exists() {
        return 0;
    }
    let store = Store::open(root).unwrap();
    let layers = check_rows(root);
    prune(&store, false);
    drop(store);
    check_files(root);
    layers
}

/// Enough for times that differ.
fn arbitrary() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::from(since.unwrap().subsec_micros())
}

fn rows(database: &Connection, query: &str) -> BTreeSet<String> {
    let mut statement = database.prepare(query).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<rusqlite::Result<_>>().unwrap()
}

/// What rows point at is there, and whole. Gives the number of layers.
fn check_rows(root: &Path) -> usize {
    let database = Connection::open(root.join("kiln.db")).unwrap();
    let layers = rows(&database, "SELECT id FROM layers");
    for layer in &layers {
        for file in 0..FILES {
            let path = root.join("layers").join(layer).join(file.to_string());
            assert_eq!(std::fs::read_to_string(path).unwrap(), *layer);
        }
    }
    assert!(rows(&database, "SELECT layer FROM records").is_subset(&layers));
    for image in rows(&database, "SELECT layers FROM images") {
        assert!(image.split(' ').all(|layer| layers.contains(layer)));
    }
    let blobs: BTreeSet<String> = names(&root.join("blobs/sha256")).into_iter().collect();
    for blob in &blobs {
        let content = std::fs::read(root.join("blobs/sha256").join(blob)).unwrap();
        assert_eq!(Digest::of(content).hex(), *blob);
    }
    assert!(named_blobs(&database).is_subset(&blobs));
    let images = rows(&database, "SELECT id FROM images");
    assert!(rows(&database, "SELECT image FROM tags").is_subset(&images));
    layers.len()
}

fn named_blobs(database: &Connection) -> BTreeSet<String> {
    rows(
        database,
        "SELECT substr(digest, 8) FROM layer_blobs UNION SELECT substr(id, 8) FROM images",
    )
}

/// Nothing is there that no row names.
fn check_files(root: &Path) {
    let database = Connection::open(root.join("kiln.db")).unwrap();
    let all = |directory: &str| -> BTreeSet<String> { names(&root.join(directory)).into_iter().collect() };
    assert_eq!(all("layers"), rows(&database, "SELECT id FROM layers"));
    assert_eq!(all("blobs/sha256"), named_blobs(&database));
    assert_eq!(all("tmp"), BTreeSet::new());
}
