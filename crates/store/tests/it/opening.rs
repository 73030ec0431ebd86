//! Opening stores.

use std::path::Path;
use std::sync::Barrier;

use kiln_store::Store;

use super::children;

/// Opens a store and writes something.
pub(crate) fn open_and_use(root: &Path) {
    let store = Store::open(root).unwrap();
    store.begin_build("test").unwrap();
}

#[test]
fn many_threads_make_a_new_store_at_once() {
    for _ in 0..30 {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("store");
        let ready = Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    ready.wait();
                    open_and_use(&root);
                });
            }
        });
        assert_eq!(Store::open(&root).unwrap().builds().unwrap().len(), 8);
    }
}

#[test]
fn many_processes_make_a_new_store_at_once() {
    for _ in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        let children: Vec<_> = (0..6).map(|_| children::start("open", directory.path())).collect();
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        assert_eq!(Store::open(directory.path()).unwrap().builds().unwrap().len(), 6);
    }
}
