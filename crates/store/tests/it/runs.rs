//! Runs of steps, and how long they are remembered.

use std::collections::BTreeSet;
use std::time::Duration;

use kiln_store::{BuildId, Item, Kind, LayerId, LayerInfo, Pruning, Record, Run, Store};

use super::support::{prune, store};

/// The run of a build's only step, which is the same in all builds.
fn run(build: BuildId) -> Run {
    Run {
        build,
        step: 1,
        definition: [1; 32],
        place: [2; 32],
        title: [3; 32],
        inputs: build.to_string().into_bytes(),
    }
}

/// A build whose step made a layer, or failed.
fn build(store: &Store, succeeds: bool) -> BuildId {
    let build = store.begin_build("test").unwrap();
    let listing = ([4; 32], b"listing".to_vec());
    let number = store.begin_run(&run(build), &[listing]).unwrap();
    if succeeds {
        let record = Record::new(LayerId::random().unwrap(), build, "RUN", Duration::ZERO);
        let (directory, info) = (store.new_layer().unwrap(), LayerInfo::default());
        store.commit_step(&directory, &info, (&[], &record), number).unwrap();
    }
    store.finish_build(build, "done").unwrap();
    build
}

/// The builds that ran the step with a result.
fn earlier(store: &Store) -> BTreeSet<BuildId> {
    let found = store.earlier_runs(i64::MAX, &run(BuildId::ELSEWHERE)).unwrap();
    found.iter().map(|past| past.run.build).collect()
}

fn forget_builds(store: &Store) {
    let is_log = |item: &Item| item.kind == Kind::Log;
    store.prune(Pruning::default(), is_log).unwrap();
}

#[test]
fn a_run_stays_as_long_as_its_layer_or_its_build() {
    let (_directory, store) = store();
    let (made, failed) = (build(&store, true), build(&store, false));
    assert_eq!(earlier(&store), BTreeSet::from([made]));

    prune(&store, true);
    assert_eq!(earlier(&store), BTreeSet::from([made]));
    assert_eq!(store.run(made, 1).unwrap().unwrap().run, run(made));
    assert!(store.listing(&[4; 32]).unwrap().is_some());

    forget_builds(&store);
    assert_eq!(earlier(&store), BTreeSet::new());
    for build in [made, failed] {
        assert_eq!(store.run(build, 1).unwrap(), None);
    }
    assert_eq!(store.listing(&[4; 32]).unwrap(), None);
}

#[test]
fn a_run_whose_build_is_forgotten_goes_with_its_layer() {
    let (_directory, store) = store();
    let made = build(&store, true);
    forget_builds(&store);
    assert_eq!(earlier(&store), BTreeSet::from([made]));
    prune(&store, true);
    assert_eq!(earlier(&store), BTreeSet::new());
    assert_eq!(store.run(made, 1).unwrap(), None);
}
