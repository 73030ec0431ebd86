//! Files from elsewhere, by git and HTTP, as layers of the store: for ADD, for named contexts and for the build context.

mod context;
mod git;
mod http;
mod time;

pub use context::{FetchedContext, UnpackedContext};

use kiln_store::{LayerDir, LayerId, LockGuard, Store};

use crate::cancel::Cancel;
use crate::error::StepResult;
use crate::event::{Event, Sink, TaskId, TaskOutcome};
use crate::measure::layer_info;
use crate::request::Access;
use crate::waiting::{self, Share};

/// Gets files.
pub(crate) struct Fetcher<'a> {
    pub(crate) store: &'a Store,
    pub(crate) registry: &'a kiln_registry::Client,
    pub(crate) access: &'a Access,
    pub(crate) sink: &'a dyn Sink,
    pub(crate) cancel: &'a Cancel,
}

/// What came of it.
pub(crate) struct Fetched {
    /// The layer with the files.
    pub(crate) layer: LayerId,
    /// How many bytes it added to the store; `None` if it was there.
    pub(crate) added: Option<u64>,
}

impl Fetched {
    fn known(layer: LayerId) -> Self {
        Self { layer, added: None }
    }

    /// What is said of it.
    pub(crate) fn outcome(&self) -> TaskOutcome {
        match self.added {
            None => TaskOutcome::Cached,
            Some(bytes_added) => TaskOutcome::Done {
                bytes_added,
                peak_memory: None,
            },
        }
    }
}

impl Fetcher<'_> {
    /// Waits for a lock; the task's output says so if it takes long.
    fn lock(&self, task: TaskId, name: &str, what: &str) -> StepResult<LockGuard> {
        waiting::lock(self.store, self.cancel, name, Share::Alone, || {
            self.say(task, &waiting::explanation(what));
        })
    }

    /// A line of the task's output.
    fn say(&self, task: TaskId, line: &str) {
        self.sink.event(Event::Log {
            id: task,
            stderr: true,
            data: format!("{line}\n").into_bytes().into(),
        });
    }

    /// Makes the files a layer of that name.
    fn keep(&self, directory: &LayerDir, layer: LayerId) -> StepResult<Fetched> {
        let info = layer_info(directory, None)?;
        self.store.commit_layer(directory, &layer, &info)?;
        Ok(Fetched {
            layer,
            added: Some(info.size),
        })
    }
}
