//! Where the contenders meet: directories, the C programs, a registry, and the peers that work on this machine.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow};

use super::context::Context;
use super::peers::{Buildah, Docker};
use super::workload::{Contender, Line, Run, TAG, Workload};
use crate::harness::Harness;
use crate::kiln::{self, Kiln};
use crate::measure::{Figure, Tools};
use crate::registry::Registry;
use crate::{command, user};

/// What the peers need to know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// For files.
    pub(super) directory: &'a Path,
    /// What docker.io is: `HOST:PORT`, and a `registries.conf` that says so.
    pub(super) docker_io: &'a str,
    pub(super) registries_conf: &'a Path,
}

pub(super) struct Stand {
    directory: PathBuf,
    kiln: Kiln,
    tools: Tools,
    /// Of its own, because that of the harness is kept for other benchmarks and tests.
    registry: Option<Registry>,
    buildah: Result<Buildah>,
    docker: Result<Docker>,
    /// The number that `@round` is.
    round: Cell<u64>,
    /// What was done already for another workload.
    done: RefCell<Vec<Line>>,
}

impl Stand {
    /// Starts what these workloads need.
    pub(super) fn new(harness: &Harness, workloads: &[Workload], quick: bool) -> Result<Self> {
        let directory = harness.work.path().join("bench");
        let host = harness.registry.host();
        let place = Place {
            directory: &directory,
            docker_io: &host,
            registries_conf: &harness.kiln.registries_conf,
        };
        let tools = Tools::compile(&directory.join("tools"))?;
        let wanted = |contender| {
            workloads
                .iter()
                .any(|workload| !workload.run(contender).timed.is_empty())
        };
        let registry = workloads
            .iter()
            .any(|workload| workload.mentions("@registry"))
            .then(|| Registry::start(&directory.join("registry"), &directory))
            .transpose()?;
        let buildah = if wanted(Contender::Buildah) {
            Buildah::start(place)
        } else {
            Err(anyhow!("no workload wants it"))
        };
        let docker = match wanted(Contender::Docker) {
            // To fetch and start a daemon takes longer than all tiny workloads.
            true if quick => Err(anyhow!("--quick leaves it out")),
            true => Docker::start(place),
            false => Err(anyhow!("no workload wants it")),
        };
        Ok(Self {
            kiln: Kiln {
                root: directory.join("store"),
                ..harness.kiln.clone()
            },
            tools,
            registry,
            buildah,
            docker,
            directory,
            round: Cell::new(0),
            done: RefCell::default(),
        })
    }

    /// Contexts, files and whatever else comes before the first run.
    pub(super) fn set_up(&self, workload: &Workload) -> Result<()> {
        for context in &workload.contexts {
            self.write_context(*context)?;
        }
        for (path, text) in &workload.files {
            let path = PathBuf::from(self.filled(path));
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            fs::write(&path, self.filled(text)).with_context(|| format!("cannot write {}", path.display()))?;
        }
        for line in &workload.setup {
            if !self.done.borrow().contains(line) {
                self.quietly(line)?;
                self.done.borrow_mut().push(line.clone());
            }
        }
        // By its name, a base outlives what builds made of it. buildah names it itself.
        for contender in [Contender::Kiln, Contender::Docker] {
            for base in workload.bases.iter().filter(|_| self.takes_part(contender, workload)) {
                self.quietly(&Line::of(contender, &format!("pull -q {base}")))?;
            }
        }
        Ok(())
    }

    fn write_context(&self, context: Context) -> Result<()> {
        let path = PathBuf::from(self.filled(&context.path()));
        if path.exists() { Ok(()) } else { context.write(&path) }
    }

    /// Removes the large contexts of a workload.
    pub(super) fn remove_large(&self, workload: &Workload) -> Result<()> {
        let large = workload.contexts.iter().filter(|context| context.is_large());
        large
            .map(|context| PathBuf::from(self.filled(&context.path())))
            .try_for_each(|path| kiln::remove_tree(&path))
    }

    /// Whether there is something to measure, and somebody who can do it here.
    pub(super) fn takes_part(&self, contender: Contender, workload: &Workload) -> bool {
        let run = workload.run(contender);
        let able = match contender {
            Contender::Kiln | Contender::Floor => true,
            Contender::Buildah => self.buildah.is_ok(),
            Contender::Docker => self.docker.is_ok(),
        };
        able && !run.timed.is_empty() && (user::is_root() || !run.as_root)
    }

    /// One run: what it took, and how large the archive is that came out.
    pub(super) fn measure(&self, run: &Run) -> Result<(Figure, Option<u64>)> {
        self.round.set(self.round.get() + 1);
        let scratch = self.directory.join("scratch");
        kiln::remove_tree(&scratch)?;
        fs::create_dir(&scratch)?;
        for line in &run.before {
            self.quietly(line)?;
        }
        let mut sum = Figure::default();
        for line in &run.timed {
            sum += self.tools.measure(&self.command(line)?)?;
        }
        let archive = fs::metadata(scratch.join("image.tar")).ok().map(|file| file.len());
        for line in &run.after {
            self.quietly(line)?;
        }
        kiln::remove_tree(&scratch)?;
        Ok((sum, archive))
    }

    /// Removes what builds made, so that the disk does not fill up; bases stay.
    pub(super) fn tidy(&self, contender: Contender) -> Result<()> {
        let prunes: &[&str] = match contender {
            Contender::Kiln => &["prune --all --force"],
            Contender::Buildah => &["rmi --prune --force"],
            Contender::Docker => &["image prune --force", "builder prune --all --force"],
            Contender::Floor => return Ok(()),
        };
        // There is no image after builds that name none.
        let _none = command::output(&mut self.command(&Line::of(contender, &format!("rmi --force {TAG}")))?)?;
        prunes
            .iter()
            .try_for_each(|words| self.quietly(&Line::of(contender, words)))
    }

    fn quietly(&self, line: &Line) -> Result<()> {
        command::quietly(&mut self.command(line)?).map(drop)
    }

    fn command(&self, line: &Line) -> Result<Command> {
        let broken = |error: &anyhow::Error| anyhow!("{error:#}");
        let (mut command, words) = match line {
            Line::Kiln(words) => (self.kiln.command(), words),
            Line::Buildah(words) => (self.buildah.as_ref().map_err(broken)?.command(), words),
            Line::Docker(words) => (self.docker.as_ref().map_err(broken)?.command(), words),
            Line::Program(words) => {
                let (program, words) = words.split_first().context("a line without a program")?;
                let mut command = Command::new(self.filled(program));
                command.args(words.iter().map(|word| self.filled(word)));
                return Ok(command);
            }
            Line::Shell(text) => {
                let mut bash = Command::new("bash");
                bash.args(["-o", "pipefail", "-ec", &self.filled(text)]);
                return Ok(bash);
            }
        };
        command.args(words.iter().map(|word| self.filled(word)));
        Ok(command)
    }

    fn filled(&self, text: &str) -> String {
        let directory = self.directory.display().to_string();
        let registry = self.registry.as_ref().map(Registry::host).unwrap_or_default();
        text.replace("@scratch", "@dir/scratch")
            .replace("@kiln", &self.kiln_words())
            .replace("@dir", &directory)
            .replace("@round", &self.round.get().to_string())
            .replace("@registry", &registry)
    }

    /// The program with its environment, as the words of a shell.
    fn kiln_words(&self) -> String {
        let command = self.kiln.command();
        let variables = command
            .get_envs()
            .filter_map(|(name, value)| Some(format!("{}={}", name.display(), value?.display())));
        let variables: Vec<String> = variables.collect();
        format!("env {} {}", variables.join(" "), self.kiln.program.display())
    }

    /// What the peers are, or why there are none.
    pub(super) fn peers(&self) -> BTreeMap<Contender, String> {
        let why = |error: &anyhow::Error| format!("none here: {error:#}");
        let buildah = self.buildah.as_ref().map_or_else(why, Buildah::what);
        let docker = self.docker.as_ref().map_or_else(why, Docker::what);
        [(Contender::Buildah, buildah), (Contender::Docker, docker)].into()
    }

    /// Ends the peers and removes everything.
    pub(super) fn clean(self) -> Result<()> {
        if let Ok(buildah) = self.buildah {
            buildah.end();
        }
        drop(self.docker);
        drop(self.registry);
        kiln::remove_tree(&self.directory)
    }
}
