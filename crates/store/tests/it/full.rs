//! A disk that is full, where the tests may mount one.

use std::io::Write as _;
use std::process::Command;

use kiln_store::{Error, Store};

use super::support::{names, temp};

/// A small file system of its own, if that is allowed here. It goes with the value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(directory.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Self(directory))
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
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("SKIPPED: nothing can be mounted here");
        assert!(std::env::var_os("CI").is_none(), "CI must be able to mount");
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
