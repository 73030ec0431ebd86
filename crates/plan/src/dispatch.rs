//! Follows the instructions of one stage.

use std::collections::BTreeSet;

use kiln_dockerfile::ast::{Kind, Word};
use kiln_dockerfile::diagnostic::Diagnostic;
use kiln_dockerfile::expand::ExpandError;
use kiln_dockerfile::mount::{Mount, MountError};

use crate::graph::Unit;
use crate::history;
use crate::names::Names;
use crate::outline::Used;
use crate::planner::{Planner, Stage};
use crate::size;
use crate::step::{Op, StepId};
use crate::steps::Label;
use crate::vars::{Words, effort_left, warn_undefined};

/// One stage while its instructions are followed. The instructions' own rules are in the other modules.
#[derive(Debug)]
pub(crate) struct Dispatch<'p, 'a> {
    pub(crate) planner: &'p mut Planner<'a>,
    pub(crate) stage: Stage,
    pub(crate) names: Names,
    /// What is used of what the build can be given.
    pub(crate) used: Used,
    /// The stage's place in the Dockerfile.
    pub(crate) index: usize,
    /// Its place in the plan.
    place: usize,
    no_cache: bool,
}

impl<'p, 'a> Dispatch<'p, 'a> {
    pub(crate) fn start(planner: &'p mut Planner<'a>, index: usize, place: usize, mut names: Names) -> Self {
        let stage = planner.base(index, &mut names);
        let options = planner.graph.options;
        let name = planner.graph.dockerfile.stages[index].name.as_ref();
        let no_cache = options.no_cache || name.is_some_and(|name| options.no_cache_filter.contains(name));
        Self {
            stage,
            names,
            used: Used {
                names: planner.graph.heads[index].uses.clone(),
                own: Vec::new(),
            },
            planner,
            index,
            place,
            no_cache,
        }
    }

    /// Follows all instructions. One that is wrong is reported and left out, so that the rest is checked too, unless
    /// the plan becomes too large or takes too long.
    pub(crate) fn run(mut self, units: &[Unit<'_>]) -> (Stage, Used) {
        for unit in units {
            let done = self.instruction(unit);
            let effort = &self.planner.graph.globals.effort;
            let fits = self.planner.steps.size.room_for(0, unit.span());
            let fits = fits.and_then(|()| effort_left(effort, unit.span()));
            if let Err(problem) = done.and(fits) {
                let span = unit.at(problem.span);
                self.planner.report.push(Diagnostic { span, ..problem });
            }
            if self.planner.steps.size.is_too_large() || effort.is_spent() {
                break;
            }
        }
        (self.stage, self.used)
    }

    fn instruction(&mut self, unit: &Unit<'_>) -> Result<(), Diagnostic> {
        match &unit.instruction.kind {
            Kind::Add(add) => self.add(unit, add),
            Kind::Arg(declarations) => self.arg(unit, declarations),
            Kind::Cmd(command) => {
                self.cmd(command);
                Ok(())
            }
            Kind::Copy(copy) => self.copy(unit, copy),
            Kind::Entrypoint(command) => {
                self.entrypoint(command);
                Ok(())
            }
            Kind::Env(pairs) => self.env(unit, pairs),
            Kind::Expose(ports) => self.expose(unit, ports),
            Kind::From(_) => Ok(()),
            Kind::Healthcheck(check) => {
                self.healthcheck(check);
                Ok(())
            }
            Kind::Label(pairs) => self.label(unit, pairs),
            Kind::Maintainer(author) => {
                self.maintainer(author);
                Ok(())
            }
            Kind::Onbuild(onbuild) => {
                self.onbuild(onbuild);
                Ok(())
            }
            Kind::Run(run) => self.run_command(unit, run),
            Kind::Shell(shell) => {
                self.shell(shell);
                Ok(())
            }
            Kind::Stopsignal(signal) => self.stopsignal(unit, signal),
            Kind::User(user) => self.user(unit, user),
            Kind::Volume(paths) => self.volume(unit, paths),
            Kind::Workdir(path) => self.workdir(unit, path),
        }
    }

    /// Expands words of an instruction, all in the environment as it is before; warns of what is not set.
    pub(crate) fn expand<T>(
        &mut self,
        unit: &Unit<'_>,
        with: impl FnOnce(&mut Words<'_>) -> Result<T, Diagnostic>,
    ) -> Result<T, Diagnostic> {
        let mut words = self.words();
        let result = with(&mut words);
        let undefined = words.into_undefined();
        self.warn(unit, undefined);
        result
    }

    /// Expands the one word that an instruction has.
    pub(crate) fn expand_word(&mut self, unit: &Unit<'_>, word: &Word) -> Result<String, Diagnostic> {
        self.expand(unit, |words| words.word(word))
    }

    fn words(&self) -> Words<'_> {
        let graph = self.planner.graph;
        Words::new(&self.stage.vars, graph.dockerfile.escape, &graph.globals.effort)
    }

    /// Reads a `--mount`.
    pub(crate) fn parse_mount(&mut self, unit: &Unit<'_>, csv: &str) -> Result<Mount, MountError> {
        let mut words = self.words();
        let mut expand = |text: &str| -> Result<String, ExpandError> { words.raw(text) };
        let mount = Mount::parse(csv, &mut expand);
        let undefined = words.into_undefined();
        self.warn(unit, undefined);
        mount
    }

    fn warn(&mut self, unit: &Unit<'_>, undefined: Vec<String>) {
        let stage = &self.stage;
        let declared = |name: &str| stage.declares(name);
        warn_undefined(self.planner.report, unit.span(), undefined, &stage.vars, declared);
    }

    /// The name of the instruction's step; variables in `masked` are secret.
    pub(crate) fn step_name(&self, unit: &Unit<'_>, masked: &BTreeSet<String>) -> String {
        let graph = self.planner.graph;
        let effort = &graph.globals.effort;
        crate::names::show(unit, graph.dockerfile.escape, &self.stage.vars, masked, effort)
    }

    /// Adds a step of this stage.
    pub(crate) fn push(&mut self, unit: &Unit<'_>, op: Op, name: String) -> StepId {
        let label = Label {
            name,
            stage: Some(self.place),
            lines: Some(unit.lines()),
            no_cache: self.no_cache,
        };
        self.planner.steps.push(op, label)
    }

    /// Adds to the image's history.
    pub(crate) fn history(&mut self, created_by: String, layer: bool) {
        self.planner.steps.size.add(size::text(&created_by));
        self.stage.config.history.push(history::entry(created_by, layer));
    }

    /// The arguments of a command in shell form.
    pub(crate) fn with_shell(&self, text: &str) -> Vec<String> {
        let configured = self
            .stage
            .config
            .config
            .shell
            .as_ref()
            .filter(|shell| !shell.is_empty());
        let mut args = match configured {
            Some(shell) => shell.clone(),
            None if self.stage.config.os == "windows" => vec!["cmd".to_owned(), "/S".to_owned(), "/C".to_owned()],
            None => vec!["/bin/sh".to_owned(), "-c".to_owned()],
        };
        args.push(text.to_owned());
        args
    }
}
