//! Layers.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::{Duration, Instant};

use kiln_image::Digest;
use kiln_store::{Key, LayerId, LayerInfo};
use rusqlite::Connection;

use super::support::{add_layer, add_step, key, names, store, temp};

#[test]
fn a_layer_is_there_once_it_is_committed() {
    let (directory, store) = store();
    let id = LayerId::random().unwrap();
    let unfinished = store.new_layer().unwrap();
    std::fs::write(unfinished.fs().join("file"), "content").unwrap();
    assert_eq!(store.layer(&id).unwrap(), None);
    let info = LayerInfo {
        size: 7,
        diff_id: Some(Digest::of("tar")),
        created: Some(1_000_000_000),
        ..LayerInfo::default()
    };
    store.commit_layer(&unfinished, &id, &info).unwrap();
    drop(unfinished);
    let layer = store.layer(&id).unwrap().unwrap();
    assert_eq!((layer.size, layer.diff_id), (7, Some(Digest::of("tar"))));
    assert_eq!(layer.created, 1_000_000_000);
    assert_eq!(std::fs::read(store.layer_path(&id).join("file")).unwrap(), b"content");
    wait_until_empty(&temp(directory.path()));
}

/// What is abandoned goes soon.
fn wait_until_empty(directory: &std::path::Path) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !names(directory).is_empty() {
        assert!(Instant::now() < patience, "{:?}", names(directory));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn of_two_layers_of_one_name_the_first_stays() {
    let (_directory, store) = store();
    let id = LayerId::random().unwrap();
    add_layer(&store, &id, "first");
    store.set_layer_diff_id(&id, &Digest::of("tar"), 10).unwrap();
    add_layer(&store, &id, "second");
    assert_eq!(std::fs::read(store.layer_path(&id).join("file")).unwrap(), b"first");
    assert_eq!(store.layer(&id).unwrap().unwrap().diff_id, Some(Digest::of("tar")));
}

#[test]
fn what_a_dead_process_left_is_replaced() {
    let (_directory, store) = store();
    let id = LayerId::random().unwrap();
    std::fs::create_dir(store.layer_path(&id)).unwrap();
    std::fs::write(store.layer_path(&id).join("half"), "").unwrap();
    assert_eq!(store.layer(&id).unwrap(), None);
    add_layer(&store, &id, "whole");
    assert_eq!(names(&store.layer_path(&id)), ["file"]);
}

#[test]
fn a_layer_without_its_directory_is_absent_and_can_be_made_again() {
    let (_directory, store) = store();
    let id = LayerId::random().unwrap();
    add_layer(&store, &id, "first");
    std::fs::remove_dir_all(store.layer_path(&id)).unwrap();
    assert_eq!(store.layer(&id).unwrap(), None);
    add_layer(&store, &id, "second");
    assert!(store.layer(&id).unwrap().is_some());
}

fn is_durable(directory: &tempfile::TempDir, id: &LayerId) -> bool {
    let database = Connection::open(directory.path().join("kiln.db")).unwrap();
    let mut statement = database.prepare("SELECT durable FROM layers WHERE id = ?").unwrap();
    statement.query_row([id.as_str()], |row| row.get(0)).unwrap()
}

#[test]
fn after_a_power_failure_only_synced_layers_are_believed() {
    let (directory, store) = store();
    let (synced, lost) = (LayerId::random().unwrap(), LayerId::random().unwrap());
    add_layer(&store, &synced, "synced");
    store.make_durable(Duration::from_secs(60)).unwrap();
    assert!(!is_durable(&directory, &synced));
    store.make_durable(Duration::ZERO).unwrap();
    assert!(is_durable(&directory, &synced));
    add_layer(&store, &lost, "lost");
    let database = Connection::open(directory.path().join("kiln.db")).unwrap();
    database
        .execute("UPDATE layers SET boot = 'an earlier one'", [])
        .unwrap();
    assert!(store.layer(&synced).unwrap().is_some());
    assert_eq!(store.layer(&lost).unwrap(), None);
    add_layer(&store, &lost, "made again");
    assert!(store.layer(&lost).unwrap().is_some());
    assert_eq!(
        std::fs::read(store.layer_path(&lost).join("file")).unwrap(),
        b"made again"
    );
}

#[test]
fn blobs_of_a_layer_are_those_that_are_still_there() {
    let (_directory, store) = store();
    let id = LayerId::random().unwrap();
    add_layer(&store, &id, "content");
    let (kept, removed) = (store.put_blob(b"kept").unwrap(), store.put_blob(b"removed").unwrap());
    store.add_layer_blob(&id, &kept, 4, "a/b").unwrap();
    store.add_layer_blob(&id, &removed, 7, "a/b").unwrap();
    std::fs::remove_file(store.blob_path(&removed)).unwrap();
    let blobs = store.layer(&id).unwrap().unwrap().blobs;
    assert_eq!(blobs.iter().map(|blob| blob.digest).collect::<Vec<_>>(), [kept]);
}

/// Deeper than there are descriptors and than paths are long, closed directories, a link to something of others.
#[test]
fn an_abandoned_layer_is_removed_whatever_is_in_it() {
    let (directory, store) = store();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("keep"), "").unwrap();
    let unfinished = store.new_layer().unwrap();
    make_deep(&unfinished.fs(), 3000);
    symlink(outside.path(), unfinished.fs().join("link")).unwrap();
    let closed = unfinished.fs().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::write(closed.join("file"), "").unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    drop(unfinished);
    wait_until_empty(&temp(directory.path()));
    assert_eq!(names(outside.path()), ["keep"]);
}

fn make_deep(top: &std::path::Path, depth: usize) {
    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
    let open =
        |dir: std::os::fd::BorrowedFd<'_>, name: &str| openat(dir, name, OFlags::DIRECTORY, Mode::empty()).unwrap();
    let mut dir = open(CWD, top.to_str().unwrap());
    for _ in 0..depth {
        mkdirat(&dir, "deep", Mode::RWXU).unwrap();
        dir = open(std::os::fd::AsFd::as_fd(&dir), "deep");
    }
}

#[test]
fn only_names_of_steps_layers_are_taken_from_others() {
    let own = LayerId::random().unwrap();
    assert_eq!(LayerId::from_random(own.as_str()), Some(own.clone()));
    let chain = LayerId::from_digest(&Digest::of("chain"));
    for other in [
        chain.as_str(),
        "",
        "../../../../../../../../etc/shadow",
        &own.as_str().to_uppercase()[..31],
    ] {
        assert_eq!(LayerId::from_random(other), None, "{other}");
    }
}

#[test]
fn a_layer_knows_its_records() {
    let (_directory, store) = store();
    let id = add_step(&store, 1, "content");
    add_step(&store, 2, "other");
    let record = store.record(&key(1)).unwrap().unwrap();
    store.put_record(&key(3), &record).unwrap();
    let records = store.records_of(&id).unwrap();
    assert_eq!(records, [(key(1), record.clone()), (key(3), record)]);
    assert_eq!(Key::from_hex(&key(3).to_string()), Some(key(3)));
    assert_eq!(Key::from_hex("03"), None);
}
