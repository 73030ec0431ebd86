//! The ways that only kernels before 6.15 and 6.8 need, run on whatever kernel this is.

use crate::kernel::PRETEND_OLD;
use crate::{BindSource, Mount, MountKind, Overlay, Spec, Stdio, create_stubs, spawn};
use std::fs;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

const BUSYBOX: &str = "/bin/busybox";

fn overlay(dir: &Path, name: &str, lower: &[PathBuf]) -> OwnedFd {
    let (upper, work) = (dir.join(name).join("upper"), dir.join(name).join("work"));
    fs::create_dir_all(&upper).unwrap();
    fs::create_dir_all(&work).unwrap();
    Overlay {
        lower,
        upper: Some((&upper, &work)),
        volatile: true,
    }
    .mount()
    .unwrap()
}

#[test]
fn steps_run_on_old_kernels() {
    if !rustix::process::geteuid().is_root() || !Path::new(BUSYBOX).exists() {
        eprintln!("*** SKIPPED: the tests of the sandbox need root and the package busybox-static");
        assert!(std::env::var_os("CI").is_none(), "CI must have both");
        return;
    }
    PRETEND_OLD.store(true, Ordering::Relaxed);
    let dir = tempfile::tempdir().unwrap();
    let (rootfs, stubs) = (dir.path().join("root:fs,x"), dir.path().join("stubs"));
    fs::create_dir_all(rootfs.join("bin")).unwrap();
    fs::create_dir_all(rootfs.join("a/b")).unwrap();
    fs::write(rootfs.join("a/b/file"), "tree\n").unwrap();
    fs::copy(BUSYBOX, rootfs.join("bin/busybox")).unwrap();
    for applet in ["sh", "cat", "ls"] {
        symlink("busybox", rootfs.join("bin").join(applet)).unwrap();
    }
    create_stubs(&stubs).unwrap();
    let lower = [rootfs, stubs];
    let root = overlay(dir.path(), "step", &lower);
    let tree = overlay(dir.path(), "tree", &lower);
    let bind = |target: &str, path: &str| {
        let source = BindSource::Tree {
            root: tree.as_fd(),
            path: path.to_owned(),
        };
        Mount {
            target: target.to_owned(),
            kind: MountKind::Bind {
                source,
                read_only: true,
            },
        }
    };
    let content = b"secret\n".to_vec();
    let file = MountKind::File {
        content,
        mode: 0o400,
        uid: 0,
        gid: 0,
    };
    let mounts = vec![
        bind("/one", "/a/b"),
        bind("/two", "a/b/file"),
        Mount {
            target: "/run/secret".to_owned(),
            kind: file,
        },
    ];
    let script = "cat /one/file /two /run/secret && ls /sys/firmware && ! echo x > /one/file";
    let args = ["sh", "-c", script].map(str::to_owned).to_vec();
    let upper = dir.path().join("step/upper");
    let spec = Spec {
        mounts,
        upper: Some(upper.clone()),
        ..Spec::new(root.as_fd(), args)
    };
    let mut child = spawn(&spec, Stdio::Null, Stdio::Pipe, Stdio::Null).unwrap();
    let mut text = String::new();
    fs::File::from(child.stdout().unwrap())
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(child.wait().unwrap().code, Some(0), "{text}");
    PRETEND_OLD.store(false, Ordering::Relaxed);
    assert_eq!(text, "tree\ntree\nsecret\n");
    assert_eq!(fs::read_dir(upper).unwrap().count(), 0);
}
