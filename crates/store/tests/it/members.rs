//! Parts of blobs, and what becomes of them with their blobs.

use kiln_store::{FoundMember, Member};

use super::support::{prune, store};

fn member(key: u8, offset: u64, size: u64) -> Member {
    Member {
        key: [key; 32],
        offset,
        size,
        check: [key + 100; 32],
    }
}

#[test]
fn members_are_found_in_the_blob_that_was_added_last() {
    let (_directory, store) = store();
    let _in_use = store.in_use().unwrap();
    let (first, second) = (
        store.put_blob(b"one two").unwrap(),
        store.put_blob(b"two three").unwrap(),
    );
    store.add_members(&first, &[member(1, 0, 4), member(2, 4, 3)]).unwrap();
    store.add_members(&second, &[member(2, 0, 3), member(3, 4, 5)]).unwrap();
    let found = |key: u8| store.find_member(&[key; 32]).unwrap();
    let expected = |key: u8, blob, bytes: &[u8]| FoundMember {
        blob,
        bytes: bytes.to_vec(),
        check: [key + 100; 32],
    };
    assert_eq!(found(1), Some(expected(1, first, b"one ")));
    assert_eq!(found(2), Some(expected(2, second, b"two")));
    assert_eq!(found(3), Some(expected(3, second, b"three")));
    assert_eq!(found(4), None);
}

#[test]
fn members_go_with_their_blob() {
    let (_directory, store) = store();
    let blob = store.put_blob(b"one two").unwrap();
    store.add_members(&blob, &[member(1, 0, 4)]).unwrap();
    prune(&store, true);
    assert_eq!(store.find_member(&[1; 32]).unwrap(), None);
    // It comes back without them.
    store.put_blob(b"one two").unwrap();
    assert_eq!(store.find_member(&[1; 32]).unwrap(), None);
}

#[test]
fn members_of_a_damaged_blob_go_when_that_is_found() {
    let (directory, _) = store();
    let open = || kiln_store::Store::open(directory.path()).unwrap();
    let blob = open().put_blob(b"one two").unwrap();
    open().add_members(&blob, &[member(1, 4, 3)]).unwrap();
    std::fs::write(open().blob_path(&blob), b"one t").unwrap();
    let store = open();
    assert_eq!(store.find_member(&[1; 32]).unwrap().unwrap().bytes, b"t");
    assert!(store.blob_fault(&blob).unwrap().is_some());
    assert_eq!(store.find_member(&[1; 32]).unwrap(), None);
    // Nor are there members of what is not there.
    store.add_members(&blob, &[member(1, 4, 3)]).unwrap();
    assert_eq!(store.find_member(&[1; 32]).unwrap(), None);
}
