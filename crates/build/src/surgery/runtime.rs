//! How a container of an image runs, as the OCI runtime specification says it (config.md): so that a bundle can be started
//! as it is.

use std::os::fd::AsFd;

use kiln_image::ImageConfig;
use serde_json::{Value, json};

use crate::error::StepResult;

/// Docker's default capabilities.
const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The document for an image whose files are below `root`.
pub(super) fn spec(config: &ImageConfig, root: impl AsFd) -> StepResult<Value> {
    let own = &config.config;
    let user = kiln_sandbox::resolve_user(root.as_fd(), &own.user)?;
    let mut args = own.entrypoint.clone().unwrap_or_default();
    args.extend(own.cmd.clone().unwrap_or_default());
    if args.is_empty() {
        // Runtimes want something to run.
        args.push("sh".to_owned());
    }
    let mut env = own.env.clone();
    if !env.iter().any(|pair| pair.starts_with("PATH=")) {
        env.push(PATH.to_owned());
    }
    let cwd = if own.working_dir.is_empty() {
        "/"
    } else {
        &own.working_dir
    };
    Ok(json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": user.uid, "gid": user.gid, "additionalGids": user.groups},
            "args": args,
            "env": env,
            "cwd": cwd,
            "capabilities": {
                "bounding": CAPABILITIES,
                "effective": CAPABILITIES,
                "permitted": CAPABILITIES,
            },
            "noNewPrivileges": true,
        },
        "root": {"path": super::files::ROOTFS},
        "hostname": "kiln",
        "mounts": mounts(),
        "annotations": own.labels,
        "linux": {
            "namespaces": (["pid", "network", "ipc", "uts", "mount"]).map(|kind| json!({"type": kind})),
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    }))
}

fn mounts() -> Value {
    let mount = |target: &str, kind: &str, options: &[&str]| json!({"destination": target, "type": kind, "source": kind, "options": options});
    json!([
        mount("/proc", "proc", &[]),
        mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
        ),
        mount(
            "/dev/shm",
            "tmpfs",
            &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]
        ),
        mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ])
}
