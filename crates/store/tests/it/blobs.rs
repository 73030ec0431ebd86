//! Blobs.

use std::io::Write as _;

use kiln_image::Digest;
use kiln_store::Error;

use super::support::{names, store, temp};

#[test]
fn a_blob_is_there_once_it_is_committed() {
    let (directory, store) = store();
    let mut writer = store.blob_writer(None).unwrap();
    writer.write_all(b"hello ").unwrap();
    writer.write_all(b"world").unwrap();
    let digest = Digest::of("hello world");
    assert!(!store.has_blob(&digest).unwrap());
    assert_eq!(writer.commit(Some(digest)).unwrap(), (digest, 11));
    assert_eq!(store.read_blob(&digest, 11).unwrap(), b"hello world");
    assert_eq!(names(&directory.path().join("blobs/sha256")), [digest.hex()]);
}

#[test]
fn a_blob_with_another_digest_leaves_nothing() {
    let (directory, store) = store();
    let mut writer = store.blob_writer(None).unwrap();
    writer.write_all(b"something else").unwrap();
    let expected = Digest::of("hello world");
    let error = writer.commit(Some(expected)).unwrap_err();
    assert!(matches!(error, Error::Digest { expected: wanted, found }
        if wanted == expected && found == Digest::of("something else")));
    assert_eq!(names(&directory.path().join("blobs/sha256")), [""; 0]);
    assert_eq!(names(&temp(directory.path())), [""; 0]);
}

#[test]
fn an_abandoned_blob_leaves_nothing() {
    let (directory, store) = store();
    let mut writer = store.blob_writer(None).unwrap();
    writer.write_all(b"half").unwrap();
    assert_eq!(names(&temp(directory.path())).len(), 1);
    drop(writer);
    assert_eq!(names(&temp(directory.path())), [""; 0]);
}

#[test]
fn a_damaged_or_too_large_blob_is_not_read() {
    let (_directory, store) = store();
    let digest = store.put_blob(b"hello").unwrap();
    assert!(matches!(
        store.read_blob(&digest, 4),
        Err(Error::TooLarge { limit: 4, .. })
    ));
    std::fs::write(store.blob_path(&digest), "hallo").unwrap();
    let error = store.read_blob(&digest, u64::MAX).unwrap_err().to_string();
    assert!(error.contains(&digest.hex()) && error.contains("damaged"), "{error}");
}
