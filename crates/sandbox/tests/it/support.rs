//! A root file system of busybox and a step over it.

use kiln_sandbox::{Error, Exit, Mount, Overlay, Spec, Stdio, create_stubs, spawn};
use std::fs;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Debian's `busybox-static` puts it.
pub(crate) const BUSYBOX: &str = "/bin/busybox";

/// A root file system in a temporary directory.
pub(crate) struct Root {
    dir: tempfile::TempDir,
}

/// What a step did.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// The output of a step that must have succeeded.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.exit.code, Some(0), "{self:?}");
        self.stdout
    }
}

impl Root {
    /// `None`, loudly, where steps cannot run.
    pub(crate) fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            lack("the tests of the sandbox need root");
            return None;
        }
        if !Path::new(BUSYBOX).exists() {
            lack("the tests of the sandbox need the package busybox-static");
            return None;
        }
        let root = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        for name in ["rootfs/bin", "rootfs/etc", "rootfs/tmp", "upper", "work", "stubs"] {
            fs::create_dir_all(root.path(name)).unwrap();
        }
        create_stubs(&root.path("stubs")).unwrap();
        fs::copy(BUSYBOX, root.path("rootfs/bin/busybox")).unwrap();
        let applets = Command::new(BUSYBOX).arg("--list").output().unwrap();
        for applet in String::from_utf8(applets.stdout)
            .unwrap()
            .lines()
            .filter(|applet| *applet != "busybox")
        {
            symlink("busybox", root.path("rootfs/bin").join(applet)).unwrap();
        }
        fs::write(
            root.path("rootfs/etc/passwd"),
            "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n",
        )
        .unwrap();
        fs::write(root.path("hosts"), "127.0.0.1 localhost\n").unwrap();
        fs::write(root.path("resolv.conf"), "nameserver 192.0.2.1\n").unwrap();
        Some(root)
    }

    /// A path in the temporary directory: `rootfs/…`, `upper/…`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The overlay of the root file system with its upper directory.
    pub(crate) fn mount(&self) -> OwnedFd {
        let lower = [self.path("rootfs"), self.path("stubs")];
        let (upper, work) = (self.path("upper"), self.path("work"));
        // The kernel refuses the work directory of an earlier volatile overlay.
        fs::remove_dir_all(&work).unwrap();
        fs::create_dir(&work).unwrap();
        Overlay {
            lower: &lower,
            upper: Some((&upper, &work)),
            volatile: true,
        }
        .mount()
        .unwrap()
    }

    /// Runs a shell script.
    pub(crate) fn sh(&self, script: &str) -> Outcome {
        self.run(script, |_| {})
    }

    /// Runs a shell script with changes to what is usual.
    pub(crate) fn run(&self, script: &str, change: impl FnOnce(&mut Spec<'_>)) -> Outcome {
        self.try_run(&["sh", "-c", script], change).unwrap()
    }

    /// Runs a shell script with mounts.
    pub(crate) fn with_mounts(&self, script: &str, mounts: Vec<Mount<'_>>) -> Outcome {
        let root = self.mount();
        let spec = Spec {
            mounts,
            ..self.spec(&root, &["sh", "-c", script])
        };
        follow(&spec).unwrap()
    }

    /// Runs a command with changes to what is usual.
    pub(crate) fn try_run(&self, args: &[&str], change: impl FnOnce(&mut Spec<'_>)) -> Result<Outcome, Error> {
        let root = self.mount();
        let mut spec = self.spec(&root, args);
        change(&mut spec);
        follow(&spec)
    }

    /// What is usual.
    pub(crate) fn spec<'a>(&self, root: &'a OwnedFd, args: &[&str]) -> Spec<'a> {
        Spec {
            upper: Some(self.path("upper")),
            env: vec![("PATH".to_owned(), "/bin".to_owned())],
            hosts: self.path("hosts"),
            resolv_conf: self.path("resolv.conf"),
            ..Spec::new(root.as_fd(), args.iter().map(|&arg| arg.to_owned()).collect())
        }
    }

    /// All paths below the upper directory.
    pub(crate) fn upper(&self) -> Vec<String> {
        let upper = self.path("upper");
        let mut found = Vec::new();
        let mut pending = vec![upper.clone()];
        while let Some(directory) = pending.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                found.push(entry.path().strip_prefix(&upper).unwrap().to_str().unwrap().to_owned());
                if entry.file_type().unwrap().is_dir() {
                    pending.push(entry.path());
                }
            }
        }
        found.sort();
        found
    }
}

/// Runs a step to its end with its output in pipes.
pub(crate) fn follow(spec: &Spec<'_>) -> Result<Outcome, Error> {
    let mut child = spawn(spec, Stdio::Null, Stdio::Pipe, Stdio::Pipe)?;
    let stderr = child.stderr().unwrap();
    let errors = std::thread::spawn(move || read(stderr));
    let stdout = read(child.stdout().unwrap());
    Ok(Outcome {
        exit: child.wait()?,
        stdout,
        stderr: errors.join().unwrap(),
    })
}

fn read(fd: OwnedFd) -> String {
    let mut text = Vec::new();
    fs::File::from(fd).read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

/// Something is missing that CI has: there the test fails, elsewhere it is skipped.
pub(crate) fn lack(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "{reason}");
    skip(reason);
}

/// Says loudly that something was not tested, also where the output of tests is captured.
pub(crate) fn skip(reason: &str) {
    use std::io::Write;
    let line = format!("\n*** SKIPPED: {reason}\n");
    if let Ok(mut terminal) = fs::OpenOptions::new().append(true).open("/dev/stderr") {
        terminal.write_all(line.as_bytes()).ok();
    }
    eprintln!("{line}");
}
