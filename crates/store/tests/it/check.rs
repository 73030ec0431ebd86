//! Looking for damage.

use std::io;
use std::path::Path;

use kiln_image::Digest;
use kiln_store::{Damage, Fault, LayerId, Store};

use super::support::{add_cache, add_image, add_layer, add_step, key, prune, store};

/// Stands for the digest of a layer's tar.
fn digest(layer: &Path) -> io::Result<Digest> {
    Ok(Digest::of(std::fs::read(layer.join("file"))?))
}

fn found(store: &Store) -> (Vec<Damage>, Vec<(String, Fault)>) {
    let damages = store.check(&digest).unwrap();
    let mut found: Vec<_> = damages
        .iter()
        .map(|damage| (damage.item.id.clone(), damage.fault))
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    (damages, found)
}

#[test]
fn a_store_that_is_whole_is_whole() {
    let (_directory, store) = store();
    let layer = add_step(&store, 1, "step");
    store.set_layer_diff_id(&layer, &Digest::of("step"), 10).unwrap();
    add_image(&store, "{}", &[layer]);
    add_cache(&store, "cache");
    // Of a layer that came from elsewhere the tar is unknown.
    let pulled = LayerId::from_digest(&Digest::of("pulled"));
    add_layer(&store, &pulled, "pulled");
    assert_eq!(found(&store).1, []);
}

#[test]
fn what_is_missing_or_changed_is_found_and_dropped() {
    let (_directory, store) = store();
    let changed = add_step(&store, 1, "changed");
    store.set_layer_diff_id(&changed, &Digest::of("changed"), 10).unwrap();
    std::fs::write(store.layer_path(&changed).join("file"), "chanGed").unwrap();
    let missing = add_step(&store, 2, "missing");
    std::fs::remove_dir_all(store.layer_path(&missing)).unwrap();
    let whole = add_step(&store, 3, "whole");
    let changed_blob = store.put_blob(b"changed").unwrap();
    std::fs::write(store.blob_path(&changed_blob), "chanGed").unwrap();
    let missing_blob = store.put_blob(b"missing").unwrap();
    std::fs::remove_file(store.blob_path(&missing_blob)).unwrap();

    let (damages, list) = found(&store);
    let mut wanted = [
        (changed.to_string(), Fault::Changed),
        (missing.to_string(), Fault::Missing),
        (changed_blob.hex(), Fault::Changed),
        (missing_blob.hex(), Fault::Missing),
    ];
    wanted.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(list, wanted);

    store.repair(&damages).unwrap();
    assert_eq!(found(&store).1, []);
    assert!(store.layer(&changed).unwrap().is_none() && !store.layer_path(&changed).exists());
    assert_eq!(store.record(&key(1)).unwrap(), None);
    assert!(!store.has_blob(&changed_blob).unwrap());
    assert!(store.layer(&whole).unwrap().is_some());
}

#[test]
fn sizes_are_measured_again() {
    let (_directory, store) = store();
    let path = add_cache(&store, "cache");
    std::fs::write(path.join("large"), vec![1; 1 << 20]).unwrap();
    store.repair(&[]).unwrap();
    assert!(store.contents().unwrap().items.iter().any(|item| item.disk > 1 << 20));
}

#[test]
fn blobs_are_looked_at_before_they_are_copied() {
    let (directory, store) = store();
    let blob = store.put_blob(b"content").unwrap();
    std::fs::write(store.blob_path(&blob), "conTent").unwrap();
    // Another process.
    drop(store);
    let store = Store::open(directory.path()).unwrap();
    assert_eq!(store.blob_fault(&blob).unwrap(), Some(Fault::Changed));
    assert!(!store.blob_path(&blob).exists());
    assert_eq!(store.blob_fault(&blob).unwrap(), Some(Fault::Missing));
    assert_eq!(store.put_blob(b"content").unwrap(), blob);
    assert_eq!(store.blob_fault(&blob).unwrap(), None);
}

#[test]
fn what_is_written_again_is_what_it_was() {
    let (directory, store) = store();
    let blob = store.put_blob(b"content").unwrap();
    drop(store);
    let store = Store::open(directory.path()).unwrap();
    std::fs::write(store.blob_path(&blob), "conTent").unwrap();
    store.put_blob(b"content").unwrap();
    assert_eq!(store.read_blob(&blob, 10).unwrap(), b"content");
}

#[test]
fn a_layer_that_is_forgotten_stays_for_those_who_have_it_mounted() {
    let (_directory, store) = store();
    let layer = add_step(&store, 1, "damaged");
    store.forget_layer(&layer).unwrap();
    assert!(store.layer(&layer).unwrap().is_none() && store.record(&key(1)).unwrap().is_none());
    assert!(store.layer_path(&layer).exists());
    prune(&store, false);
    assert!(!store.layer_path(&layer).exists());
}
