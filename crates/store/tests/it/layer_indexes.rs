//! Indexes of layers, and who made those.

use std::time::Duration;

use kiln_image::Digest;
use kiln_store::{BuildStep, Cap, Record, Took};

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
    let has = |format| store.has_layer_index(&layer, format).unwrap();
    assert_eq!([has(1), has(2)], [true, false]);
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
        // Not as in the record: the stage has more steps, or another name.
        name: "[2/3] RUN".to_owned(),
        lines: Some((7, 8)),
        outcome: "cached".to_owned(),
        began: None,
        duration: Duration::ZERO,
        made: Some((first, 0)),
        layer: Some(layer.clone()),
        lineage: Some([3; 32]),
        emulated: false,
    };
    store.put_step(later, &step).unwrap();
    assert_eq!(store.build_steps(later).unwrap(), std::slice::from_ref(&step));
    let maker = store.maker(&layer).unwrap().unwrap();
    assert_eq!((maker.build, maker.lines), (Some(later), Some((7, 8))));
    assert_eq!(maker.project.as_deref(), Some("later"));
    let size = store.layer(&layer).unwrap().unwrap().size;
    assert_eq!(
        store.layers_of_build(later).unwrap(),
        [("[2/3] RUN".to_owned(), layer.clone(), size)]
    );
    assert_eq!(store.layers_of_build(first).unwrap(), []);
    // What was cached took what its record says, and what ran what it took; a layer that is gone has no size.
    let ran = BuildStep {
        index: 1,
        outcome: "done".to_owned(),
        duration: Duration::from_secs(2),
        made: None,
        layer: None,
        emulated: true,
        ..step
    };
    let last = store.begin_build("last").unwrap();
    store.put_step(last, &ran).unwrap();
    let took = store.took(&[3; 32]).unwrap();
    let figures = |took: &Took| {
        (
            took.build,
            took.duration.as_secs(),
            took.layer.clone(),
            took.emulated,
            took.ran,
        )
    };
    assert_eq!(
        took.iter().map(figures).collect::<Vec<_>>(),
        [
            (last, 2, None, true, true),
            (later, 0, Some((layer.clone(), size)), false, false)
        ]
    );
    assert_eq!(store.took(&[4; 32]).unwrap(), []);
    let other = add_step(&store, 2, "other");
    let elsewhere = Record::new(other.clone(), first, "COPY", Duration::ZERO);
    store.put_record(&key(2), &elsewhere).unwrap();
    assert_eq!(store.maker(&other).unwrap().unwrap().step, "COPY");
}

#[test]
fn what_was_found_in_foreign_layers_is_bounded() {
    let (_directory, store) = store();
    let layer = |number: usize| Digest::of(number.to_string());
    assert_eq!(store.foreign_layer(&layer(0), 1).unwrap(), None);
    store.put_foreign_layer(&layer(0), 1, b"found").unwrap();
    assert_eq!(
        store.foreign_layer(&layer(0), 1).unwrap().as_deref(),
        Some(&b"found"[..])
    );
    assert_eq!(store.foreign_layer(&layer(0), 2).unwrap(), None);
    prune(&store, false);
    assert_eq!(store.foreign_layer(&layer(0), 1).unwrap(), None);

    // A tenth of what the store may hold is 1 MB: three of these are more.
    let store = store.with_cap(Cap::Bytes(10_000_000));
    let content = vec![7; 400_000];
    for number in 0..3 {
        store.put_foreign_layer(&layer(number), 1, &content).unwrap();
        std::thread::sleep(Duration::from_millis(2));
        // What is looked at stays.
        assert!(store.foreign_layer(&layer(0), 1).unwrap().is_some(), "{number}");
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(store.foreign_layer(&layer(1), 1).unwrap(), None);
    assert!(store.foreign_layer(&layer(2), 1).unwrap().is_some());
    store.put_foreign_layer(&layer(3), 1, &vec![7; 1_000_001]).unwrap();
    assert_eq!(store.foreign_layer(&layer(3), 1).unwrap(), None);
}
