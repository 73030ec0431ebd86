//! Builds of the past and what their steps wrote.

use std::io::Write;

use kiln_build::Why;
use kiln_image::Reference;
use kiln_store::{BuildId, BuildResult};

use super::Engine;
use crate::failure::{Failure, Outcome};
use crate::progress::text::one_line;

/// A build.
#[derive(Debug, Clone)]
pub(crate) struct BuildRow {
    /// How people name it.
    pub(crate) id: String,
    /// Seconds since 1970.
    pub(crate) started: i64,
    /// `done`, `failed`, …
    pub(crate) outcome: String,
    /// Of what.
    pub(crate) what: String,
    build: BuildId,
}

/// A step of a build.
#[derive(Debug, Clone)]
pub(crate) struct StepRow {
    /// Its number in the build.
    pub(crate) number: usize,
    /// As people know it.
    pub(crate) name: String,
    /// Its lines in the Dockerfile.
    pub(crate) lines: Option<(u32, u32)>,
    /// `done`, `cached`, …
    pub(crate) outcome: String,
    /// How long it took.
    pub(crate) seconds: f64,
    /// How many seconds after the build's beginning it began, where that is known.
    pub(crate) began: Option<f64>,
    made: Option<(BuildId, i64)>,
}

impl StepRow {
    /// For terminals, in one line.
    pub(crate) fn shown_name(&self) -> String {
        one_line(&self.name)
    }
}

impl Engine {
    /// The build of a number, or the last one.
    pub(crate) fn past_build(&self, number: Option<&str>) -> Result<BuildRow, Failure> {
        let mut builds = self.builds()?.into_iter();
        match number {
            None => builds
                .next()
                .ok_or_else(|| Failure::failed(anyhow::anyhow!("there was no build yet"))),
            Some(wanted) => builds.find(|build| build.id == wanted).ok_or_else(|| {
                Failure::failed(anyhow::anyhow!("there is no build `{wanted}`")).hint("`kiln logs --list` shows them")
            }),
        }
    }

    /// The step of a build that is meant by its number or a part of its name.
    pub(crate) fn past_step(&self, build: &str, step: &str) -> Result<(BuildId, usize), Failure> {
        let build = self.past_build(Some(build))?;
        let steps = self.steps(&build)?;
        if let Ok(number) = step.parse() {
            return Ok((build.build, number));
        }
        let mut found = steps.iter().filter(|row| row.name.contains(step));
        let problem = match (found.next(), found.next()) {
            (Some(row), None) => return Ok((build.build, row.number)),
            (None, _) => "no step has",
            (Some(_), Some(_)) => "several steps have",
        };
        let error = anyhow::anyhow!("{problem} `{step}` in their names in build {}", build.id);
        Err(Failure::failed(error).hint(format!("`kiln logs {}` shows their numbers and names", build.id)))
    }

    /// The last step that failed and was kept, of all builds or of one.
    pub(crate) fn failed_step(&self, build: Option<&str>) -> Result<(BuildId, usize), Failure> {
        let build = build.map(|number| self.past_build(Some(number))).transpose()?;
        let id = build.as_ref().map(|build| build.build);
        let found = self.store.last_failed(id).map_err(Failure::internal)?;
        found.ok_or_else(|| {
            let of = build.map(|build| format!(" of build {}", build.id)).unwrap_or_default();
            Failure::failed(anyhow::anyhow!("nothing is kept of a step{of} that failed"))
                .hint("`kiln build --on-fail=keep` keeps what a step leaves that fails; the last three are there")
        })
    }

    /// Why a step ran or was cached; `None` of what makes no layer, and of what is no longer known.
    pub(crate) fn why(&self, build: &BuildRow, step: &StepRow) -> Result<Option<Why>, Failure> {
        if let Some((build, made)) = step.made {
            return Ok(Some(Why::Cached { build, made }));
        }
        self.builder().why(build.build, step.number).map_err(Failure::internal)
    }

    /// What builds came to under a name, oldest first.
    pub(crate) fn build_results(&self, name: &Reference) -> Result<Vec<BuildResult>, Failure> {
        self.store.build_results(name).map_err(Failure::internal)
    }

    /// All builds that are remembered, newest first.
    pub(crate) fn builds(&self) -> Result<Vec<BuildRow>, Failure> {
        let builds = self.store.builds().map_err(Failure::internal)?;
        let row = |build: kiln_store::Build| BuildRow {
            id: build.id.to_string(),
            started: build.started,
            outcome: build.outcome.unwrap_or_else(|| "running or killed".to_owned()),
            what: build.name,
            build: build.id,
        };
        Ok(builds.into_iter().map(row).collect())
    }

    /// The steps of a build that ran or were cached.
    pub(crate) fn steps(&self, build: &BuildRow) -> Result<Vec<StepRow>, Failure> {
        let steps = self.store.build_steps(build.build).map_err(Failure::internal)?;
        let row = |step: kiln_store::BuildStep| StepRow {
            number: step.index,
            name: step.name,
            lines: step.lines,
            outcome: step.outcome,
            seconds: step.duration.as_secs_f64(),
            began: step.began.map(|began| began.as_secs_f64()),
            made: step.made,
        };
        Ok(steps.into_iter().map(row).collect())
    }

    /// Copies what a step wrote; nothing where it wrote nothing.
    pub(crate) fn copy_log(&self, build: &BuildRow, step: &StepRow, out: &mut dyn Write) -> Outcome {
        let Some(mut log) = self
            .store
            .open_log(build.build, step.number)
            .map_err(Failure::internal)?
        else {
            return Ok(());
        };
        std::io::copy(&mut log, out)
            .and_then(|_| out.flush())
            .map_err(Failure::output)
    }
}
