//! Cache mounts.

use std::path::Path;

use kiln_store::{Kind, MountId, MountStep, Store};

use super::support::{add_cache, prune, store};

/// Who comes second takes what is there.
#[test]
fn the_first_one_stays() {
    let (_directory, store) = store();
    assert_eq!(store.cache_mount("it").unwrap(), None);
    let path = add_cache(&store, "it");
    assert_eq!(store.cache_mount("it").unwrap().as_ref(), Some(&path));
    std::fs::write(path.join("file"), "used").unwrap();

    assert_eq!(add_cache(&store, "it"), path);
    assert_eq!(std::fs::read(path.join("file")).unwrap(), b"used");
    assert_ne!(add_cache(&store, "other"), path);
}

/// A step of a new build.
fn step(store: &Store) -> MountStep {
    MountStep {
        build: store.begin_build("test").unwrap(),
        step: 7,
    }
}

#[test]
fn writers_are_told_of_each_other_once() {
    let (_directory, store) = store();
    add_cache(&store, "it");
    let step = step(&store);
    let add = |writer| store.enter_cache_mount("it", step, writer).unwrap();
    assert_eq!(add("a"), [""; 0]);
    assert_eq!(add("a"), [""; 0]);
    assert_eq!(add("b"), ["a"]);
    assert_eq!(add("b"), [""; 0]);
    assert_eq!(add("c"), ["a", "b"]);
    // They are forgotten with the mount.
    prune(&store, true);
    add_cache(&store, "it");
    assert_eq!(add("b"), [""; 0]);
}

/// Rows of what is pruned go first. The process may be killed before the directory does.
#[test]
fn a_directory_that_a_killed_prune_left_is_no_mount() {
    let (directory, store) = store();
    let old = add_cache(&store, "it");
    std::fs::write(old.join("old"), "").unwrap();
    let database = rusqlite::Connection::open(directory.path().join("kiln.db")).unwrap();
    database.execute("DELETE FROM cache_mounts", []).unwrap();
    assert_eq!(store.cache_mount("it").unwrap(), None);
    let new = add_cache(&store, "it");
    assert!(!new.join("old").exists());
    let others = store.enter_cache_mount("it", step(&store), "somebody").unwrap();
    assert_eq!(others, [""; 0]);
}

/// What was brought from elsewhere fills the disk before any step ran with it.
#[test]
fn a_mount_counts_as_soon_as_it_is_made() {
    const SIZE: usize = 4 << 20;
    let (_root, store) = store();
    let directory = store.new_layer().unwrap();
    std::fs::write(directory.fs().join("large"), vec![1; SIZE]).unwrap();
    store.commit_cache_mount(&directory, "it", &MountId::default()).unwrap();
    let items = store.contents().unwrap().items;
    let mount = items.iter().find(|item| item.kind == Kind::CacheMount).unwrap();
    assert!(mount.disk >= SIZE as u64, "{}", mount.disk);
}

#[test]
fn mounts_are_known_by_id_and_key() {
    let (_root, store) = store();
    let id = |id: &str, key: &str| MountId {
        id: id.to_owned(),
        key: key.to_owned(),
    };
    for (name, id) in [("1", id("b", "")), ("2", id("a", "y")), ("3", id("a", "x"))] {
        store
            .commit_cache_mount(&store.new_layer().unwrap(), name, &id)
            .unwrap();
    }
    let found = store.cache_mounts().unwrap();
    let named = |name: &str, id| (name.to_owned(), id);
    assert_eq!(
        found,
        [
            named("3", id("a", "x")),
            named("2", id("a", "y")),
            named("1", id("b", ""))
        ]
    );
    let mut items: Vec<_> = store.contents().unwrap().items.into_iter().collect();
    items.sort_by(|one, other| one.description.cmp(&other.description));
    let shown: Vec<_> = items.iter().map(|item| item.description.as_deref().unwrap()).collect();
    assert_eq!(shown, ["a#x", "a#y", "b"]);
    assert_eq!(items[0].mount, Some(id("a", "x")));

    let meant = |text: &str| found.iter().filter(|(_, id)| id.is_meant_by(text)).count();
    assert_eq!(["a", "a#x", "b", "a#", "x"].map(meant), [2, 1, 1, 0, 0]);
}

#[test]
fn steps_that_did_not_end_by_themselves_were_killed() {
    let (_root, store) = store();
    add_cache(&store, "it");
    let (ended, killed, other) = (step(&store), step(&store), step(&store));
    for step in [ended, killed, other] {
        store.enter_cache_mount("it", step, "w").unwrap();
    }
    let left = || store.killed_mount_steps("it").unwrap();
    assert_eq!(left(), [], "they may be running");
    store.leave_cache_mount("it", &[ended]).unwrap();
    for step in [ended, killed] {
        store.finish_build(step.build, "failed").unwrap();
    }
    assert_eq!(left(), [killed]);
    // One that was there at the same time knows of none: what it comes to says nothing of what others left.
    store.leave_cache_mount("it", &[other]).unwrap();
    assert_eq!(left(), [killed]);
    // One that began afterwards does.
    let next = step(&store);
    let found = left();
    store.enter_cache_mount("it", next, "w").unwrap();
    store.leave_cache_mount("it", &[&found[..], &[next]].concat()).unwrap();
    assert_eq!(left(), []);
}

#[test]
fn several_steps_of_a_build_may_have_a_mount() {
    let (_root, store) = store();
    add_cache(&store, "it");
    let one = step(&store);
    let two = MountStep { step: 8, ..one };
    for step in [one, two] {
        store.enter_cache_mount("it", step, "w").unwrap();
    }
    store.leave_cache_mount("it", &[one]).unwrap();
    store.finish_build(one.build, "failed").unwrap();
    assert_eq!(store.killed_mount_steps("it").unwrap(), [two]);
    // It goes with the mount.
    prune(&store, true);
    add_cache(&store, "it");
    assert_eq!(store.killed_mount_steps("it").unwrap(), []);
}

/// What a process left that died is found by another.
#[test]
fn steps_die_with_their_process() {
    let (root, store) = store();
    add_cache(&store, "it");
    let mut child = super::children::start("mount", root.path());
    let begun = || root.path().join("begun").exists();
    while !begun() {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(store.killed_mount_steps("it").unwrap(), []);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(store.killed_mount_steps("it").unwrap().len(), 1);
}

/// Begins to write to a mount, says so, and goes on until it is killed.
pub(crate) fn begin(root: &Path) {
    let store = Store::open(root).unwrap();
    store.enter_cache_mount("it", step(&store), "w").unwrap();
    std::fs::write(root.join("begun"), "").unwrap();
    loop {
        std::thread::park();
    }
}
