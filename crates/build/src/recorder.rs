//! Keeps how each task of a build ended, on the events' way to whoever listens.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kiln_plan::Lineage;
use kiln_store::{BuildId, BuildStep, LayerId, Store};

use crate::event::{Event, Sink, TaskId, TaskOutcome};
use crate::why::Why;

/// A sink in front of another.
pub(crate) struct Recorder<'a> {
    next: &'a dyn Sink,
    begin: Instant,
    tasks: Mutex<BTreeMap<TaskId, Task>>,
}

#[derive(Default)]
struct Task {
    name: String,
    lines: Option<(u32, u32)>,
    /// Of one that was cached: by which build its layer was made, and when.
    made: Option<(BuildId, i64)>,
    /// Of the same: that layer.
    layer: Option<LayerId>,
    ended: Option<(TaskOutcome, Duration)>,
    /// When, after the build's beginning.
    began: Duration,
    emulated: bool,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(next: &'a dyn Sink) -> Self {
        Self {
            next,
            begin: Instant::now(),
            tasks: Mutex::default(),
        }
    }

    fn tasks(&self) -> MutexGuard<'_, BTreeMap<TaskId, Task>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a task failed by itself.
    pub(crate) fn failed(&self) -> bool {
        self.tasks()
            .values()
            .any(|task| matches!(task.ended, Some((TaskOutcome::Failed { .. }, _))))
    }

    /// Writes the steps into the store, with the lineages of the instructions that begin in their lines.
    pub(crate) fn write(
        &self,
        store: &Store,
        build: BuildId,
        lineages: &HashMap<u32, Lineage>,
    ) -> Result<(), kiln_store::Error> {
        for (id, task) in self.tasks().iter() {
            let Some((outcome, duration)) = &task.ended else {
                continue;
            };
            if id.0 < crate::builder::FIRST_TASK {
                let step = BuildStep {
                    index: id.0,
                    name: task.name.clone(),
                    lines: task.lines,
                    outcome: word(outcome).to_owned(),
                    began: Some(task.began),
                    duration: *duration,
                    made: task.made,
                    layer: task.layer.clone(),
                    lineage: task.lines.and_then(|(first, _)| lineages.get(&first)).copied(),
                    emulated: task.emulated,
                };
                store.put_step(build, &step)?;
            }
        }
        Ok(())
    }
}

fn word(outcome: &TaskOutcome) -> &'static str {
    match outcome {
        TaskOutcome::Done { .. } => "done",
        TaskOutcome::Cached => "cached",
        TaskOutcome::Failed { .. } => "failed",
        TaskOutcome::Canceled => "canceled",
    }
}

impl Sink for Recorder<'_> {
    fn event(&self, event: Event) {
        match &event {
            Event::Task { id, name, lines, .. } => {
                let task = Task {
                    name: name.clone(),
                    lines: *lines,
                    ..Task::default()
                };
                self.tasks().insert(*id, task);
            }
            Event::Explained {
                id,
                why: Why::Cached { build, made },
                layer,
            } => {
                let mut tasks = self.tasks();
                let task = tasks.entry(*id).or_default();
                task.made = Some((*build, *made));
                task.layer.clone_from(layer);
            }
            Event::Emulated { id, .. } => self.tasks().entry(*id).or_default().emulated = true,
            Event::Finished { id, outcome, duration } => {
                let began = self.begin.elapsed().saturating_sub(*duration);
                let mut tasks = self.tasks();
                let task = tasks.entry(*id).or_default();
                task.ended = Some((outcome.clone(), *duration));
                task.began = began;
            }
            _ => {}
        }
        self.next.event(event);
    }
}
