//! Nothing of the surroundings stays in the upper directory.

use crate::support::Root;
use kiln_sandbox::{Mount, MountKind};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

fn tmpfs<'a>(target: &str) -> Mount<'a> {
    Mount {
        target: target.to_owned(),
        kind: MountKind::Tmpfs {
            size: None,
            mode: 0o755,
        },
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_step_that_does_nothing_leaves_nothing() {
    let Some(root) = Root::new() else { return };
    let before = fs::metadata(root.path("upper")).unwrap();
    root.sh("true").ok();
    assert_eq!(root.upper(), NOTHING);
    let after = fs::metadata(root.path("upper")).unwrap();
    assert_eq!(
        (before.mtime(), before.mtime_nsec()),
        (after.mtime(), after.mtime_nsec())
    );
}

#[test]
fn mount_points_are_removed_and_times_restored() {
    let Some(root) = Root::new() else { return };
    fs::create_dir_all(root.path("rootfs/root/.config")).unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for name in ["rootfs/root/.config", "rootfs/root", "upper"] {
        fs::File::open(root.path(name)).unwrap().set_modified(old).unwrap();
    }
    let mounts = vec![
        tmpfs("/root/.cache/pip"),
        tmpfs("/root/.config/app"),
        tmpfs("/new/deep/mount"),
        tmpfs("/tmp"),
    ];
    root.with_mounts("touch /root/.cache/pip/x /new/deep/mount/y", mounts)
        .ok();
    assert_eq!(root.upper(), NOTHING);
    assert_eq!(fs::metadata(root.path("upper")).unwrap().modified().unwrap(), old);
}

#[test]
fn what_the_step_made_next_to_a_mount_point_stays() {
    let Some(root) = Root::new() else { return };
    fs::create_dir_all(root.path("rootfs/root")).unwrap();
    let mounts = vec![tmpfs("/root/.cache/pip"), tmpfs("/new/deep")];
    root.with_mounts("touch /root/.cache/own; touch /new/own", mounts).ok();
    assert_eq!(
        root.upper(),
        ["new", "new/own", "root", "root/.cache", "root/.cache/own"]
    );
}

#[test]
fn a_changed_parent_stays() {
    let Some(root) = Root::new() else { return };
    fs::create_dir_all(root.path("rootfs/data")).unwrap();
    root.with_mounts("chmod 700 /data", vec![tmpfs("/data/mount")]).ok();
    assert_eq!(root.upper(), ["data"]);
}

#[test]
fn a_failed_set_up_leaves_nothing() {
    let Some(root) = Root::new() else { return };
    let mount = root.mount();
    let mounts = vec![tmpfs("/made/first"), tmpfs("/bin/busybox/x")];
    let spec = kiln_sandbox::Spec {
        mounts,
        ..root.spec(&mount, &["true"])
    };
    crate::support::follow(&spec).unwrap_err();
    let spec = kiln_sandbox::Spec {
        mounts: vec![tmpfs("/made/again")],
        ..root.spec(&mount, &["/no/command"])
    };
    crate::support::follow(&spec).unwrap_err();
    assert_eq!(root.upper(), NOTHING);
}

#[test]
fn whited_out_mount_points() {
    let Some(root) = Root::new() else { return };
    fs::create_dir_all(root.path("rootfs/proc")).unwrap();
    fs::create_dir_all(root.path("rootfs/sys")).unwrap();
    root.sh("true").ok();
    // A layer that removed them and the files of the network.
    let whiteout = |name: &str| {
        let path = root.path("upper").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let kind = rustix::fs::FileType::CharacterDevice;
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, rustix::fs::Mode::empty(), 0).unwrap();
    };
    for name in ["proc", "sys", "dev", "etc/hosts"] {
        whiteout(name);
    }
    let before = root.upper();
    assert_eq!(
        root.sh("ls -d /proc/1 /sys/kernel /dev/null; cat /etc/hosts").ok(),
        "/dev/null\n/proc/1\n/sys/kernel\n127.0.0.1 localhost\n"
    );
    assert_eq!(root.upper(), before);
    assert!(fs::symlink_metadata(root.path("upper/proc")).unwrap().rdev() == 0);
}

#[test]
fn no_mount_is_left_on_the_host() {
    let Some(root) = Root::new() else { return };
    root.sh("true").ok();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(root.path("upper").to_str().unwrap()), "{mounts}");
}
