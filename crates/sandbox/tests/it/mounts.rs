//! The mounts that a caller asks for.

use crate::support::Root;
use kiln_sandbox::{BindSource, Error, Mount, MountKind, Overlay};
use rustix::fs::{FileType, Mode};
use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::symlink;
use std::path::PathBuf;

fn bind<'a>(source: PathBuf, target: &str, read_only: bool) -> Mount<'a> {
    Mount {
        target: target.to_owned(),
        kind: MountKind::Bind {
            source: BindSource::Path(source),
            read_only,
        },
    }
}

fn tmpfs<'a>(target: &str) -> Mount<'a> {
    Mount {
        target: target.to_owned(),
        kind: MountKind::Tmpfs {
            size: Some(1 << 20),
            mode: 0o1777,
        },
    }
}

fn file<'a>(target: &str, content: &str, mode: u32) -> Mount<'a> {
    let kind = MountKind::File {
        content: content.as_bytes().to_vec(),
        mode,
        uid: 5,
        gid: 6,
    };
    Mount {
        target: target.to_owned(),
        kind,
    }
}

#[test]
fn binds() {
    let Some(root) = Root::new() else { return };
    let source = root.path("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), "content\n").unwrap();
    let script = "cat /ro/file /one; ! touch /ro/new && ! echo x > /one && touch /rw/new";
    let mounts = vec![
        bind(source.clone(), "/ro", true),
        bind(source.clone(), "/rw", false),
        bind(source.join("file"), "/one", true),
    ];
    assert_eq!(root.with_mounts(script, mounts).ok(), "content\ncontent\n");
    assert!(source.join("new").exists());
    assert_eq!(root.upper(), Vec::<String>::new());
}

#[test]
fn binds_from_another_tree() {
    let Some(root) = Root::new() else { return };
    let other = Root::new().unwrap();
    fs::create_dir_all(other.path("rootfs/a/b")).unwrap();
    fs::write(other.path("rootfs/a/b/file"), "other\n").unwrap();
    symlink("/a/../../../../../a/b", other.path("rootfs/link")).unwrap();
    let tree = other.mount();
    for path in ["/a/b", "link", "a/../../a/b/"] {
        let source = BindSource::Tree {
            root: tree.as_fd(),
            path: path.to_owned(),
        };
        let kind = MountKind::Bind {
            source,
            read_only: false,
        };
        let mounts = vec![Mount {
            target: "/mnt".to_owned(),
            kind,
        }];
        assert_eq!(
            root.with_mounts("cat /mnt/file; touch /mnt/new", mounts).ok(),
            "other\n",
            "{path}"
        );
    }
    assert_eq!(other.upper(), ["a", "a/b", "a/b/new"]);
    assert_eq!(root.upper(), Vec::<String>::new());
    let source = BindSource::Tree {
        root: tree.as_fd(),
        path: String::new(),
    };
    let mounts = vec![Mount {
        target: "/mnt".to_owned(),
        kind: MountKind::Bind {
            source,
            read_only: true,
        },
    }];
    root.with_mounts("! touch /mnt/x && [ -x /mnt/bin/sh ]", mounts).ok();
}

#[test]
fn tmpfs_and_files() {
    let Some(root) = Root::new() else { return };
    let mounts = vec![
        tmpfs("/scratch"),
        file("/run/secrets/key", "s3cret", 0o400),
        file("/dev/pipes/EOF", "#!/bin/sh\necho script\n", 0o755),
        file("/scratch/inside/file", "nested", 0o644),
    ];
    let script = "touch /scratch/x && stat -c %a /scratch && cat /run/secrets/key && stat -c ' %u:%g %a' /run/secrets/key \
        && /dev/pipes/EOF && cat /scratch/inside/file && ! { echo x > /run/secrets/key; }";
    let outcome = root.with_mounts(script, mounts);
    assert_eq!(outcome.ok(), "1777\ns3cret 5:6 400\nscript\nnested");
    assert_eq!(root.upper(), Vec::<String>::new());
}

#[test]
fn parents_are_mounted_first() {
    let Some(root) = Root::new() else { return };
    let source = root.path("source");
    fs::create_dir_all(source.join("target")).unwrap();
    let mounts = vec![tmpfs("/src/target"), bind(source, "/src", true)];
    assert_eq!(
        root.with_mounts("touch /src/target/x && ! touch /src/y && ls /src", mounts)
            .ok(),
        "target\n"
    );
}

#[test]
fn targets_resolve_inside_the_root() {
    let Some(root) = Root::new() else { return };
    fs::remove_dir_all(root.path("rootfs/etc")).unwrap();
    symlink("/../../../tmp", root.path("rootfs/etc")).unwrap();
    symlink("../../../../outside", root.path("rootfs/tmp/dangling")).unwrap();
    let mounts = vec![
        file("/tmp/dangling/a/b", "inside\n", 0o644),
        file("/etc/x", "etc\n", 0o644),
    ];
    let outcome = root.with_mounts("cat /outside/a/b /tmp/x /tmp/hosts", mounts);
    assert_eq!(outcome.ok(), "inside\netc\n127.0.0.1 localhost\n");
    assert!(!root.path("outside").exists() && !root.path("../outside").exists());
    assert_eq!(root.upper(), Vec::<String>::new());
}

#[test]
fn proc_and_dev_as_links_are_harmless() {
    let Some(root) = Root::new() else { return };
    for (link, target) in [("proc", "/tmp"), ("dev", "/../../../../dev"), ("sys", "nowhere")] {
        symlink(target, root.path("rootfs").join(link)).unwrap();
    }
    // A link to itself through its own name has no target.
    let error = root.try_run(&["true"], |_| {}).unwrap_err();
    assert!(
        error.to_string().contains("/dev: Too many levels of symbolic links"),
        "{error}"
    );
    fs::remove_file(root.path("rootfs/dev")).unwrap();
    let outcome = root.sh("ls -d /tmp/self /nowhere/kernel /dev/null && [ -z \"$(cat /tmp/timer_list)\" ]");
    assert_eq!(outcome.ok(), "/dev/null\n/nowhere/kernel\n/tmp/self\n");
    assert_eq!(root.upper(), Vec::<String>::new());
}

#[test]
fn bad_mounts() {
    let Some(root) = Root::new() else { return };
    let check = |mount: Mount<'_>, message: &str| {
        let mount_fd = root.mount();
        let spec = kiln_sandbox::Spec {
            mounts: vec![mount],
            ..root.spec(&mount_fd, &["true"])
        };
        let error = crate::support::follow(&spec).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    };
    check(tmpfs("/"), "a mount cannot replace the root directory");
    check(tmpfs("/proc/sys"), "is inside /proc");
    check(tmpfs("relative"), "is not an absolute path");
    check(
        bind("/no/such/source".into(), "/x", false),
        "open the mount source /no/such/source: No such file",
    );
    check(tmpfs("/bin/busybox"), "mount /bin/busybox: Not a directory");
    check(
        tmpfs("/bin/busybox/x"),
        "the mount point /bin/busybox/x: Not a directory",
    );
    assert_eq!(root.upper(), Vec::<String>::new());
}

#[test]
fn more_layers_than_the_kernel_takes_at_once() {
    let Some(root) = Root::new() else { return };
    let lower: Vec<PathBuf> = (0..1000).map(|number| root.path(&format!("lower-{number}"))).collect();
    for directory in &lower {
        fs::create_dir(directory).unwrap();
    }
    let last = lower.len() - 1;
    for name in ["kept", "replaced", "removed"] {
        fs::write(lower[last].join(name), "lowest").unwrap();
    }
    fs::write(lower[2].join("replaced"), "above").unwrap();
    let whiteout = lower[2].join("removed");
    rustix::fs::mknodat(rustix::fs::CWD, &whiteout, FileType::CharacterDevice, Mode::empty(), 0).unwrap();

    let mount = |first: usize| {
        let (upper, work) = (
            root.path(&format!("upper-{first}")),
            root.path(&format!("work-{first}")),
        );
        fs::create_dir(&upper).unwrap();
        fs::create_dir(&work).unwrap();
        let overlay = Overlay {
            lower: &lower[first..],
            upper: Some((&upper, &work)),
            volatile: false,
        };
        overlay.mount()
    };
    for (first, replaced, removed) in [
        (1, "above", None),
        (499, "lowest", Some("lowest")),
        (500, "lowest", Some("lowest")),
    ] {
        let mount = mount(first).unwrap();
        let read = |name| fs::read_to_string(format!("/proc/self/fd/{}/{name}", mount.as_raw_fd())).ok();
        assert_eq!(read("kept").as_deref(), Some("lowest"), "{first}");
        assert_eq!(read("replaced").as_deref(), Some(replaced), "{first}");
        assert_eq!(read("removed").as_deref(), removed, "{first}");
    }
    let error = mount(0).unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooManyLayers {
                found: 1000,
                limit: 999
            }
        ),
        "{error}"
    );
}
