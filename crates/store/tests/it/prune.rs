//! Pruning.

use std::sync::atomic::{AtomicBool, Ordering};

use kiln_image::{Digest, Platform};
use kiln_store::{LayerId, Store};

use super::support::{add_cache, add_image, add_layer, add_step, key, names, store};

fn has_layer(store: &Store, id: &LayerId) -> bool {
    let (row, directory) = (store.layer(id).unwrap().is_some(), store.layer_path(id).exists());
    assert_eq!(row, directory);
    row
}

#[test]
fn what_nothing_names_goes_and_the_rest_stays() {
    let (directory, store) = store();
    let root = directory.path();
    let recorded = add_step(&store, 1, "recorded");
    let replaced = add_step(&store, 2, "replaced");
    let replacing = add_step(&store, 2, "replacing");
    let pulled = LayerId::from_digest(&Digest::of("pulled"));
    add_layer(&store, &pulled, "pulled");
    let of_image = LayerId::random().unwrap();
    add_layer(&store, &of_image, "of an image");
    let config = add_image(&store, "{}", std::slice::from_ref(&of_image));
    let compressed = store.put_blob(b"compressed").unwrap();
    store.add_layer_blob(&pulled, &compressed, 10, "a/b").unwrap();
    let asked_config = store.put_blob(b"{\"os\":\"linux\"}").unwrap();
    let manifest = format!(r#"{{"config":{{"digest":"{asked_config}"}}}}"#);
    let manifest = store.put_blob(manifest.as_bytes()).unwrap();
    let name = "docker.io/library/a:1".parse().unwrap();
    store.put_resolution(&name, &Platform::host(), &manifest).unwrap();
    let unnamed = store.put_blob(&vec![1; 100_000]).unwrap();
    std::fs::create_dir(root.join("layers/leftover")).unwrap();
    std::fs::create_dir(root.join("logs/77")).unwrap();
    let cache = add_cache(&store, "cache");

    assert!(store.prune(false).unwrap() >= 100_000);

    for layer in [&recorded, &replacing, &pulled, &of_image] {
        assert!(has_layer(&store, layer));
    }
    assert!(!has_layer(&store, &replaced));
    for blob in [&config, &compressed, &asked_config, &manifest] {
        assert!(store.has_blob(blob));
    }
    assert!(!store.has_blob(&unnamed));
    assert_eq!(names(&root.join("layers")).len(), 4);
    assert_eq!(names(&root.join("logs")), [""; 0]);
    assert!(cache.exists());
}

#[test]
fn all_leaves_named_images_only() {
    let (directory, store) = store();
    let recorded = add_step(&store, 1, "recorded");
    let kept = add_step(&store, 2, "kept");
    let config = add_image(&store, "{}", std::slice::from_ref(&kept));
    store.tag(&"docker.io/library/a:1".parse().unwrap(), &config).unwrap();
    let unnamed = add_image(&store, "{ }", std::slice::from_ref(&recorded));
    add_cache(&store, "cache");

    store.prune(true).unwrap();

    assert!(has_layer(&store, &kept) && !has_layer(&store, &recorded));
    assert!(store.has_blob(&config) && !store.has_blob(&unnamed));
    assert_eq!(store.images().unwrap().len(), 1);
    assert_eq!(store.record(&key(1)).unwrap(), None);
    assert_eq!(names(&directory.path().join("cache")), [""; 0]);
    assert_eq!(store.cache_mount("cache").unwrap(), None);
}

#[test]
fn a_prune_waits_for_those_who_use_the_store() {
    let (directory, store) = store();
    let layer = add_step(&store, 1, "in use");
    let in_use = store.in_use().unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // As another process would.
            Store::open(directory.path()).unwrap().prune(true).unwrap();
            done.store(true, Ordering::SeqCst);
        });
        // Whenever the other thread comes to it: it has not pruned.
        for _ in 0..50 {
            assert!(has_layer(&store, &layer) && !done.load(Ordering::SeqCst));
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        drop(in_use);
    });
    assert!(!has_layer(&store, &layer));
}

#[test]
fn pinned_layers_stay_until_they_are_let_go() {
    let (directory, store) = store();
    let (pinned, other) = (add_step(&store, 1, "pinned"), add_step(&store, 2, "other"));
    let pins = store.pin(std::slice::from_ref(&pinned)).unwrap();
    let second = Store::open(directory.path()).unwrap();
    second.prune(true).unwrap();
    assert!(has_layer(&store, &pinned) && !has_layer(&store, &other));
    drop(pins);
    second.prune(true).unwrap();
    assert!(!has_layer(&store, &pinned));
}

#[test]
fn what_dead_processes_left_is_swept() {
    let (directory, store) = store();
    let dead = directory.path().join("tmp/0123456789abcdef");
    std::fs::create_dir(&dead).unwrap();
    std::fs::write(dead.join("file"), [1; 10_000]).unwrap();
    let _own = store.new_layer().unwrap();
    let other = Store::open(directory.path()).unwrap();
    let unfinished = other.new_layer().unwrap();
    assert!(store.prune(false).unwrap() >= 10_000);
    assert!(!dead.exists());
    assert!(unfinished.fs().exists());
}
