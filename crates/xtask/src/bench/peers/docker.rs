//! dockerd of Debian's docker.io, whose `BuildKit` builds: a daemon of its own, with directories, a containerd and mounts
//! of its own, which touches neither bridges nor firewalls. Needs root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::super::stand::Place;
use super::debian;
use crate::{command, user};

/// How long the daemon may take to start, or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon that runs as long as this value lives.
#[derive(Debug)]
pub(in super::super) struct Docker {
    child: Child,
    client: PathBuf,
    directory: PathBuf,
}

impl Docker {
    pub(in super::super) fn start(place: Place<'_>) -> Result<Self> {
        if !user::is_root() {
            bail!("dockerd needs root");
        }
        let usr = debian::unpacked()?.join("usr");
        let directory = place.directory.join("docker");
        fs::create_dir_all(&directory)?;
        // The machine's own configuration is not for this daemon.
        fs::write(directory.join("daemon.json"), "{}\n")?;
        let log = directory.join("log");
        let mut daemon = daemon(&usr, &directory, place.docker_io);
        let output = fs::File::create(&log)?;
        daemon.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let mut docker = Self {
            child: daemon.spawn().context("cannot start setpriv (util-linux)")?,
            client: usr.join("bin/docker"),
            directory,
        };
        docker.wait_for_answer().with_context(|| said(&log))?;
        Ok(docker)
    }

    fn wait_for_answer(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !command::output(self.command().arg("version"))?.status.success() {
            if let Some(status) = self.child.try_wait()? {
                bail!("dockerd ended: {status}");
            }
            if Instant::now() > deadline {
                bail!("dockerd does not answer");
            }
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// What it is, for people.
    pub(in super::super) fn what(&self) -> String {
        let version = command::quietly(self.command().args(["version", "--format", "{{.Server.Version}}"]));
        format!("that of dockerd {}", version.as_deref().unwrap_or("?").trim())
    }

    pub(in super::super) fn command(&self) -> Command {
        let mut docker = Command::new(&self.client);
        docker
            .arg("--host")
            .arg(socket(&self.directory))
            .env("DOCKER_BUILDKIT", "1")
            .env("DOCKER_CONFIG", &self.directory);
        docker
    }
}

fn socket(directory: &Path) -> String {
    format!("unix://{}/docker.sock", directory.display())
}

fn daemon(usr: &Path, directory: &Path, docker_io: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{0}/sbin:{0}/bin:{path}", usr.display());
    // setpriv: the kernel asks the daemon to end with us, even if we are killed; it ends its containerd then.
    let mut daemon = Command::new("setpriv");
    daemon
        .env("PATH", path)
        .args(["--pdeathsig=TERM", "unshare", "--mount", "--propagation=private"])
        .arg(usr.join("sbin/dockerd"))
        .args([
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-forward=false",
        ])
        .args(["--storage-driver=overlay2", "--log-level=warn", "--host"])
        .arg(socket(directory))
        .arg(format!("--registry-mirror=http://{docker_io}"));
    for (option, name) in [
        ("--data-root", "data"),
        ("--exec-root", "exec"),
        ("--pidfile", "pid"),
        ("--config-file", "daemon.json"),
    ] {
        daemon.arg(option).arg(directory.join(name));
    }
    daemon
}

/// The end of the daemon's log.
fn said(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

impl Drop for Docker {
    fn drop(&mut self) {
        // A signal that says to end, not to die: its containerd would stay.
        let ended = command::quietly(Command::new("kill").arg(self.child.id().to_string()));
        let deadline = Instant::now() + PATIENCE;
        while ended.is_ok() && Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            sleep(Duration::from_millis(20));
        }
        // Both fail only if it has ended already.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}
