//! Builds and their logs.

use std::io::{Read as _, Write as _};

use kiln_store::{BuildId, BuildStep, Run, Store};

use super::support::{names, store};

fn log(store: &Store, build: BuildId) -> Option<String> {
    let mut text = String::new();
    store.open_log(build, 1).unwrap()?.read_to_string(&mut text).unwrap();
    Some(text)
}

#[test]
fn old_builds_are_forgotten_unless_they_run() {
    let (directory, store) = store();
    let running = store.begin_build("running").unwrap();
    store.create_log(running, 1).unwrap().write_all(b"running").unwrap();
    let ended = store.begin_build("ended").unwrap();
    store.create_log(ended, 1).unwrap().write_all(b"ended").unwrap();
    store.finish_build(ended, "done").unwrap();
    assert_eq!(log(&store, ended).unwrap(), "ended");

    // Another process forgets.
    let other = Store::open(directory.path()).unwrap();
    for _ in 0..60 {
        let id = other.begin_build("later").unwrap();
        other.finish_build(id, "done").unwrap();
    }
    let builds = other.builds().unwrap();
    assert_eq!(builds.len(), 51);
    assert_eq!(builds.last().unwrap().name, "running");
    assert_eq!(log(&store, running).unwrap(), "running");
    assert_eq!(log(&store, ended), None);
    assert_eq!(names(&directory.path().join("logs")), [running.to_string()]);

    store.finish_build(running, "done").unwrap();
    other.begin_build("last").unwrap();
    assert_eq!(log(&store, running), None);
    assert_eq!(other.builds().unwrap().len(), 50);
}

#[test]
fn a_build_whose_process_died_is_forgotten() {
    let (directory, store) = store();
    let killed = store.begin_build("killed").unwrap();
    drop(store);
    let store = Store::open(directory.path()).unwrap();
    assert_eq!(store.builds().unwrap()[0].outcome, None);
    for _ in 0..50 {
        let id = store.begin_build("later").unwrap();
        store.finish_build(id, "done").unwrap();
    }
    assert!(store.builds().unwrap().iter().all(|build| build.id != killed));
}

#[test]
fn steps_are_remembered_by_number() {
    let (_directory, store) = store();
    let build = store.begin_build("test").unwrap();
    let step = |index, name: &str, lines, made| BuildStep {
        index,
        name: name.to_owned(),
        lines,
        outcome: "done".to_owned(),
        began: Some(std::time::Duration::from_millis(7)),
        duration: std::time::Duration::from_millis(7),
        made,
        layer: None,
        lineage: Some([7; 32]),
        emulated: index == 2,
    };
    let first = step(1, "first", None, Some((build, 12)));
    let second = step(2, "second", Some((3, 4)), None);
    store.put_step(build, &second).unwrap();
    store.put_step(build, &first).unwrap();
    assert_eq!(store.build_steps(build).unwrap(), [first, second]);
}

#[test]
fn what_builds_came_to_is_remembered_by_name() {
    let (_directory, store) = store();
    let names: [kiln_image::Reference; 2] = ["a:1", "b"].map(|name| name.parse().unwrap());
    let image = kiln_image::Digest::of("config");
    let builds = [100, 200].map(|size| {
        let build = store.begin_build("test").unwrap();
        store.put_build_result(build, &names[0], Some(&image), size).unwrap();
        build
    });
    store.put_build_result(builds[1], &names[1], None, 300).unwrap();
    let found = |name: &kiln_image::Reference| -> Vec<_> {
        let results = store.build_results(name).unwrap().into_iter();
        results
            .map(|result| (result.build, result.image, result.size))
            .collect()
    };
    assert_eq!(
        found(&names[0]),
        [(builds[0], Some(image), 100), (builds[1], Some(image), 200)]
    );
    assert_eq!(found(&names[1]), [(builds[1], None, 300)]);
    for id in builds {
        store.finish_build(id, "done").unwrap();
    }
    // They go with their builds.
    for _ in 0..60 {
        let id = store.begin_build("later").unwrap();
        store.finish_build(id, "done").unwrap();
    }
    assert_eq!(found(&names[0]), []);
}

/// A list of what a step read that failed. The database takes no more room without it, though its file is as large.
#[test]
fn lists_of_what_failed_go_with_their_build() {
    const MIB: u64 = 1 << 20;
    let (_directory, store) = store();
    let database = || store.contents().unwrap().database;
    let build = store.begin_build("failed").unwrap();
    let run = Run {
        build,
        step: 1,
        definition: [1; 32],
        place: [2; 32],
        title: [3; 32],
        inputs: Vec::new(),
    };
    let before = database();
    store.begin_run(&run, &[([7; 32], vec![1; 8 << 20])]).unwrap();
    store.finish_build(build, "failed").unwrap();
    assert!(store.listing(&[7; 32]).unwrap().is_some());
    assert!(database() > before + 8 * MIB);
    for _ in 0..60 {
        let id = store.begin_build("later").unwrap();
        store.finish_build(id, "done").unwrap();
    }
    assert!(store.listing(&[7; 32]).unwrap().is_none());
    assert!(database() < before + 2 * MIB, "{} {before}", database());
}
