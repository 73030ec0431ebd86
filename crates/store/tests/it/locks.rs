//! Locks.

use std::sync::atomic::{AtomicI32, Ordering};

use super::support::{names, store};

/// Nobody is with who is alone, whatever the order in which locks are taken and dropped, and no file stays.
#[test]
fn alone_is_alone() {
    let (directory, store) = store();
    // How many have it shared; -1 is one alone.
    let state = AtomicI32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (store, state) = (&store, &state);
            scope.spawn(move || {
                for round in 0..2000 {
                    if (round + thread) % 3 == 0 {
                        let _alone = store.lock_key("it").unwrap();
                        assert_eq!(state.swap(-1, Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        assert_eq!(state.swap(0, Ordering::SeqCst), -1);
                    } else {
                        let _shared = store.lock_key_shared("it").unwrap();
                        assert!(state.fetch_add(1, Ordering::SeqCst) >= 0);
                        std::thread::yield_now();
                        assert!(state.fetch_sub(1, Ordering::SeqCst) > 0);
                    }
                }
            });
        }
    });
    assert_eq!(names(&directory.path().join("locks")), [""; 0]);
}

#[test]
fn different_names_do_not_wait_for_each_other() {
    let (_directory, store) = store();
    let _one = store.lock_key("one").unwrap();
    let _two = store.lock_key("two").unwrap();
}
