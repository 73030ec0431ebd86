//! The clock of a step, which does not count waiting.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::event::{Event, Sink, TaskId};

/// A step's clock.
pub(super) struct Clock<'a> {
    sink: &'a dyn Sink,
    task: TaskId,
    started: Cell<Instant>,
}

impl<'a> Clock<'a> {
    /// Says that the step started.
    pub(super) fn start(sink: &'a dyn Sink, task: TaskId) -> Self {
        sink.event(Event::Started(task));
        Self {
            sink,
            task,
            started: Cell::new(Instant::now()),
        }
    }

    /// Says that the step waits for an image while `fetch` runs. What it does afterwards counts from there.
    pub(super) fn wait_for_image<T, E>(&self, fetch: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.sink.event(Event::Waiting(self.task));
        let fetched = fetch()?;
        self.started.set(Instant::now());
        self.sink.event(Event::Started(self.task));
        Ok(fetched)
    }

    /// Does not count the time that `wait` takes.
    pub(super) fn stopped<T>(&self, wait: impl FnOnce() -> T) -> T {
        let stopped = Instant::now();
        let result = wait();
        self.started.set(self.started.get() + stopped.elapsed());
        result
    }

    /// How long the step has been at work.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.get().elapsed()
    }
}
