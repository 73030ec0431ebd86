//! The `kiln` under test.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{command, paths, user};

/// A program, a store and a `registries.conf`.
#[derive(Debug, Clone)]
pub struct Kiln {
    /// The program.
    pub program: PathBuf,
    /// The store.
    pub root: PathBuf,
    /// What docker.io is.
    pub registries_conf: PathBuf,
}

impl Kiln {
    /// A command of this Kiln: the same store, registry and certificates for each.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env("KILN_ROOT", &self.root)
            .env("CONTAINERS_REGISTRIES_CONF", &self.registries_conf);
        if let Some(bundle) = ca_bundle() {
            command.env("KILN_CA_BUNDLE", bundle);
        }
        command
    }

    /// Removes the store. In rootless stores there are files of other (subordinate) users: only inside of a user
    /// namespace like Kiln's own they can be removed.
    pub fn remove_store(&self) -> Result<()> {
        remove_tree(&self.root)
    }
}

/// Removes a directory that may hold files of subordinate users.
pub fn remove_tree(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let mut remove = Command::new(if user::is_root() { "rm" } else { "unshare" });
    if !user::is_root() {
        remove.args(["--map-auto", "--map-root-user", "rm"]);
    }
    command::quietly(remove.arg("-rf").arg(path)).map(drop)
}

/// The certificates that this machine trusts: a network with an authority of its own has them there, and the steps
/// of a build must trust it too.
pub fn ca_bundle() -> Option<PathBuf> {
    let usual = Path::new("/etc/ssl/certs/ca-certificates.crt");
    usual.exists().then(|| usual.to_owned())
}

/// How the program is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Quick to build: the tests.
    Dev,
    /// What users run: the demo and the benchmark.
    Release,
}

/// Names a program to take instead of building one.
const GIVEN: &str = "KILN_BIN";

/// Whether the program was brought along, so that it may be of any commit.
pub fn is_given() -> bool {
    std::env::var_os(GIVEN).is_some()
}

/// The program: `$KILN_BIN`, or built by cargo.
pub fn program(profile: Profile) -> Result<PathBuf> {
    if let Some(given) = std::env::var_os(GIVEN) {
        let path = std::path::absolute(PathBuf::from(given))?;
        if !path.is_file() {
            bail!("KILN_BIN names {}, which is no file", path.display());
        }
        return Ok(path);
    }
    build(profile)
}

fn build(profile: Profile) -> Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(paths::workspace())
        .args(["build", "--locked", "--package", "kiln-cli", "--bin", "kiln"]);
    let directory = match profile {
        Profile::Dev => "debug",
        Profile::Release => {
            cargo.arg("--release");
            "release"
        }
    };
    command::run(&mut cargo).context("Kiln does not compile")?;
    Ok(paths::target().join(directory).join("kiln"))
}
