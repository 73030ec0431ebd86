//! buildah, with a store of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use super::super::stand::Place;
use super::super::workload::BASE;
use super::debian;
use crate::{command, user};

#[derive(Debug)]
pub(in super::super) struct Buildah {
    directory: PathBuf,
    registries_conf: PathBuf,
    isolation: Isolation,
}

/// How it runs steps.
#[derive(Debug)]
struct Isolation {
    name: &'static str,
    /// The program that it starts for each step, if not its own choice.
    runtime: Option<PathBuf>,
}

impl Buildah {
    /// Finds the best isolation with which it can run steps on this machine: through an OCI runtime, as Kiln isolates
    /// them, or else in a mere chroot.
    pub(in super::super) fn start(place: Place<'_>) -> Result<Self> {
        let oci = if user::is_root() { "oci" } else { "rootless" };
        // Its own choice is crun, which refuses machines with both versions of cgroups; runc takes them.
        let runc = debian::unpacked()?.join("usr/sbin/runc");
        let ways = [(oci, None), (oci, Some(runc)), ("chroot", None)];
        let context = place.directory.join("probe");
        fs::create_dir_all(&context)?;
        fs::write(context.join("Dockerfile"), format!("FROM {BASE}\nRUN :\n"))?;
        for (name, runtime) in ways {
            let buildah = Self {
                directory: place.directory.to_owned(),
                registries_conf: place.registries_conf.to_owned(),
                isolation: Isolation { name, runtime },
            };
            match command::quietly(buildah.command().args(["build", "-q", "--layers"]).arg(&context)) {
                Ok(_) => return Ok(buildah),
                Err(error) => eprintln!(
                    "buildah runs no steps here by {}: {}",
                    buildah.isolation(),
                    last_line(&error)
                ),
            }
        }
        bail!("it runs no steps here")
    }

    pub(in super::super) fn command(&self) -> Command {
        let mut buildah = in_own_mounts();
        for (option, directory) in [("--root", "buildah"), ("--runroot", "buildah-run")] {
            buildah.arg(option).arg(self.directory.join(directory));
        }
        buildah.args(["--storage-driver", "overlay"]);
        buildah
            .env("CONTAINERS_REGISTRIES_CONF", &self.registries_conf)
            .env("BUILDAH_ISOLATION", self.isolation.name);
        if let Some(runtime) = &self.isolation.runtime {
            buildah.env("BUILDAH_RUNTIME", runtime);
        }
        buildah
    }

    /// What it is, for people.
    pub(in super::super) fn what(&self) -> String {
        let version = command::quietly(Command::new("buildah").arg("version")).unwrap_or_default();
        let version = version
            .lines()
            .find_map(|line| line.strip_prefix("Version:"))
            .unwrap_or("?")
            .trim();
        format!("{version}, steps by {}", self.isolation())
    }

    /// How it isolates steps.
    fn isolation(&self) -> String {
        let program = self.isolation.runtime.as_ref().and_then(|path| path.file_name());
        match program {
            Some(program) => format!("{} ({})", self.isolation.name, program.to_string_lossy()),
            None => self.isolation.name.to_owned(),
        }
    }

    /// Removes its store, which only it can do without root.
    pub(in super::super) fn end(&self) {
        if let Err(error) = command::quietly(self.command().args(["rmi", "--all", "--force"])) {
            eprintln!("cannot clean up after buildah: {error:#}");
        }
    }
}

/// As root, buildah stacks a mount of its store on the machine's with each command, and leaves them there if it is killed;
/// without root it has a namespace of its own anyway.
fn in_own_mounts() -> Command {
    if !user::is_root() {
        return Command::new("buildah");
    }
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation=private", "buildah"]);
    unshare
}

fn last_line(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    text.trim().lines().last().unwrap_or_default().to_owned()
}
