//! Indexes of layers, and who made those.

use std::time::Duration;

use kiln_store::{BuildStep, Record};

use super::support::{add_step, key, prune, store};

#[test]
fn an_index_goes_with_its_layer() {
    let (_directory, store) = store();
    let layer = add_step(&store, 1, "content");
    assert_eq!(store.layer_index(&layer, 1).unwrap(), None);
    store.put_layer_index(&layer, 1, b"first").unwrap();
    store.put_layer_index(&layer, 1, b"second").unwrap();
    assert_eq!(store.layer_index(&layer, 1).unwrap().as_deref(), Some(&b"second"[..]));
    assert_eq!(store.layer_index(&layer, 2).unwrap(), None);
    prune(&store, true);
    assert_eq!(store.layer(&layer).unwrap(), None);
    assert_eq!(store.layer_index(&layer, 1).unwrap(), None);
    // Of a layer that is gone nothing is kept.
    store.put_layer_index(&layer, 1, b"late").unwrap();
    assert_eq!(store.layer_index(&layer, 1).unwrap(), None);
}

#[test]
fn the_newest_build_says_where_a_layer_was_made() {
    let (_directory, store) = store();
    let layer = add_step(&store, 1, "content");
    // The record alone knows the words.
    let maker = store.maker(&layer).unwrap().unwrap();
    assert_eq!((maker.step.as_str(), maker.build, maker.lines), ("RUN", None, None));
    let first = store.record(&key(1)).unwrap().unwrap().build;
    let later = store.begin_build("later").unwrap();
    let step = BuildStep {
        index: 0,
        name: "RUN".to_owned(),
        lines: Some((7, 8)),
        outcome: "cached".to_owned(),
        duration: Duration::ZERO,
        made: Some((first, 0)),
    };
    store.put_step(later, &step).unwrap();
    let maker = store.maker(&layer).unwrap().unwrap();
    assert_eq!((maker.build, maker.lines), (Some(later), Some((7, 8))));
    assert_eq!(maker.project.as_deref(), Some("later"));
    let size = store.layer(&layer).unwrap().unwrap().size;
    assert_eq!(store.step_sizes(later).unwrap(), [("RUN".to_owned(), size)]);
    assert_eq!(store.step_sizes(first).unwrap(), []);
    let other = add_step(&store, 2, "other");
    let elsewhere = Record::new(other.clone(), first, "COPY", Duration::ZERO);
    store.put_record(&key(2), &elsewhere).unwrap();
    assert_eq!(store.maker(&other).unwrap().unwrap().step, "COPY");
}
