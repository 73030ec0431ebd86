//! Where a case plays: a directory of its own, a store of its own, and a Kiln that runs as the right user.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use xtask::harness::{Given, Harness};
use xtask::kiln::{self, Profile};
use xtask::user::User;
use xtask::{bases, command};

use crate::running::poll;

/// The harness that was given, or our own.
#[derive(Debug)]
pub struct World {
    /// What tests need to know of it.
    pub given: Given,
    _own: Option<Harness>,
}

impl World {
    /// Takes what `xtask with-harness` handed over; starts a harness where there is none.
    pub fn find() -> Result<Self> {
        if let Some(given) = Given::from_environment()? {
            return Ok(Self { given, _own: None });
        }
        let harness = Harness::start(Profile::Dev, bases::FOR_TESTS)?;
        let given = Given {
            program: harness.kiln.program.clone(),
            registry: harness.registry.host(),
            registries_conf: harness.kiln.registries_conf.clone(),
            user: None,
        };
        Ok(Self {
            given,
            _own: Some(harness),
        })
    }
}

/// A place for one case.
#[derive(Debug)]
pub struct Stage {
    directory: TempDir,
    given: Given,
    user: Option<User>,
}

impl Stage {
    /// A new place; commands run as `user`, or as ourselves.
    pub fn new(world: &World, user: Option<&User>) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("kiln-case-").tempdir()?;
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        let stage = Self {
            directory,
            given: world.given.clone(),
            user: user.cloned(),
        };
        for sub in ["home", "out", "tmp"] {
            fs::create_dir(stage.path(sub))?;
        }
        stage.hand_over()?;
        Ok(stage)
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where a case's files are.
    pub fn context(&self) -> PathBuf {
        self.path("case")
    }

    /// Makes the directory of the case's files, empty.
    pub fn without_context(&self) -> Result<()> {
        fs::create_dir(self.context())?;
        self.hand_over()
    }

    /// Writes a file below the case's directory, with the directories above it; it belongs to the stage's user.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> Result<()> {
        let file = self.context().join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))?;
        let Some(user) = &self.user else { return Ok(()) };
        let mut path = file.as_path();
        while path != self.context() {
            std::os::unix::fs::lchown(path, Some(user.uid), Some(user.gid))?;
            path = path.parent().unwrap_or(Path::new("/"));
        }
        Ok(())
    }

    /// Copies a directory to where the case's files are.
    pub fn copy_context(&self, from: &Path) -> Result<()> {
        command::quietly(
            Command::new("cp")
                .args(["-r", "--no-target-directory"])
                .arg(from)
                .arg(self.context()),
        )?;
        self.hand_over()
    }

    /// Copies a directory of the work tree into the case's, under a name.
    pub fn copy_beside(&self, from: &Path, name: &str) -> Result<()> {
        let to = self.context().join(name);
        fs::create_dir_all(self.context())?;
        command::quietly(Command::new("cp").arg("-r").arg(from).arg(to))?;
        self.hand_over()
    }

    /// Writes a file next to the case's directory.
    pub fn write_beside(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Gives everything in it to the user that commands run as.
    pub(crate) fn hand_over(&self) -> Result<()> {
        let Some(user) = &self.user else { return Ok(()) };
        let owner = format!("{}:{}", user.uid, user.gid);
        command::quietly(
            Command::new("chown")
                .args(["-R", "-h", &owner])
                .arg(self.directory.path()),
        )
        .map(drop)
    }

    /// A command in the case's directory, as the stage's user, in an environment that does not depend on the machine.
    pub fn command(&self, program: impl AsRef<Path>, arguments: &[String]) -> Command {
        let mut inner = Command::new(program.as_ref());
        inner.args(arguments);
        let mut outer = match &self.user {
            Some(user) => user.wrap(&inner),
            None => inner,
        };
        for name in [
            "SOURCE_DATE_EPOCH",
            "BUILDKIT_PROGRESS",
            "DOCKER_CONFIG",
            "KILN_CA_BUNDLE",
            "XDG_RUNTIME_DIR",
        ] {
            outer.env_remove(name);
        }
        let beside = self.given.program.parent().unwrap_or(Path::new("/")).to_owned();
        let system = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([beside].into_iter().chain(std::env::split_paths(&system)));
        outer
            .current_dir(self.context())
            .env("PATH", path.unwrap_or(system))
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("XDG_CONFIG_HOME", self.path("home/.config"))
            .env("KILN_ROOT", self.path("store"))
            .env("OUT", self.path("out"))
            .env("REGISTRY", &self.given.registry)
            .env("CONTAINERS_REGISTRIES_CONF", &self.given.registries_conf)
            .env("NO_COLOR", "1")
            .env("RUST_BACKTRACE", "0");
        outer
    }

    /// Kiln with these arguments.
    pub fn kiln(&self, arguments: &[&str]) -> Command {
        let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        self.command(&self.given.program, &arguments)
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.given.program
    }

    /// The registry's `HOST:PORT`.
    pub fn registry(&self) -> &str {
        &self.given.registry
    }

    /// Runs shell commands in the case's directory.
    pub fn shell(&self, script: &str) -> Result<Output> {
        let arguments = ["-e", "-c", script].map(str::to_owned);
        command::output(&mut self.command("/bin/sh", &arguments))
    }

    /// Runs shell commands that must succeed.
    pub fn shell_ok(&self, script: &str) -> Result<String> {
        let arguments = ["-e", "-c", script].map(str::to_owned);
        command::quietly(&mut self.command("/bin/sh", &arguments))
    }

    /// Runs shell commands in the case's directory as whoever runs the tests, who may read everything if it is root.
    pub fn shell_as_root(&self, script: &str) -> Result<String> {
        command::quietly(
            Command::new("/bin/sh")
                .args(["-e", "-c", script])
                .current_dir(self.context()),
        )
    }

    /// Removes store and outputs.
    pub fn forget(&self) -> Result<()> {
        kiln::remove_tree(&self.path("store"))?;
        kiln::remove_tree(&self.path("out"))?;
        fs::create_dir(self.path("out"))?;
        self.hand_over()
    }

    /// Removes everything; fails if Kiln left a mount or a process behind.
    pub fn end(self) -> Result<()> {
        let left = self.wait_until_nothing_runs();
        kiln::remove_tree(&self.path("store"))?;
        // Rootless outputs and stores hold files of other users; ours remain for the directory's own removal.
        kiln::remove_tree(&self.path("out"))?;
        left
    }

    /// Waits until neither a mount nor a process of Kiln's is left: processes that were killed take a moment to go.
    pub fn wait_until_nothing_runs(&self) -> Result<()> {
        let mut left = None;
        poll("nothing is left over", || {
            left = self.left_behind()?;
            Ok(left.is_none().then_some(()))
        })
        .with_context(|| left.unwrap_or_default())
    }

    /// A mount or a process that names our directory.
    fn left_behind(&self) -> Result<Option<String>> {
        let here = self.directory.path().to_string_lossy().into_owned();
        let mounts = fs::read_to_string("/proc/self/mountinfo").context("cannot read the mounts")?;
        if let Some(mount) = mounts.lines().find(|line| line.contains(&here)) {
            return Ok(Some(format!("a mount is left over: {mount}")));
        }
        for entry in fs::read_dir("/proc")?.flatten() {
            // Steps have an environment of their own, but their mounts come from the store.
            let names_us = ["environ", "mountinfo"].iter().any(|file| {
                let text = fs::read(entry.path().join(file)).unwrap_or_default();
                String::from_utf8_lossy(&text).contains(&here)
            });
            if names_us {
                let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                let command = String::from_utf8_lossy(&command).replace('\0', " ");
                return Ok(Some(format!("a process is left over: {command}")));
            }
        }
        Ok(None)
    }
}
