//! The rung "rootless": the example `steps`, run by an ordinary user.

use crate::emulator::{interpreter, put_file};
use crate::support::{Root, lack};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Names an ordinary user with ranges in `/etc/subuid` and `/etc/subgid`; the harness does (`xtask with-harness`).
const USER: &str = "KILN_TEST_USER";

struct Rootless {
    root: Root,
    program: PathBuf,
    user: String,
}

impl Rootless {
    fn new() -> Option<Self> {
        let root = Root::new()?;
        let Ok(user) = std::env::var(USER) else {
            lack(&format!(
                "the rootless tests need {USER} to name a user with ranges of ids"
            ));
            return None;
        };
        let built = std::env::current_exe()
            .unwrap()
            .parent()
            .unwrap()
            .join("../examples/steps");
        if !built.exists() {
            lack("the rootless tests need the example `steps`");
            return None;
        }
        // Where an ordinary user can get at them.
        let program = root.path("steps");
        fs::copy(built, &program).unwrap();
        for path in [root.path(""), root.path("rootfs"), program.clone()] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let home = root.path("home");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).unwrap();
        Some(Self { root, program, user })
    }

    fn run(&self, script: &str) -> Output {
        self.run_with("", script)
    }

    /// With a variable for `steps`.
    fn run_with(&self, variable: &str, script: &str) -> Output {
        let arguments = [
            &self.program,
            &self.root.path("rootfs"),
            Path::new("1"),
            &self.root.path("home"),
        ];
        let words: Vec<String> = arguments.iter().map(|word| word.display().to_string()).collect();
        let line = format!("{variable} {} /bin/sh -c '{script}'", words.join(" "));
        Command::new("su")
            .args([&self.user, "-s", "/bin/sh", "-c", &line])
            .output()
            .unwrap()
    }

    fn ok(&self, script: &str) -> String {
        let output = self.run(script);
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn an_ordinary_user_runs_steps() {
    let Some(rootless) = Rootless::new() else { return };
    assert_eq!(rootless.ok("id -u; echo $$"), "0\n1\n");
    assert_eq!(
        rootless.ok("touch /x && chown 33:44 /x && stat -c %u:%g /x"),
        "33:44\n",
        "ids are mapped"
    );
    let map = rootless.ok("cat /proc/self/uid_map");
    assert_eq!(map.lines().count(), 2, "{map}");
}

#[test]
fn the_same_privileges_as_for_root() {
    let Some(rootless) = Rootless::new() else { return };
    let status = rootless.ok("cat /proc/self/status");
    for line in [
        "CapEff:\t00000000a80425fb",
        "CapBnd:\t00000000a80425fb",
        "CapInh:\t0000000000000000",
        "Seccomp:\t2",
        "NoNewPrivs:\t0",
    ] {
        assert!(status.contains(line), "{status}");
    }
    assert!(!rootless.run("mount -t tmpfs none /tmp").status.success());
    assert!(!rootless.run("unshare -U true").status.success());
}

#[test]
fn the_same_surroundings_as_for_root() {
    let Some(rootless) = Rootless::new() else { return };
    assert_eq!(rootless.ok("cd /proc; echo [0-9]*"), "1\n");
    assert_eq!(
        rootless
            .ok("ls /sys/firmware /proc/acpi | grep -v :; cat /proc/timer_list; true")
            .trim(),
        ""
    );
    rootless.ok("echo x > /dev/null && head -c 1 /dev/urandom > /dev/null && [ -c /dev/ptmx ] && touch /dev/shm/x");
    assert!(!rootless.run("echo 1 > /proc/sys/kernel/panic").status.success());
    assert!(!rootless.run("mkdir /sys/fs/cgroup/x").status.success());
    let mounts = rootless.ok("cut -d\" \" -f5 /proc/self/mountinfo");
    assert_eq!(mounts.lines().filter(|mount| *mount == "/").count(), 1, "{mounts}");
    for mount in mounts.lines() {
        let known = ["/etc/hosts", "/etc/resolv.conf", "/"].contains(&mount);
        assert!(
            known || ["/proc", "/sys", "/dev"].iter().any(|top| mount.starts_with(top)),
            "{mount}"
        );
    }
}

#[test]
fn an_ordinary_user_has_emulators() {
    let Some(rootless) = Rootless::new() else { return };
    put_file(&rootless.root);
    let variable = format!("STEPS_EMULATOR={}", interpreter(&rootless.root).display());
    let output = rootless.run_with(&variable, "/file && touch /x && chown 33:44 /x && stat -c %u:%g /x");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "KILN\nKILN\n33:44\n",
        "{output:?}"
    );
    assert!(!rootless.run("/file").status.success(), "others do not");
}

#[test]
fn a_user_without_a_range_is_told_what_to_do() {
    let Some(rootless) = Rootless::new() else { return };
    // `nobody` is on every system and has no range.
    let program = rootless.program.display();
    let output = Command::new("su")
        .args(["nobody", "-s", "/bin/sh", "-c", &format!("{program} /")])
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("NoSubordinateIds"), "{message}");
}

#[test]
fn the_probe_finds_the_rung_and_changes_nothing() {
    let Some(rootless) = Rootless::new() else { return };
    let namespaces = || ["user", "mnt", "pid"].map(|name| fs::read_link(format!("/proc/self/ns/{name}")).unwrap());
    let before = namespaces();
    let probe = kiln_sandbox::probe();
    assert_eq!((probe.rung, probe.findings), (Some(kiln_sandbox::Rung::Root), vec![]));
    assert_eq!(namespaces(), before);
    let as_user = |user: &str| {
        let line = format!("{} --probe", rootless.program.display());
        let output = Command::new("su")
            .args([user, "-s", "/bin/sh", "-c", &line])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let probe = as_user(&rootless.user);
    assert!(
        probe.starts_with("Probe { rung: Some(Rootless), findings: [\"not root"),
        "{probe}"
    );
    let probe = as_user("nobody");
    assert!(
        probe.starts_with("Probe { rung: None, findings: [\"no subordinate ids for user nobody"),
        "{probe}"
    );
}
