//! Cache mounts.

use kiln_store::{Kind, MountId};

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

#[test]
fn writers_are_told_of_each_other_once() {
    let (_directory, store) = store();
    add_cache(&store, "it");
    let add = |writer| store.add_cache_writer("it", writer).unwrap();
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
    assert_eq!(store.add_cache_writer("it", "somebody").unwrap(), [""; 0]);
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
