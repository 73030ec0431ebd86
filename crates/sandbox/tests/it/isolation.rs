//! Nothing of the host is visible.

use crate::support::Root;
use kiln_sandbox::{BindSource, Mount, MountKind, Network};
use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

#[test]
fn only_the_steps_mounts() {
    let Some(root) = Root::new() else { return };
    let mounts = root.sh("cut -d' ' -f5 /proc/self/mountinfo").ok();
    let allowed = ["/", "/etc/hosts", "/etc/resolv.conf"];
    for mount in mounts.lines() {
        let known = allowed.contains(&mount) || ["/proc", "/sys", "/dev"].iter().any(|top| mount.starts_with(top));
        assert!(known, "{mount}");
    }
    assert_eq!(mounts.lines().filter(|mount| *mount == "/").count(), 1, "{mounts}");
}

#[test]
fn only_the_steps_processes() {
    let Some(root) = Root::new() else { return };
    let processes = root.sh("cd /proc; echo [0-9]*").ok();
    assert_eq!(processes, "1\n");
    assert_eq!(root.sh("cat /proc/1/comm").ok(), "cat\n");
}

#[test]
fn namespaces_are_others() {
    let Some(root) = Root::new() else { return };
    for name in ["mnt", "pid", "ipc", "uts", "cgroup"] {
        let ours = fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        let theirs = root.sh(&format!("readlink /proc/self/ns/{name}")).ok();
        assert_ne!(theirs.trim(), ours.to_str().unwrap(), "{name}");
    }
    let ours = fs::read_link("/proc/self/ns/net").unwrap();
    assert_eq!(
        root.sh("readlink /proc/self/ns/net").ok().trim(),
        ours.to_str().unwrap(),
        "the host's network by default"
    );
}

#[test]
fn no_network_means_loopback_only() {
    let Some(root) = Root::new() else { return };
    let none = |script: &str| root.run(script, |spec| spec.network = Network::None);
    assert_eq!(none("ls /sys/class/net").ok(), "lo\n");
    assert!(none("ip addr show lo").ok().contains("inet 127.0.0.1/8"), "it is up");
    none("ping -c 1 127.0.0.1").ok();
    assert_ne!(none("ping -c 1 -W 1 192.0.2.1").exit.code, Some(0));
}

/// Connects to the abstract socket named by its argument.
const CONNECT: &str = r#"use Socket; socket(S, AF_UNIX, SOCK_STREAM, 0); \
    print connect(S, pack("Sa*", AF_UNIX, "\0$ARGV[0]")) ? "connected" : "$!""#;

#[test]
fn abstract_sockets_of_the_host_are_out_of_reach() {
    let Some(root) = Root::new() else { return };
    if landlock_version() < 6 || !Path::new("/usr/bin/perl").exists() {
        eprintln!("SKIPPED: needs Linux 6.12 with Landlock, and perl");
        return;
    }
    let name = format!("kiln-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let host = |path: &str| Mount {
        target: path.to_owned(),
        kind: MountKind::Bind {
            source: BindSource::Path(PathBuf::from(path)),
            read_only: true,
        },
    };
    let mounts = || vec![host("/usr"), host("/lib"), host("/lib64")];
    let connect = |name: &str| format!("exec /usr/bin/perl -e '{CONNECT}' {name}");
    let outcome = root.with_mounts(&connect(&name), mounts());
    assert_eq!(outcome.ok(), "Operation not permitted");
    let absent = root.with_mounts(&connect("kiln-test-absent"), mounts());
    assert_eq!(absent.ok(), "Connection refused", "the test itself works");
}

fn landlock_version() -> i64 {
    const VERSION: u32 = 1;
    // SAFETY: with this flag the call takes no structure and gives a number.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0, VERSION) }
}

#[test]
fn kernel_paths_are_masked() {
    let Some(root) = Root::new() else { return };
    for name in [
        "acpi",
        "asound",
        "interrupts",
        "kcore",
        "keys",
        "latency_stats",
        "sched_debug",
        "scsi",
        "timer_list",
    ] {
        let script = format!(
            "[ ! -e /proc/{name} ] || {{ [ -d /proc/{name} ] && [ -z \"$(ls /proc/{name})\" ]; }} || ! [ -s /proc/{name} ] && [ -z \"$(cat /proc/{name} 2>/dev/null)\" ]"
        );
        assert_eq!(root.sh(&script).exit.code, Some(0), "{name}");
    }
    assert_eq!(root.sh("ls /sys/firmware").ok(), "");
    for script in [
        "echo 1 > /proc/sys/kernel/panic",
        "echo h > /proc/sysrq-trigger",
        "echo 1 > /proc/irq/default_smp_affinity",
        "echo x > /sys/kernel/profiling",
        "mkdir /sys/fs/cgroup/x",
        "echo 1 > /proc/acpi/x",
    ] {
        assert_ne!(root.sh(script).exit.code, Some(0), "{script}");
    }
}

#[test]
fn devices() {
    let Some(root) = Root::new() else { return };
    assert_eq!(
        root.sh("ls /dev").ok().split_whitespace().collect::<Vec<_>>().join(" "),
        "core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero"
    );
    let script = "echo x > /dev/null && head -c 4 /dev/zero | od -An -tx1 && head -c 1 /dev/urandom >/dev/null \
        && echo to-stderr > /dev/stderr && ! echo x > /dev/full && stat -c %a /dev/shm /dev && echo x > /dev/shm/file && touch /dev/own";
    let outcome = root.sh(script);
    assert!(outcome.stderr.contains("to-stderr"), "{outcome:?}");
    assert_eq!(outcome.ok(), " 00 00 00 00\n1777\n755\n");
    let sizes = root
        .run("df -k /dev /dev/shm | awk 'NR>1 {print $2}'", |spec| {
            spec.shm_size = 1 << 20;
        })
        .ok();
    assert_eq!(sizes, "65536\n1024\n");
    root.sh("[ -c /dev/ptmx ] && [ -c /dev/pts/ptmx ]").ok();
}

#[test]
fn hosts_and_resolv_conf_are_given_and_read_only() {
    let Some(root) = Root::new() else { return };
    fs::write(root.path("rootfs/etc/hosts"), "from the image\n").unwrap();
    assert_eq!(
        root.sh("cat /etc/hosts /etc/resolv.conf").ok(),
        "127.0.0.1 localhost\nnameserver 192.0.2.1\n"
    );
    for file in ["hosts", "resolv.conf"] {
        assert_ne!(root.sh(&format!("echo x >> /etc/{file}")).exit.code, Some(0));
        assert_ne!(root.sh(&format!("rm /etc/{file}")).exit.code, Some(0));
    }
    assert_eq!(root.upper(), Vec::<String>::new());
}

#[test]
fn a_read_only_root() {
    let Some(root) = Root::new() else { return };
    let outcome = root.run(
        "touch /x || echo refused; touch /dev/shm/y && echo mounts are not",
        |spec| {
            spec.read_only_root = true;
        },
    );
    assert_eq!(outcome.ok(), "refused\nmounts are not\n");
}

#[test]
fn device_nodes_lead_nowhere() {
    let Some(root) = Root::new() else { return };
    let outside = root.path("source");
    fs::create_dir(&outside).unwrap();
    let kind = rustix::fs::FileType::CharacterDevice;
    let mode = rustix::fs::Mode::from_raw_mode(0o666);
    let zero = rustix::fs::makedev(1, 5);
    rustix::fs::mknodat(rustix::fs::CWD, root.path("rootfs/from-image"), kind, mode, zero).unwrap();
    let script = "for place in / /dev/ /dev/shm/ /tmp/ /bound/; do mknod ${place}node c 1 5; done; \
        for file in /node /dev/node /dev/shm/node /tmp/node /bound/node /from-image; do \
            [ -c $file ] || echo no $file; head -c 1 $file 2>/dev/null && echo read $file; done; true";
    let source = kiln_sandbox::BindSource::Path(outside);
    let kind = kiln_sandbox::MountKind::Bind {
        source,
        read_only: false,
    };
    let mounts = vec![kiln_sandbox::Mount {
        target: "/bound".to_owned(),
        kind,
    }];
    assert_eq!(root.with_mounts(script, mounts).ok(), "");
}

#[test]
fn the_hosts_device_nodes_cannot_be_changed() {
    let Some(root) = Root::new() else { return };
    for name in ["/dev/null", "/dev/tty", "/proc/timer_list"] {
        assert_ne!(root.sh(&format!("chmod 600 {name}")).exit.code, Some(0), "{name}");
    }
}

#[test]
fn nothing_leads_through_kilns_descriptors() {
    let Some(root) = Root::new() else { return };
    for number in 3..40 {
        for path in [format!("/proc/self/fd/{number}"), format!("/proc/1/fd/{number}/tmp")] {
            let error = root.try_run(&["true"], |spec| spec.cwd = path.clone()).unwrap_err();
            assert!(error.to_string().contains("enter the working directory"), "{error}");
        }
        let command = format!("/proc/self/fd/{number}/bin/busybox");
        let error = root.try_run(&[&command], |_| {}).unwrap_err();
        assert!(error.exit_code().is_some(), "{error}");
    }
    std::os::unix::fs::symlink("/proc/self/cwd", root.path("rootfs/link")).unwrap();
    let error = root
        .try_run(&["true"], |spec| spec.cwd = "/link".to_owned())
        .unwrap_err();
    assert!(error.to_string().contains("working directory /link"), "{error}");
}

#[test]
fn kilns_own_program_cannot_be_run() {
    let Some(root) = Root::new() else { return };
    std::os::unix::fs::symlink("/proc/self/exe", root.path("rootfs/bin/kiln")).unwrap();
    for command in ["/proc/self/exe", "/proc/1/exe", "kiln"] {
        let error = root.try_run(&[command], |_| {}).unwrap_err();
        assert_eq!(error.exit_code(), Some(126), "{error}");
    }
}
