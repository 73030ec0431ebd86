//! Where steps ran, and what those left that failed.

use kiln_store::{BuildId, LayerId, LayerInfo, Pruning, Store};

use super::support::store;

fn fail(store: &Store, step: usize) -> (BuildId, LayerId) {
    let build = store.begin_build("a build").unwrap();
    let directory = store.new_layer().unwrap();
    std::fs::write(directory.fs().join("left"), "left").unwrap();
    let info = LayerInfo {
        size: 4,
        disk: 4096,
        ..LayerInfo::default()
    };
    let layer = store.keep_failed(build, step, &directory, &info).unwrap();
    store.finish_build(build, "failed").unwrap();
    (build, layer)
}

#[test]
fn places_go_with_their_build() {
    let (_directory, store) = store();
    let build = store.begin_build("a build").unwrap();
    assert_eq!(store.places(build).unwrap(), None);
    store.put_places(build, b"one").unwrap();
    store.put_places(build, b"two").unwrap();
    assert_eq!(store.places(build).unwrap().as_deref(), Some(&b"two"[..]));
    store.finish_build(build, "done").unwrap();
    for _ in 0..50 {
        let later = store.begin_build("later").unwrap();
        store.finish_build(later, "done").unwrap();
    }
    assert_eq!(store.places(build).unwrap(), None);
}

#[test]
fn the_last_three_failed_steps_are_kept() {
    let (_directory, store) = store();
    assert_eq!(store.last_failed(None).unwrap(), None);
    let failed: Vec<_> = (1..=5).map(|step| fail(&store, step)).collect();
    for (at, (build, layer)) in failed.iter().enumerate() {
        let is_kept = at >= 2;
        let expected = is_kept.then(|| layer.clone());
        assert_eq!(store.failed_layer(*build, at + 1).unwrap(), expected, "{at}");
        assert_eq!(store.layer_path(layer).is_dir(), is_kept, "{at}");
    }
    assert_eq!(store.last_failed(None).unwrap(), Some((failed[4].0, 5)));
    assert_eq!(store.last_failed(Some(failed[3].0)).unwrap(), Some((failed[3].0, 4)));
    assert_eq!(store.last_failed(Some(failed[0].0)).unwrap(), None);
}

#[test]
fn a_failed_step_is_counted_and_pruned() {
    let (_directory, store) = store();
    let (build, layer) = fail(&store, 2);
    let contents = store.contents().unwrap();
    let item = contents.items.iter().find(|item| item.id == layer.as_str()).unwrap();
    assert_eq!((item.disk, item.project.as_deref()), (4096, Some("a build")));
    let pruned = store.prune(Pruning::default(), |_| true).unwrap();
    assert!(pruned.items.iter().any(|item| item.id == layer.as_str()));
    assert_eq!(store.failed_layer(build, 2).unwrap(), None);
    assert!(!store.layer_path(&layer).exists());
}
