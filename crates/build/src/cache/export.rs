//! Writing caches while a build goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

use kiln_plan::{Plan, StepId};
use kiln_store::{LayerId, MountId};

use super::mounts::Wanted;
use super::request::{CacheExport, CacheMode};
use super::writer::Writer;
use crate::images::Images;

/// The caches that a build writes, each on a thread of its own.
pub(crate) struct Exports<'s> {
    workers: Vec<Worker<'s>>,
    /// Steps whose layers the images have.
    in_images: BTreeSet<StepId>,
    done: Mutex<BTreeMap<StepId, LayerId>>,
    /// The cache mounts of the plan's steps, by their whole identities, as far as they are known.
    mounts: Mutex<BTreeMap<String, Wanted>>,
    /// The build failed: nothing is written.
    given_up: &'s AtomicBool,
}

struct Worker<'s> {
    mode: CacheMode,
    messages: Sender<Message>,
    thread: ScopedJoinHandle<'s, ()>,
}

/// What a writer is told.
pub(super) enum Message {
    /// A step is done that made this layer.
    Layer(LayerId),
    /// The build is: the cache gets these layers, and these mounts.
    End(BTreeSet<LayerId>, BTreeMap<String, Wanted>),
}

impl<'s> Exports<'s> {
    /// Starts to write. `given_up` is false.
    pub(crate) fn start<'e>(
        scope: &'s Scope<'s, 'e>,
        images: &'e Images<'e>,
        plan: &Plan,
        wanted: &'e [CacheExport],
        given_up: &'e AtomicBool,
    ) -> Self {
        let start = |to: &'e CacheExport| {
            let (messages, received) = channel();
            let writer = Writer::new(images, to, given_up);
            Worker {
                mode: to.mode,
                messages,
                thread: scope.spawn(move || writer.work(&received)),
            }
        };
        Self {
            workers: wanted.iter().map(start).collect(),
            in_images: plan.steps_of_images(),
            done: Mutex::default(),
            mounts: Mutex::default(),
            given_up,
        }
    }

    /// A step is done whose result is kept.
    pub(crate) fn done(&self, step: StepId, layer: &LayerId) {
        if self.workers.is_empty() {
            return;
        }
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.insert(step, layer.clone());
        for worker in self.workers.iter().filter(|worker| self.takes(worker, step)) {
            // One that ended has said why.
            let _ended = worker.messages.send(Message::Layer(layer.clone()));
        }
    }

    /// Whether some cache gets cache mounts.
    pub(crate) fn take_mounts(&self) -> bool {
        self.workers.iter().any(|worker| worker.mode == CacheMode::Max)
    }

    /// A step has that cache mount, and perhaps ran with it.
    pub(crate) fn mount(&self, name: &str, id: &MountId, ran: bool) {
        let mut mounts = self.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        let mount = mounts.entry(name.to_owned()).or_insert_with(|| Wanted {
            id: id.clone(),
            ran: false,
        });
        mount.ran |= ran;
    }

    fn takes(&self, worker: &Worker<'_>, step: StepId) -> bool {
        worker.mode == CacheMode::Max || self.in_images.contains(&step)
    }

    /// The build is done, or failed: then no cache is written.
    pub(crate) fn end(self, succeeded: bool) {
        self.given_up.store(!succeeded, Ordering::SeqCst);
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        for worker in &self.workers {
            let steps = done.iter().filter(|(step, _)| self.takes(worker, **step));
            let layers = steps.map(|(_, layer)| layer.clone()).collect();
            let mounts = match worker.mode {
                CacheMode::Min => BTreeMap::new(),
                CacheMode::Max => self.mounts.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            };
            let _ended = worker.messages.send(Message::End(layers, mounts));
        }
        drop(done);
        for worker in self.workers {
            worker.thread.join().expect("writing a cache does not panic");
        }
    }
}
