//! Pruning.

use kiln_image::{Digest, Platform};
use kiln_store::{LayerId, Store};

use super::support::{add_cache, add_image, add_layer, add_step, key, names, prune, store};

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

    assert!(prune(&store, false) >= 100_000);

    for layer in [&recorded, &replacing, &pulled, &of_image] {
        assert!(has_layer(&store, layer));
    }
    assert!(!has_layer(&store, &replaced));
    for blob in [&config, &compressed, &asked_config, &manifest] {
        assert!(store.has_blob(blob).unwrap());
    }
    assert!(!store.has_blob(&unnamed).unwrap());
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

    prune(&store, true);

    assert!(has_layer(&store, &kept) && !has_layer(&store, &recorded));
    assert!(store.has_blob(&config).unwrap() && !store.has_blob(&unnamed).unwrap());
    assert_eq!(store.images().unwrap().len(), 1);
    assert_eq!(store.record(&key(1)).unwrap(), None);
    assert_eq!(names(&directory.path().join("cache")), [""; 0]);
    assert_eq!(store.cache_mount("cache").unwrap(), None);
}

#[test]
fn what_is_in_use_stays_and_nobody_waits_for_it() {
    let (directory, store) = store();
    let (looked_up, other) = (add_step(&store, 1, "looked up"), add_step(&store, 2, "other"));
    let (blob, other_blob) = (store.put_blob(b"looked up").unwrap(), store.put_blob(b"other").unwrap());
    let unnamed = add_image(&store, "[1]", std::slice::from_ref(&other));
    let cache = add_cache(&store, "looked up");
    let other_cache = add_cache(&store, "other");
    let in_use = store.in_use().unwrap();
    assert!(store.layer(&looked_up).unwrap().is_some() && store.has_blob(&blob).unwrap());
    assert_eq!(store.cache_mount("looked up").unwrap().as_ref(), Some(&cache));
    let made = add_step(&store, 3, "made");
    let made_blob = store.put_blob(b"made").unwrap();

    // As another process would.
    let second = Store::open(directory.path()).unwrap();
    prune(&second, true);

    assert!(has_layer(&store, &looked_up) && has_layer(&store, &made) && !has_layer(&store, &other));
    assert!(store.has_blob(&blob).unwrap() && store.has_blob(&made_blob).unwrap());
    assert!(!store.has_blob(&other_blob).unwrap());
    assert!(cache.exists() && !other_cache.exists());
    assert_eq!(store.image(&unnamed).unwrap(), None);
    drop(in_use);
    prune(&second, true);
    assert!(!has_layer(&second, &looked_up) && !has_layer(&second, &made));
    assert!(!second.has_blob(&blob).unwrap() && !cache.exists());
}

#[test]
fn an_image_that_is_in_use_stays_with_all_that_it_has() {
    let (directory, store) = store();
    let layer = add_step(&store, 1, "of the image");
    let image = add_image(&store, "{}", std::slice::from_ref(&layer));
    let _in_use = store.in_use().unwrap();
    assert!(store.image(&image).unwrap().is_some());
    let second = Store::open(directory.path()).unwrap();
    prune(&second, true);
    assert!(second.image(&image).unwrap().is_some() && has_layer(&second, &layer));
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
    assert!(prune(&store, false) >= 10_000);
    assert!(!dead.exists());
    assert!(unfinished.fs().exists());
}
