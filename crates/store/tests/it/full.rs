//! A disk that is full, where the tests may mount one.

use std::io::Write as _;
use std::process::Command;

use kiln_store::{Cap, Error, LayerId, LayerInfo, Store};

use super::support::{names, temp};

/// A small file system of its own, if that is allowed here. It goes with the value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Of so many megabytes.
    fn mount(megabytes: u64) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(directory.path());
        if mount.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(directory));
        }
        assert!(std::env::var_os("CI").is_none(), "CI must be able to mount");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let status = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
        assert!(status.unwrap().success());
    }
}

#[test]
fn a_blob_that_does_not_fit_leaves_nothing_and_says_why() {
    let Some(disk) = SmallDisk::mount(2) else {
        eprintln!("SKIPPED: nothing can be mounted here");
        return;
    };
    let store = Store::open(disk.0.path()).unwrap();
    let mut writer = store.blob_writer(None).unwrap();
    let error = writer.write_all(&vec![1; 4 << 20]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    drop(writer);
    assert_eq!(names(&temp(disk.0.path())), [""; 0]);
    let error = store.put_blob(&vec![1; 4 << 20]).unwrap_err();
    assert!(matches!(error, Error::NoSpace { .. }), "{error}");
    assert_eq!(names(&disk.0.path().join("blobs/sha256")), [""; 0]);
    // There is room again.
    store.put_blob(b"small").unwrap();
}

/// Adds a layer with a file of so many megabytes.
fn add_large(store: &Store, megabytes: usize) -> LayerId {
    let id = LayerId::random().unwrap();
    let directory = store.new_layer().unwrap();
    std::fs::write(directory.fs().join("file"), vec![1; megabytes << 20]).unwrap();
    let info = LayerInfo {
        disk: (megabytes as u64) << 20,
        ..LayerInfo::default()
    };
    store.commit_layer(&directory, &id, &info).unwrap();
    id
}

/// Of a disk of 64 MiB others have 36, and 20 % are to stay free: there is room for 15.
#[test]
fn there_is_room_for_a_blob_where_the_disk_is_the_limit() {
    let Some(disk) = SmallDisk::mount(64) else {
        eprintln!("SKIPPED: nothing can be mounted here");
        return;
    };
    std::fs::write(disk.0.path().join("others"), vec![1; 36 << 20]).unwrap();
    let store = Store::open(&disk.0.path().join("store")).unwrap().with_cap(Cap::OfDisk);
    let layer = add_large(&store, 6);
    let mut fits = store.blob_writer(Some(6 << 20)).unwrap();
    fits.write_all(&vec![1; 5 << 20]).unwrap();
    // What was written has room already: it must not count as room that is gone, and as room that is kept.
    let other = add_large(&store, 1);
    assert!(store.layer(&layer).unwrap().is_some() && store.layer(&other).unwrap().is_some());
    drop(fits);
    let _more = store.blob_writer(Some(12 << 20)).unwrap();
    assert_eq!(store.layer(&layer).unwrap(), None);
}
