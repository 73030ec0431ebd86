//! Users, capabilities, seccomp, limits.

use crate::support::{Root, skip};
use kiln_sandbox::{CpuTime, Error, Limits, Ulimit, User};

fn status(root: &Root, change: impl FnOnce(&mut kiln_sandbox::Spec<'_>)) -> Vec<(String, String)> {
    let text = root.run("cat /proc/self/status", change).ok();
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(k, v)| (k.to_owned(), v.trim().to_owned()))
        .collect()
}

fn check(status: &[(String, String)], expected: &[(&str, &str)]) {
    for (key, value) in expected {
        let found = status.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
        assert_eq!(found, Some(*value), "{key}");
    }
}

#[test]
fn root_has_dockers_default() {
    let Some(root) = Root::new() else { return };
    let expected = [
        ("CapInh", "0000000000000000"),
        ("CapPrm", "00000000a80425fb"),
        ("CapEff", "00000000a80425fb"),
        ("CapBnd", "00000000a80425fb"),
        ("CapAmb", "0000000000000000"),
        ("NoNewPrivs", "0"),
        ("Seccomp", "2"),
        ("Uid", "0\t0\t0\t0"),
        ("Gid", "0\t0\t0\t0"),
        ("Groups", ""),
    ];
    check(&status(&root, |_| {}), &expected);
}

#[test]
fn users_have_no_capabilities() {
    let Some(root) = Root::new() else { return };
    let expected = [
        ("CapInh", "0000000000000000"),
        ("CapPrm", "0000000000000000"),
        ("CapEff", "0000000000000000"),
        ("CapBnd", "00000000a80425fb"),
        ("CapAmb", "0000000000000000"),
        ("NoNewPrivs", "0"),
        ("Seccomp", "2"),
        ("Uid", "1000\t1000\t1000\t1000"),
        ("Gid", "1001\t1001\t1001\t1001"),
        ("Groups", "10 44"),
    ];
    check(
        &status(&root, |spec| {
            spec.user = User {
                uid: 1000,
                gid: 1001,
                groups: vec![44, 10],
            }
        }),
        &expected,
    );
}

#[test]
fn setuid_programs_work() {
    let Some(root) = Root::new() else { return };
    // Busybox keeps the rights of the file's owner for `su` only, which asks for no password where there is none.
    std::fs::write(
        root.path("rootfs/etc/passwd"),
        "root::0:0::/root:/bin/sh\napp::1000:1000::/:/bin/sh\n",
    )
    .unwrap();
    std::fs::remove_file(root.path("rootfs/bin/su")).unwrap();
    std::fs::copy("/bin/busybox", root.path("rootfs/bin/su")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o4755);
    std::fs::set_permissions(root.path("rootfs/bin/su"), mode).unwrap();
    let outcome = root.run("id -u; /bin/su -c 'id -u'", |spec| {
        spec.user = User {
            uid: 1000,
            gid: 1000,
            groups: vec![],
        }
    });
    assert_eq!(outcome.ok(), "1000\n0\n");
}

#[test]
fn privileged_steps_have_everything() {
    let Some(root) = Root::new() else { return };
    let privileged = status(&root, |spec| spec.privileged = true);
    check(&privileged, &[("Seccomp", "0"), ("NoNewPrivs", "0")]);
    let ours = std::fs::read_to_string("/proc/self/status").unwrap();
    let effective = ours
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .unwrap()
        .trim();
    check(&privileged, &[("CapEff", effective)]);
    root.run(
        "mount -t tmpfs none /tmp && echo x > /proc/sys/kernel/hostname",
        |spec| spec.privileged = true,
    )
    .ok();
}

#[test]
fn what_the_filter_and_the_capabilities_deny() {
    let Some(root) = Root::new() else { return };
    for script in [
        "mount -t tmpfs none /tmp",
        "unshare -U true",
        "unshare -m true",
        "swapoff -a x",
        "hostname x",
    ] {
        let outcome = root.sh(script);
        assert_ne!(outcome.exit.code, Some(0), "{script}: {outcome:?}");
    }
    for script in ["mknod /n c 1 3", "chown 5:6 /tmp", "chroot / true", "mkfifo /f"] {
        root.sh(script).ok();
    }
}

#[test]
fn resource_limits() {
    let Some(root) = Root::new() else { return };
    let limit = |name: &str, soft, hard| Ulimit {
        name: name.to_owned(),
        soft,
        hard,
    };
    let outcome = root.run("ulimit -n; ulimit -Hn; ulimit -c", |spec| {
        spec.ulimits = vec![limit("nofile", 123, 456), limit("core", 0, u64::MAX)];
    });
    assert_eq!(outcome.ok(), "123\n456\n0\n");
    let error = root
        .try_run(&["true"], |spec| spec.ulimits = vec![limit("files", 1, 1)])
        .unwrap_err();
    assert_eq!(error.to_string(), "unknown resource limit \"files\"");
}

#[test]
fn limits_of_the_whole_step() {
    let Some(root) = Root::new() else { return };
    let limits = Limits {
        memory: Some(16 << 20),
        pids: Some(20),
        cpu: Some(CpuTime {
            quota: 50_000,
            period: 100_000,
        }),
        cpu_shares: Some(512),
        cpuset_cpus: Some("0".to_owned()),
        ..Limits::default()
    };
    let outcome = match root.try_run(&["sh", "-c", "head -c 64m /dev/zero | tail -c 64m | wc -c"], |spec| {
        spec.limits = limits.clone();
    }) {
        Err(Error::Limit { limit, reason }) => return skip(&format!("no control group for {limit}: {reason}")),
        result => result.unwrap(),
    };
    assert_ne!(outcome.stdout.trim(), (64 << 20).to_string(), "{outcome:?}");
    assert!(outcome.exit.out_of_memory, "{outcome:?}");
    let peak = outcome.exit.peak_memory.unwrap();
    assert!((1 << 20..=16 << 20).contains(&peak), "{peak}");
    let outcome = root.run(
        "grep -c . /proc/self/status; grep Cpus_allowed_list /proc/self/status",
        |spec| {
            spec.limits = limits.clone();
        },
    );
    assert!(!outcome.exit.out_of_memory);
    assert!(outcome.ok().ends_with("Cpus_allowed_list:\t0\n"));
    let outcome = root.run(
        "i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done; echo all",
        |spec| spec.limits = limits.clone(),
    );
    assert_ne!(outcome.stdout, "all\n", "{outcome:?}");
    let pattern = format!("kiln-{}-*", std::process::id());
    let left = std::process::Command::new("find")
        .args(["/sys/fs/cgroup", "-name", &pattern])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
}
