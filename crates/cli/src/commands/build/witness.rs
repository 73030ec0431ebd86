//! What the end of a build tells of its course.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kiln_build::Why;
use kiln_build::event::{Event, Sink, TaskId, TaskOutcome};
use kiln_dockerfile::diagnostic::Diagnostic;

/// Passes events on, and keeps what is told when all is over.
pub(crate) struct Witness<'a> {
    inner: &'a dyn Sink,
    seen: Mutex<Seen>,
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Warnings, which are shown with their places in the end.
    pub(crate) warnings: Vec<Diagnostic>,
    /// The step whose processes had the most memory at once, of those that ran.
    pub(crate) heaviest: Option<Heaviest>,
    /// How many steps ran through an emulator, by what their programs are for.
    pub(crate) emulated: BTreeMap<String, usize>,
    /// Steps that were explained, and why they ran.
    pub(crate) reasons: Vec<(String, Why)>,
    /// Instructions of the Dockerfile that are done, in the order of its lines.
    pub(crate) steps: Vec<Step>,
    tasks: HashMap<TaskId, Task>,
}

/// A task that is not done yet.
#[derive(Debug)]
struct Task {
    name: String,
    lines: Option<(u32, u32)>,
}

/// An instruction of the Dockerfile that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// What progress calls it.
    pub(crate) name: String,
    /// Its first and last line in the Dockerfile's text.
    pub(crate) lines: (u32, u32),
    /// How long it took.
    pub(crate) duration: Duration,
    /// Bytes that its layer has; `None` if it was cached.
    pub(crate) added: Option<u64>,
}

/// A step and its memory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Heaviest {
    /// What progress calls it.
    pub(crate) name: String,
    /// Bytes.
    pub(crate) peak: u64,
}

impl<'a> Witness<'a> {
    /// Stands before `inner`.
    pub(crate) fn new(inner: &'a dyn Sink) -> Self {
        Self {
            inner,
            seen: Mutex::default(),
        }
    }

    /// What was seen until now.
    pub(crate) fn into_seen(self) -> Seen {
        self.seen.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Witness<'_> {
    fn event(&self, event: Event) {
        match &event {
            Event::Warning(diagnostic) => self.seen().warnings.push(diagnostic.clone()),
            Event::Task { id, name, lines, .. } => {
                let (name, lines) = (name.clone(), *lines);
                self.seen().tasks.insert(*id, Task { name, lines });
            }
            Event::Emulated { platform, .. } => *self.seen().emulated.entry(platform.clone()).or_default() += 1,
            Event::Explained { id, why, .. } => self.seen().explained(*id, why),
            Event::Finished { id, outcome, duration } => self.seen().finished(*id, outcome, *duration),
            _ => {}
        }
        self.inner.event(event);
    }
}

impl Seen {
    fn explained(&mut self, id: TaskId, why: &Why) {
        if !matches!(why, Why::Cached { .. }) {
            let name = self.tasks.get(&id).map(|task| task.name.clone()).unwrap_or_default();
            self.reasons.push((name, why.clone()));
        }
    }

    fn finished(&mut self, id: TaskId, outcome: &TaskOutcome, duration: Duration) {
        let Some(Task { name, lines }) = self.tasks.remove(&id) else {
            return;
        };
        let added = match outcome {
            TaskOutcome::Done { bytes_added, .. } => Some(Some(*bytes_added)),
            TaskOutcome::Cached => Some(None),
            TaskOutcome::Failed { .. } | TaskOutcome::Canceled => None,
        };
        if let (Some(lines), Some(added)) = (lines, added) {
            let step = Step {
                name: name.clone(),
                lines,
                duration,
                added,
            };
            let at = self.steps.partition_point(|known| known.lines <= lines);
            self.steps.insert(at, step);
        }
        let &TaskOutcome::Done {
            peak_memory: Some(peak),
            ..
        } = outcome
        else {
            return;
        };
        if self.heaviest.as_ref().is_none_or(|heaviest| heaviest.peak < peak) {
            self.heaviest = Some(Heaviest { name, peak });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::testing::{cached, done, ran, task};
    use kiln_build::event::Silent;

    #[test]
    fn the_step_with_the_most_memory_is_kept() {
        let witness = Witness::new(&Silent);
        for event in [
            task(0, "FROM debian"),
            task(1, "RUN cc"),
            task(2, "RUN ld"),
            task(3, "RUN strip"),
            cached(0),
            ran(1, 30),
            ran(2, 70),
            ran(3, 70),
            done(4, 1),
        ] {
            witness.event(event);
        }
        let heaviest = Heaviest {
            name: "RUN ld".to_owned(),
            peak: 70,
        };
        assert_eq!(witness.into_seen().heaviest, Some(heaviest));
    }

    #[test]
    fn emulated_steps_are_counted_by_platform() {
        let witness = Witness::new(&Silent);
        for (id, platform) in ["linux/arm64", "linux/s390x", "linux/arm64"].into_iter().enumerate() {
            witness.event(Event::Emulated {
                id: TaskId(id),
                platform: platform.to_owned(),
            });
        }
        let counts: Vec<_> = witness.into_seen().emulated.into_iter().collect();
        assert_eq!(counts, [("linux/arm64".to_owned(), 2), ("linux/s390x".to_owned(), 1)]);
    }

    #[test]
    fn where_nothing_ran_there_is_none() {
        let witness = Witness::new(&Silent);
        for event in [task(0, "COPY . ."), done(0, 1)] {
            witness.event(event);
        }
        assert_eq!(witness.into_seen().heaviest, None);
    }
}
