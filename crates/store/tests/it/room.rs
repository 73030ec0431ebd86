//! The cap.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use kiln_image::Digest;
use kiln_store::{Cap, Excess, LayerId, LayerInfo, Record, Store};
use rusqlite::Connection;

use super::support::{add_cache, add_image, key, names, store};

const MIB: u64 = 1 << 20;

/// Opened anew, with room for so many megabytes besides what the database takes.
fn capped(root: &Path, megabytes: u64) -> Store {
    let store = Store::open(root).unwrap();
    let database = store.contents().unwrap().database;
    store.with_cap(Cap::Bytes(database + megabytes * MIB + MIB / 2))
}

/// A step's layer of so many megabytes on disk, by what is said; it has no record.
fn add_large(store: &Store, megabytes: u64) -> LayerId {
    let id = LayerId::random().unwrap();
    let directory = store.new_layer().unwrap();
    std::fs::write(directory.fs().join("file"), "content").unwrap();
    let info = LayerInfo {
        disk: megabytes * MIB,
        ..LayerInfo::default()
    };
    store.commit_layer(&directory, &id, &info).unwrap();
    tick();
    id
}

/// Uses are told apart by the millisecond.
fn tick() {
    std::thread::sleep(Duration::from_millis(2));
}

/// Looks layers up as a build does.
fn use_again(root: &Path, layers: &[&LayerId]) {
    let store = Store::open(root).unwrap();
    let _in_use = store.in_use().unwrap();
    for layer in layers {
        assert!(store.layer(layer).unwrap().is_some());
    }
    drop(store);
    tick();
}

fn has(store: &Store, layers: &[&LayerId]) -> Vec<bool> {
    let there = layers.iter().map(|layer| store.layer(layer).unwrap().is_some());
    let there: Vec<bool> = there.collect();
    let files: Vec<bool> = layers.iter().map(|layer| store.layer_path(layer).exists()).collect();
    assert_eq!(there, files);
    there
}

#[test]
fn the_least_recently_used_goes_first() {
    let (directory, store) = store();
    let [first, second, third] = [(); 3].map(|()| add_large(&store, 2));
    use_again(directory.path(), &[&first]);
    let capped = capped(directory.path(), 6);
    let fourth = add_large(&capped, 2);
    assert_eq!(
        has(&capped, &[&first, &second, &third, &fourth]),
        [true, false, true, true]
    );
    let fifth = add_large(&capped, 4);
    assert_eq!(
        has(&capped, &[&first, &third, &fourth, &fifth]),
        [false, false, true, true]
    );
    assert_eq!(capped.excess().unwrap(), None);
}

#[test]
fn records_go_with_their_layers() {
    let (directory, store) = store();
    let layer = add_large(&store, 4);
    let build = store.begin_build("test").unwrap();
    let record = Record::new(layer.clone(), build, "RUN", Duration::ZERO);
    store.put_record(&key(1), &record).unwrap();
    let capped = capped(directory.path(), 4);
    add_large(&capped, 1);
    assert_eq!(has(&capped, &[&layer]), [false]);
    assert_eq!(capped.record(&key(1)).unwrap(), None);
}

#[test]
fn what_images_with_names_need_and_what_is_in_use_stays() {
    let (directory, store) = store();
    let [named, unnamed, used] = [(); 3].map(|()| add_large(&store, 4));
    let image = add_image(&store, "{}", std::slice::from_ref(&named));
    store.tag(&"docker.io/library/a:1".parse().unwrap(), &image).unwrap();
    let other = add_image(&store, "[]", std::slice::from_ref(&unnamed));
    // Another process.
    let _in_use = store.in_use().unwrap();
    assert!(store.layer(&used).unwrap().is_some());

    let capped = capped(directory.path(), 1);
    let Excess { held, cap } = capped.excess().unwrap().unwrap();

    assert!(held > cap && held - cap > 6 * MIB, "{held} {cap}");
    assert_eq!(has(&capped, &[&named, &unnamed, &used]), [true, false, true]);
    assert!(capped.image(&image).unwrap().is_some());
    assert_eq!(capped.image(&other).unwrap(), None);
    assert!(capped.has_blob(&image).unwrap());
    // Without its name it is needed no longer.
    capped.remove_image(&image).unwrap();
    assert_eq!(has(&capped, &[&named, &used]), [false, true]);
}

#[test]
fn there_is_room_before_a_blob_of_known_length_is_written() {
    let (directory, store) = store();
    let [old, new] = [(); 2].map(|()| add_large(&store, 4));
    let capped = capped(directory.path(), 10);
    let first = capped.blob_writer(Some(2 * MIB)).unwrap();
    assert_eq!(has(&capped, &[&old, &new]), [true, true]);
    // The first one has its room already, though none of it is written.
    let second = capped.blob_writer(Some(2 * MIB)).unwrap();
    assert_eq!(has(&capped, &[&old, &new]), [false, true]);
    drop((first, second));
    let third = capped.blob_writer(Some(6 * MIB)).unwrap();
    assert_eq!(has(&capped, &[&new]), [true]);
    drop(third);
    // Whoever names such a size may lie.
    let _never = capped.blob_writer(Some(u64::MAX)).unwrap();
    assert_eq!(has(&capped, &[&new]), [true]);
}

#[test]
fn room_that_a_dead_process_kept_is_free() {
    let (directory, store) = store();
    add_large(&store, 4);
    let database = Connection::open(directory.path().join("kiln.db")).unwrap();
    let query = "INSERT INTO reservations (process, number, bytes) VALUES ('dead', 0, 100000000)";
    database.execute(query, []).unwrap();
    let capped = capped(directory.path(), 10);
    assert_eq!(capped.excess().unwrap(), None);
    drop(capped.blob_writer(Some(MIB)).unwrap());
    assert_eq!(capped.excess().unwrap(), None);
    let left: i64 = database
        .query_row("SELECT count(*) FROM reservations", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
}

#[test]
fn cache_mounts_count_as_they_are_measured() {
    let (directory, store) = store();
    let [old, other] = ["old", "other"].map(|name| {
        let path = add_cache(&store, name);
        tick();
        path
    });
    std::fs::write(old.join("large"), vec![1; 4 << 20]).unwrap();
    std::fs::hard_link(old.join("large"), old.join("again")).unwrap();
    store.leave_cache_mount("old", &[]).unwrap();
    let capped = capped(directory.path(), 5);
    assert_eq!(capped.excess().unwrap(), None);
    assert!(old.exists());
    std::fs::write(other.join("large"), vec![1; 2 << 20]).unwrap();
    let _in_use = capped.in_use().unwrap();
    assert!(capped.cache_mount("other").unwrap().is_some());
    capped.leave_cache_mount("other", &[]).unwrap();
    assert!(!old.exists() && other.exists());
}

/// To look through a store takes as long as it is large.
#[test]
fn when_something_goes_there_is_room_for_a_while() {
    let (directory, store) = store();
    for _ in 0..20 {
        add_large(&store, 1);
    }
    let capped = capped(directory.path(), 20);
    let layers = || names(&directory.path().join("layers")).len();
    add_large(&capped, 1);
    assert_eq!(layers(), 19);
    add_large(&capped, 1);
    assert_eq!(layers(), 20);
}

#[test]
fn where_nothing_can_go_the_store_is_looked_through_when_it_has_grown() {
    let (directory, store) = store();
    let _in_use = store.in_use().unwrap();
    add_large(&store, 400);
    let capped = capped(directory.path(), 200);
    let in_use = capped.in_use().unwrap();
    // Whoever looks sweeps what dead processes left.
    let dead = directory.path().join("tmp/0123456789abcdef");
    let looks_for = |megabytes| {
        std::fs::create_dir_all(&dead).unwrap();
        let layer = add_large(&capped, megabytes);
        (!dead.exists(), layer)
    };
    let made = [0, 0, 1, 2, 0].map(looks_for);
    assert_eq!(
        made.each_ref().map(|(looks, _)| *looks),
        [true, false, false, true, false]
    );
    drop(in_use);
    assert!(capped.excess().unwrap().is_some());
    assert_eq!(
        has(&capped, &made.each_ref().map(|(_, layer)| layer)),
        [true, true, false, false, true]
    );
}

#[test]
fn what_is_committed_stays_though_no_room_can_be_made() {
    let (directory, store) = store();
    add_large(&store, 4);
    let capped = capped(directory.path(), 4);
    let mut blob = capped.blob_writer(None).unwrap();
    std::io::Write::write_all(&mut blob, b"blob").unwrap();
    // Nobody can read whose image that is.
    let database = Connection::open(directory.path().join("kiln.db")).unwrap();
    database.execute("INSERT INTO tags VALUES ('a', x'ff')", []).unwrap();
    let layer = add_large(&capped, 4);
    let (digest, _) = blob.commit(None).unwrap();
    assert!(capped.layer(&layer).unwrap().is_some() && capped.has_blob(&digest).unwrap());
    assert!(capped.excess().is_err());
}

/// Of what one build used, what was made last goes first.
#[test]
fn what_stands_on_something_goes_before_it() {
    let (directory, store) = store();
    let [below, above] = [(); 2].map(|()| add_large(&store, 4));
    let database = Connection::open(directory.path().join("kiln.db")).unwrap();
    let query = "UPDATE layers SET used = 1000, created = CASE id WHEN ? THEN 1 ELSE 2 END";
    database.execute(query, [below.as_str()]).unwrap();
    let capped = capped(directory.path(), 4);
    assert_eq!(capped.excess().unwrap(), None);
    assert_eq!(has(&capped, &[&below, &above]), [true, false]);
}

/// The sum that is kept is the sum of what there is, whatever was done.
#[test]
fn the_sum_is_right() {
    let (directory, store) = store();
    let layer = LayerId::from_digest(&Digest::of("layer"));
    for disk in [10, 20] {
        let made = store.new_layer().unwrap();
        let info = LayerInfo {
            disk,
            ..LayerInfo::default()
        };
        store.commit_layer(&made, &layer, &info).unwrap();
        // The second time it is made anew.
        std::fs::remove_dir(store.layer_path(&layer)).unwrap();
        let database = Connection::open(directory.path().join("kiln.db")).unwrap();
        database.execute("UPDATE layers SET boot = ''", []).unwrap();
    }
    for _ in 0..2 {
        store.put_blob(&[7; 9000]).unwrap();
        add_cache(&store, "cache");
        store.leave_cache_mount("cache", &[]).unwrap();
    }
    let build = store.begin_build("test").unwrap();
    std::io::Write::write_all(&mut store.create_log(build, 1).unwrap(), b"line\n").unwrap();
    store.finish_build(build, "done").unwrap();
    let database = Connection::open(directory.path().join("kiln.db")).unwrap();
    let sum = |query: &str| -> i64 { database.query_row(query, [], |row| row.get(0)).unwrap() };
    let parts =
        ["layers", "blobs", "cache_mounts", "builds"].map(|table| sum(&format!("SELECT sum(disk) FROM {table}")));
    assert!(parts.iter().all(|part| *part > 0), "{parts:?}");
    assert_eq!(sum("SELECT bytes FROM held"), parts.iter().sum::<i64>());
    super::support::prune(&store, true);
    assert_eq!(sum("SELECT bytes FROM held"), parts[3]);
}

/// Makes a store of 100 000 records, layers and blobs, of 200 GB that are only said to be there.
fn fill(root: &Path) {
    drop(Store::open(root).unwrap());
    let database = Connection::open(root.join("kiln.db")).unwrap();
    database
        .execute_batch(
            "BEGIN;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
             INSERT INTO layers (id, size, disk, created, used, boot, durable)
             SELECT printf('%032x', i), 1000000, 1000000, i, i, '', 1 FROM n;
             INSERT INTO blobs (digest, disk, created, used)
             SELECT printf('%064s', id), 1000000, created, used FROM layers;
             INSERT INTO records (key, layer, build, name, created, used, duration_ms)
             SELECT CAST(id AS BLOB), id, 1, 'RUN', 1, 1, 1 FROM layers;
             COMMIT;
             PRAGMA wal_checkpoint(TRUNCATE);",
        )
        .unwrap();
    for id in 1..=2000 {
        std::fs::create_dir(root.join(format!("layers/{id:032x}"))).unwrap();
        std::fs::write(root.join(format!("blobs/sha256/{id:064}")), "").unwrap();
    }
}

/// Opens a store and does what a build does that finds everything.
pub(crate) fn open_and_look(root: &Path) {
    let store = Store::open(root).unwrap().with_cap(Cap::Bytes(u64::MAX / 2));
    let _in_use = store.in_use().unwrap();
    let record = store.record(&key(0)).unwrap();
    assert_eq!(record, None);
    drop(store.blob_writer(Some(MIB)).unwrap());
    assert_eq!(store.excess().unwrap(), None);
}

/// Counts the calls to the system.
fn calls(root: &Path) -> usize {
    let trace = tempfile::NamedTempFile::new().unwrap();
    let mut strace = Command::new("strace");
    strace
        .args(["--follow-forks", "--quiet=all", "--output"])
        .arg(trace.path());
    strace.arg("--trace=getdents64,openat,pread64,statx,newfstatat,read");
    let status = super::children::start_under(strace, "open and look", root).wait();
    assert!(status.unwrap().success());
    let lines = std::fs::read_to_string(trace.path()).unwrap();
    let of_store = |line: &&str| !line.contains("/proc/") && !line.contains("/lib");
    lines.lines().filter(of_store).count()
}

#[test]
fn a_full_store_is_opened_and_kept_below_its_cap_like_an_empty_one() {
    if Command::new("strace").arg("-V").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "strace is not installed");
        eprintln!("SKIPPED: strace is not installed");
        return;
    }
    let (empty, full) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(Store::open(empty.path()).unwrap());
    fill(full.path());
    let (of_empty, of_full) = (calls(empty.path()), calls(full.path()));
    // A tree of 100 000 rows is some pages higher than an empty one.
    assert!(
        of_full <= of_empty + 30,
        "{of_empty} calls, and {of_full} with a full store"
    );
    assert_eq!(names(&full.path().join("layers")).len(), 2000);
}
