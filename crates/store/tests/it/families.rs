//! Layers that share files.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use kiln_store::{Cap, Damage, Fault, Item, Kind, LayerId, LayerInfo, Pruning, Record, Run, Store};

use super::support::{key, store};

const FILE: usize = 64 << 10;

/// A layer that has `shared` files of another, and `own` ones of its own.
fn add(store: &Store, other: Option<&LayerId>, shared: &[&str], own: &[&str]) -> LayerId {
    let id = LayerId::random().unwrap();
    let directory = store.new_layer().unwrap();
    let mut info = LayerInfo {
        disk: directory.fs().metadata().unwrap().blocks() * 512,
        shares_with: other.cloned(),
        ..LayerInfo::default()
    };
    for name in shared {
        let from = store.layer_path(other.unwrap()).join(name);
        std::fs::hard_link(from, directory.fs().join(name)).unwrap();
    }
    for name in own {
        let path = directory.fs().join(name);
        std::fs::write(&path, vec![1; FILE]).unwrap();
        std::fs::File::open(&path).unwrap().sync_all().unwrap();
        info.disk += path.metadata().unwrap().blocks() * 512;
    }
    store.commit_layer(&directory, &id, &info).unwrap();
    id
}

/// Three that share with one another, and one that does not.
fn family(store: &Store) -> [LayerId; 4] {
    let first = add(store, None, &[], &["a", "b", "c", "d", "e"]);
    let second = add(store, Some(&first), &["a", "b", "c", "d"], &["f"]);
    let third = add(store, Some(&second), &["a", "b", "f"], &["g"]);
    let stranger = add(store, None, &[], &["a"]);
    [first, second, third, stranger]
}

/// Bytes of all layers as the store counts them.
fn counted(store: &Store) -> u64 {
    let items = store.contents().unwrap().items;
    items
        .iter()
        .filter(|item| item.kind == Kind::Layer)
        .map(|item| item.disk)
        .sum()
}

/// What `du` says of them.
fn there(store: &Store) -> u64 {
    let mut seen = std::collections::HashSet::new();
    let mut bytes = 0;
    let mut add = |path: &Path| {
        let meta = path.metadata().unwrap();
        bytes += if seen.insert(meta.ino()) {
            meta.blocks() * 512
        } else {
            0
        };
    };
    for layer in std::fs::read_dir(store.root().join("layers")).unwrap() {
        let layer = layer.unwrap().path();
        add(&layer);
        for file in std::fs::read_dir(layer).unwrap() {
            add(&file.unwrap().path());
        }
    }
    bytes
}

fn remove(store: &Store, gone: &[&LayerId]) -> u64 {
    let may_go = |item: &Item| gone.iter().any(|layer| item.id == layer.as_str());
    store.prune(Pruning::default(), may_go).unwrap().freed
}

#[test]
fn what_layers_share_counts_once_whichever_goes_first() {
    for order in [
        [0, 1, 2, 3],
        [0, 2, 1, 3],
        [1, 0, 2, 3],
        [1, 2, 0, 3],
        [2, 0, 1, 3],
        [2, 1, 0, 3],
        [3, 2, 0, 1],
    ] {
        let (_directory, store) = store();
        let layers = family(&store);
        assert_eq!(counted(&store), there(&store));
        for index in order {
            let before = there(&store);
            let freed = remove(&store, &[&layers[index]]);
            assert_eq!(
                (freed, counted(&store)),
                (before - there(&store), there(&store)),
                "{order:?}, {index}"
            );
        }
        assert_eq!(there(&store), 0);
    }
}

#[test]
fn what_several_that_go_at_once_share_with_one_that_stays_is_counted() {
    for stays in 0..3 {
        let (_directory, store) = store();
        let layers = family(&store);
        let gone: Vec<&LayerId> = layers
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != stays)
            .map(|(_, id)| id)
            .collect();
        remove(&store, &gone);
        assert!(store.layer(&layers[stays]).unwrap().is_some());
        assert_eq!(counted(&store), there(&store), "{stays}");
    }
}

#[test]
fn measured_anew_it_is_the_same() {
    let (_directory, store) = store();
    family(&store);
    let before = counted(&store);
    store.repair(&[]).unwrap();
    // Each now counts its part of a file, in whole bytes.
    assert!(counted(&store).abs_diff(before) < 16);
}

#[test]
fn a_family_makes_room_until_there_is_enough() {
    let (directory, store) = store();
    let layers = family(&store);
    drop(store);
    let store = Store::open(directory.path()).unwrap();
    let goal = store.contents().unwrap().held() - 2 * FILE as u64;
    // The first alone counts five files, and only one of them goes with it.
    let keep = Pruning {
        keep: Some(goal),
        ..Pruning::default()
    };
    store.prune(keep, |item| item.kind == Kind::Layer).unwrap();
    assert!(store.contents().unwrap().held() <= goal);
    assert!(store.layer(&layers[3]).unwrap().is_some(), "more went than had to");
    drop(store);

    let goal = Store::open(directory.path()).unwrap().contents().unwrap().held() - 1;
    let store = Store::open(directory.path()).unwrap().with_cap(Cap::Bytes(goal));
    assert_eq!(store.excess().unwrap(), None);
    assert!(store.contents().unwrap().held() <= goal);
}

#[test]
fn who_shares_files_with_a_damaged_layer_is_not_found_any_more() {
    let (_directory, store) = store();
    let layers = family(&store);
    let build = store.begin_build("test").unwrap();
    for (number, layer) in (0..).zip(&layers) {
        let record = Record::new(layer.clone(), build, "COPY", std::time::Duration::ZERO);
        let run = Run {
            build,
            step: number.into(),
            definition: [1; 32],
            place: [2; 32],
            title: [3; 32],
            inputs: Vec::new(),
        };
        let run = store.begin_run(&run, &[]).unwrap();
        // The layer is there already, and stays.
        let (directory, info) = (store.new_layer().unwrap(), LayerInfo::default());
        store
            .commit_step(&directory, &info, (&[key(number)], &record), run)
            .unwrap();
    }
    let item = store.contents().unwrap().items.into_iter();
    let item = item.into_iter().find(|item| item.id == layers[1].as_str()).unwrap();
    let damage = Damage {
        path: store.layer_path(&layers[1]),
        item,
        fault: Fault::Changed,
    };
    store.repair(&[damage]).unwrap();
    let found: Vec<bool> = (0..4)
        .map(|number| store.record(&key(number)).unwrap().is_some())
        .collect();
    assert_eq!(found, [false, false, false, true]);
    let shared: Vec<_> = store
        .runs_of(&[1; 32])
        .unwrap()
        .into_iter()
        .map(|past| past.layer)
        .collect();
    assert_eq!(shared, [Some(layers[3].clone())]);
}

#[test]
fn nothing_of_a_family_goes_while_one_of_it_is_used() {
    let (directory, store) = store();
    let layers = family(&store);
    let other = Store::open(directory.path()).unwrap();
    let in_use = other.in_use().unwrap();
    assert!(other.layer(&layers[1]).unwrap().is_some());
    assert!(store.is_used_by_others(&layers[1]).unwrap());
    assert!(!store.is_used_by_others(&layers[0]).unwrap() && !other.is_used_by_others(&layers[1]).unwrap());
    // A link less changes the time of a file that the user of the second may be reading.
    remove(&store, &[&layers[0], &layers[3]]);
    let there = |index: usize| store.layer_path(&layers[index]).exists();
    assert_eq!((there(0), there(3)), (true, false));
    drop(in_use);
    remove(&store, &[&layers[0]]);
    assert!(!there(0));
}

#[test]
fn files_are_not_shared_with_a_layer_that_went() {
    let (_directory, store) = store();
    let first = add(&store, None, &[], &["a"]);
    let directory = store.new_layer().unwrap();
    store.forget_layer(&first).unwrap();
    let info = LayerInfo {
        shares_with: Some(first.clone()),
        ..LayerInfo::default()
    };
    let second = LayerId::random().unwrap();
    let error = store.commit_layer(&directory, &second, &info).unwrap_err();
    assert!(error.to_string().contains(first.as_str()), "{error}");
    assert!(store.layer(&second).unwrap().is_none());
}
