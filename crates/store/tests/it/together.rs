//! Several processes that do the same at once.

use std::path::Path;

use kiln_image::Digest;
use kiln_store::{LayerId, LayerInfo, Store};

use super::support::{add_image, add_layer, key, names};
use super::{children, support};

const ROUNDS: usize = 30;

fn layer(round: usize) -> LayerId {
    LayerId::from_digest(&Digest::of(format!("layer {round}")))
}

/// Adds layers, blobs, records, images and names, the same as everybody.
pub(crate) fn add(root: &Path) {
    let store = Store::open(root).unwrap();
    for round in 0..ROUNDS {
        let _in_use = store.in_use().unwrap();
        add_layer(&store, &layer(round), &format!("content {round}"));
        let blob = store.put_blob(format!("blob {round}").as_bytes()).unwrap();
        store.add_layer_blob(&layer(round), &blob, 10, "a/b").unwrap();
        support::add_step(&store, 1, "step");
        let image = add_image(&store, "{}", &[layer(round)]);
        store.tag(&"docker.io/library/a:1".parse().unwrap(), &image).unwrap();
        assert!(store.layer(&layer(round)).unwrap().is_some());
    }
}

/// Makes, sweeps and drops directories of unfinished things.
pub(crate) fn sweep(root: &Path) {
    for _ in 0..100 {
        let store = Store::open(root).unwrap();
        let layer = store.new_layer().unwrap();
        store.begin_build("test").unwrap();
        std::fs::write(layer.fs().join("file"), "").unwrap();
        store
            .commit_layer(&layer, &LayerId::random().unwrap(), &LayerInfo::default())
            .unwrap();
    }
}

/// Prunes again and again.
pub(crate) fn prune(root: &Path) {
    let store = Store::open(root).unwrap();
    for _ in 0..ROUNDS {
        support::prune(&store, false);
    }
}

fn run(tasks: &[&str], root: &Path) {
    let children: Vec<_> = tasks.iter().map(|task| children::start(task, root)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn all_that_add_the_same_succeed_while_one_prunes() {
    let directory = tempfile::tempdir().unwrap();
    run(&["add", "add", "prune", "add"], directory.path());
    let store = Store::open(directory.path()).unwrap();
    for round in 0..ROUNDS {
        let id = layer(round);
        assert_eq!(store.layer(&id).unwrap().unwrap().blobs.len(), 1);
        let content = std::fs::read_to_string(store.layer_path(&id).join("file")).unwrap();
        assert_eq!(content, format!("content {round}"));
    }
    assert!(store.record(&key(1)).unwrap().is_some());
    assert_eq!(store.images().unwrap().len(), 1);
}

#[test]
fn nobody_sweeps_what_somebody_is_making() {
    let directory = tempfile::tempdir().unwrap();
    run(&["sweep"; 4], directory.path());
    assert_eq!(names(&directory.path().join("layers")).len(), 400);
    assert_eq!(names(&directory.path().join("tmp")), [""; 0]);
    assert_eq!(names(&directory.path().join("locks")), [""; 0]);
}
