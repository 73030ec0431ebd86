//! Solving: runs the steps of a plan, each as soon as its inputs are there, several at a time.

mod agent;
mod ahead;
mod cache_id;
mod cached;
mod caches;
mod clock;
mod content;
mod copy;
mod devices;
mod exec;
mod file;
mod left;
mod local;
mod mounts;
mod parents;
mod parts;
mod quiet;
mod runs;
mod schedule;
mod share;
mod sources;

pub(crate) use agent::Forwarded;
pub(crate) use cache_id::owner;
pub(crate) use caches::set_owner;
pub(crate) use exec::network;
pub(crate) use left::LeftBy;
pub(crate) use local::copy_if_same;
pub(crate) use sources::Tree;

use std::sync::Arc;

use kiln_plan::{Op, Plan, Step, StepId, Target};
use kiln_store::{LayerId, LockGuard};

use crate::cache::Exports;
use crate::cancel::Cancel;
use crate::context::Context;
use crate::error::{Error, StepError, StepResult};
use crate::event::{Event, Sink, TaskId, TaskOutcome, Work};
use crate::images::Images;
use crate::pack_ahead::PackAhead;
use crate::session::Session;
use crate::waiting::{self, Share};
use ahead::Ahead;
use clock::Clock;
use local::Bound;
use parts::Parts;
use quiet::Quiet;

/// The result of a step.
#[derive(Debug, Clone)]
pub(crate) enum Done {
    /// A file tree: layers of the store, lowest first. Layers of images may not be there yet.
    Tree(Arc<[LayerId]>),
    /// A directory of this machine.
    Local(Arc<Context>),
}

impl Done {
    /// The layers of a tree; a local context has none.
    pub(crate) fn layers(&self) -> &[LayerId] {
        match self {
            Self::Tree(layers) => layers,
            Self::Local(_) => &[],
        }
    }
}

/// What solving a plan needs, shared by its threads.
pub(crate) struct Solver<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) session: &'a Session<'a>,
    pub(crate) images: &'a Images<'a>,
    pub(crate) sink: &'a dyn Sink,
    pub(crate) cancel: &'a Cancel,
    exports: &'a Exports<'a>,
    pack_ahead: Option<&'a PackAhead>,
    /// Steps that were not announced yet, or were and ended, and are done again.
    unannounced: Vec<StepId>,
    results: schedule::Results,
    quiet: Quiet,
    ahead: Ahead,
    parts: Parts,
    bound: Bound,
    left: left::Left,
}

/// What a step that ran (or did not have to) came to.
pub(crate) struct Ran {
    done: Done,
    outcome: TaskOutcome,
}

impl<'a> Solver<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        session: &'a Session<'a>,
        images: &'a Images<'a>,
        exports: &'a Exports<'a>,
        sink: &'a dyn Sink,
        cancel: &'a Cancel,
    ) -> Self {
        Self {
            plan,
            session,
            images,
            sink,
            cancel,
            exports,
            pack_ahead: None,
            unannounced: (0..plan.steps.len()).map(StepId).collect(),
            results: schedule::Results::new(plan.steps.len()),
            quiet: Quiet::default(),
            ahead: Ahead::default(),
            parts: Parts::default(),
            bound: Bound::default(),
            left: left::Left::default(),
        }
    }

    /// Has layers compressed as they are made.
    pub(crate) fn packing(self, pack_ahead: Option<&'a PackAhead>) -> Self {
        Self { pack_ahead, ..self }
    }

    /// To do all of it again. What ran is in the store; what a cache could not give is not looked for there again.
    pub(crate) fn again(&self) -> Self {
        let ended = (0..self.plan.steps.len())
            .map(StepId)
            .filter(|id| self.results.has(*id));
        Self {
            unannounced: ended.collect(),
            results: schedule::Results::new(self.plan.steps.len()),
            quiet: Quiet::default(),
            ahead: Ahead::default(),
            parts: Parts::default(),
            bound: Bound::default(),
            left: self.left.anew(),
            ..*self
        }
    }

    /// Runs everything and gives the layers of each target.
    pub(crate) fn solve(&self) -> Result<Vec<Arc<[LayerId]>>, Error> {
        self.announce();
        schedule::run(self.plan, self.session.request.jobs, |id| self.step(id))?;
        self.export_caches();
        Ok(self.plan.targets.iter().map(|target| self.layers(target)).collect())
    }

    /// An error of what is done with the results: that of a step if it is about the layer that one made.
    pub(crate) fn blame(&self, error: StepError) -> Error {
        let StepError::Pack { layer, .. } = &error else {
            return error.into();
        };
        let made = |id| matches!(self.result(id), Done::Tree(layers) if layers.last() == Some(layer));
        // Of several the first made it; the others put it on top of something.
        let steps = self.plan.steps.iter().enumerate();
        match steps.map(|(id, step)| (StepId(id), step)).find(|(id, _)| made(*id)) {
            Some((_, step)) => step_failed(step, error),
            None => error.into(),
        }
    }

    fn announce(&self) {
        for &id in &self.unannounced {
            let step = &self.plan.steps[id.0];
            let stage = step.stage.map(|stage| self.plan.stages[stage].name.clone());
            self.sink.event(Event::Task {
                id: TaskId(id.0),
                name: step.name.clone(),
                stage,
                lines: step.lines,
            });
        }
    }

    fn layers(&self, target: &Target) -> Arc<[LayerId]> {
        match target.root.map(|root| self.result(root)) {
            Some(Done::Tree(layers)) => layers,
            Some(Done::Local(_)) | None => Arc::from([]),
        }
    }

    /// The result of a step that is done.
    pub(crate) fn result(&self, id: StepId) -> Done {
        self.results.get(id)
    }

    /// The tree of an optional step: `None` is scratch.
    pub(crate) fn tree(&self, id: Option<StepId>) -> Done {
        id.map_or_else(|| Done::Tree(Arc::from([])), |id| self.result(id))
    }

    /// Runs one step whose inputs are done.
    fn step(&self, id: StepId) -> Result<(), Error> {
        let step = &self.plan.steps[id.0];
        let task = TaskId(id.0);
        let clock = Clock::start(self.sink, task);
        let ran = if self.cancel.is_canceled() {
            Err(StepError::Canceled)
        } else {
            // What fails because it was stopped is no failure of its own.
            self.run(id, step, &clock).map_err(|error| match error {
                _ if self.cancel.is_canceled() => StepError::Canceled,
                error => error,
            })
        };
        let outcome = match &ran {
            Ok(ran) => ran.outcome.clone(),
            Err(StepError::Canceled) => TaskOutcome::Canceled,
            Err(error) => TaskOutcome::Failed {
                reason: error.to_string(),
            },
        };
        // A cache's fault: all is done again without it.
        let begins_anew = ran.is_err() && !self.cancel.is_canceled() && self.images.caches.is_blamed();
        if begins_anew {
            return ran.map(drop).map_err(|error| step_failed(step, error));
        }
        self.sink.event(Event::Finished {
            id: task,
            outcome,
            duration: clock.elapsed(),
        });
        match ran {
            Ok(ran) => {
                self.results.set(id, ran.done);
                Ok(())
            }
            Err(StepError::Canceled) => Err(Error::Canceled),
            Err(error) => {
                // The others need not go on for a build that failed.
                self.cancel.cancel();
                Err(step_failed(step, error))
            }
        }
    }

    /// Begins a part of a step's work.
    fn work(&self, name: &'static str) -> Work<'a> {
        Work::begin(self.sink, name)
    }

    /// Waits for a lock; the step's output says so if it takes long.
    fn lock(&self, task: TaskId, name: &str, share: Share, what: &str) -> StepResult<LockGuard> {
        let _work = self.work("lock");
        waiting::lock(self.session.store, self.cancel, name, share, || {
            let line = format!("{}\n", waiting::explanation(what));
            self.sink.event(Event::Log {
                id: task,
                stderr: true,
                data: line.into_bytes().into(),
            });
        })
    }

    fn run(&self, id: StepId, step: &Step, clock: &Clock<'_>) -> StepResult<Ran> {
        match &step.op {
            Op::Source(source) => self.source(TaskId(id.0), source, step.no_cache),
            Op::Exec(_) | Op::File(_) => {
                let ran = self.cached(id, step, clock)?;
                if let Some(layer) = ran.done.layers().last() {
                    self.exports.done(id, layer);
                    if let Some(ahead) = self.pack_ahead {
                        ahead.done(id, layer);
                    }
                }
                Ok(ran)
            }
            Op::Merge(inputs) => Ok(Ran {
                done: Done::Tree(self.merge(inputs)?.into()),
                outcome: TaskOutcome::Cached,
            }),
        }
    }

    /// The layers of all, the lowest first. They were made apart from one another, so one may have files that a lower one
    /// was linked from: in a tree that has both it is another, with files of its own.
    fn merge(&self, inputs: &[StepId]) -> StepResult<Vec<LayerId>> {
        let mut trees = inputs.iter().map(|input| self.result(*input));
        let mut layers = trees.next().map_or_else(Vec::new, |lowest| lowest.layers().to_vec());
        for layer in trees.flat_map(|tree| tree.layers().to_vec()) {
            let shares = !layers.contains(&layer) && self.session.store.is_related(&layer, &layers)?;
            layers.push(if shares { self.images.apart(&layer)? } else { layer });
        }
        Ok(layers)
    }
}

fn step_failed(step: &Step, error: StepError) -> Error {
    Error::Step {
        name: step.name.clone(),
        lines: step.lines,
        error: Box::new(error),
    }
}
