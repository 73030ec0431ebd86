//! What the end-to-end tests, the demo and the benchmark stand on: a registry with base images, a `registries.conf`
//! that makes it docker.io, and a Kiln.
//!
//! `xtask with-harness COMMAND…` sets it up once and hands it to the command in environment variables, because a test
//! runner may start every test as a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::kiln::{self, Kiln, Profile};
use crate::registry::{self, Registry};
use crate::user::{self, User};
use crate::{bases, command};

/// The registry's `HOST:PORT`.
const REGISTRY: &str = "KILN_TEST_REGISTRY";
/// An ordinary user that tests run Kiln as, besides root.
const USER: &str = "KILN_TEST_USER";

/// Everything that was started; ends when dropped.
#[derive(Debug)]
pub struct Harness {
    /// A directory for what needs one; every user may read it.
    pub work: TempDir,
    /// The running registry.
    pub registry: Registry,
    /// The Kiln that made the base images.
    pub kiln: Kiln,
}

impl Harness {
    /// Starts the registry and makes the base images `names` where they are missing.
    pub fn start(profile: Profile, names: &[&str]) -> Result<Self> {
        let work = tempfile::Builder::new().prefix("kiln-harness-").tempdir()?;
        readable(work.path())?;
        let registry = Registry::start(&bases::storage()?, work.path())?;
        let registries_conf = registry::write_registries_conf(&work.path().join("registries.conf"), &registry.host())?;
        // A copy, so that a user who may not enter our home can run it, and so that a rebuild does not disturb us.
        let program = work.path().join("kiln");
        std::fs::copy(kiln::program(profile)?, &program).context("cannot copy kiln")?;
        let kiln = Kiln {
            program,
            root: work.path().join("store"),
            registries_conf,
        };
        let harness = Self { work, registry, kiln };
        bases::ensure(names, &harness.kiln, &harness.registry)?;
        Ok(harness)
    }

    /// Runs a command that finds this harness with [`Given::from_environment`].
    pub fn around(&self, command: &mut Command, other: Option<&User>) -> Result<()> {
        command
            .env(REGISTRY, self.registry.host())
            .env("CONTAINERS_REGISTRIES_CONF", &self.kiln.registries_conf)
            .env("KILN_BIN", &self.kiln.program);
        if let Some(user) = other {
            command.env(USER, &user.name);
        }
        command::run(command)
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        if let Err(error) = self.kiln.remove_store() {
            eprintln!("cannot remove {}: {error:#}", self.kiln.root.display());
        }
    }
}

fn readable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).map_err(Into::into)
}

/// A harness that somebody else holds.
#[derive(Debug, Clone)]
pub struct Given {
    /// The program.
    pub program: PathBuf,
    /// The registry's `HOST:PORT`.
    pub registry: String,
    /// What docker.io is.
    pub registries_conf: PathBuf,
    /// An ordinary user to run as.
    pub user: Option<User>,
}

impl Given {
    /// What [`Harness::around`] handed over, if we run inside of it.
    pub fn from_environment() -> Result<Option<Self>> {
        let Ok(registry) = std::env::var(REGISTRY) else {
            return Ok(None);
        };
        let path = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .with_context(|| format!("{name} is not set"))
        };
        let user = std::env::var(USER)
            .ok()
            .map(|name| User::find(&name))
            .transpose()?
            .flatten();
        Ok(Some(Self {
            program: path("KILN_BIN")?,
            registry,
            registries_conf: path("CONTAINERS_REGISTRIES_CONF")?,
            user,
        }))
    }
}

/// The ordinary user that tests run as besides root: made where the machine is thrown away afterwards (`CI` is set),
/// elsewhere only if somebody named one.
pub fn test_user() -> Result<Option<User>> {
    if !user::is_root() {
        return Ok(None);
    }
    if let Ok(name) = std::env::var(USER) {
        return Ok(Some(User::find_or_add(&name)?));
    }
    if std::env::var_os("CI").is_some_and(|value| !value.is_empty()) {
        return Ok(Some(User::find_or_add("kiln-test")?));
    }
    Ok(None)
}
