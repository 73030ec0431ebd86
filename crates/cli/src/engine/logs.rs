//! Builds of the past and what their steps wrote.

use std::io::Write;

use kiln_store::BuildId;

use super::Engine;
use crate::failure::{Failure, Outcome};

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
    /// `done`, `cached`, …
    pub(crate) outcome: String,
}

impl Engine {
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
            outcome: step.outcome,
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
