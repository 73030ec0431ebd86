//! Writing, while a build goes on, what leaves the store: caches, and the layers of images.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

use kiln_plan::{Op, Plan, StepId};
use kiln_store::{LayerId, MountId};

use super::mounts::Wanted;
use super::request::{CacheExport, CacheMode};
use super::writer::Writer;
use crate::images::Images;
use crate::pack_ahead::PackAhead;
use crate::request::Request;

/// The caches that a build writes, each on a thread of its own, and the layers that are compressed meanwhile.
pub(crate) struct Exports<'s> {
    images: &'s Images<'s>,
    workers: Vec<Worker<'s>>,
    pack_ahead: Option<PackAhead>,
    /// Steps whose layers the images have.
    in_images: BTreeSet<StepId>,
    done: Mutex<BTreeMap<StepId, LayerId>>,
    /// The cache mounts of the plan's steps, by their whole identities, as far as they are known.
    mounts: Mutex<BTreeMap<String, Wanted>>,
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
    /// Starts to write.
    pub(crate) fn start<'e>(
        scope: &'s Scope<'s, 'e>,
        images: &'e Images<'e>,
        plan: &Plan,
        request: &'e Request,
    ) -> Self {
        let start = |to: &'e CacheExport| {
            let (messages, received) = channel();
            let writer = Writer::new(images, to);
            Worker {
                mode: to.mode,
                messages,
                thread: scope.spawn(move || writer.work(&received)),
            }
        };
        Self {
            images,
            workers: request.cache_to.iter().map(start).collect(),
            pack_ahead: PackAhead::start(scope, images, plan, request),
            in_images: in_images(plan),
            done: Mutex::default(),
            mounts: Mutex::default(),
        }
    }

    /// A step is done whose result is kept.
    pub(crate) fn done(&self, step: StepId, layer: &LayerId) {
        if let Some(ahead) = &self.pack_ahead
            && self.in_images.contains(&step)
        {
            ahead.done(step, layer);
        }
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
        if !succeeded {
            self.images.set_failed();
        }
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

/// The steps whose layers the images have.
fn in_images(plan: &Plan) -> BTreeSet<StepId> {
    let mut found = BTreeSet::new();
    let mut open: Vec<StepId> = plan.targets.iter().filter_map(|target| target.root).collect();
    while let Some(id) = open.pop() {
        if found.insert(id) {
            let step = &plan.steps[id.0];
            match &step.op {
                Op::Merge(inputs) => open.extend(inputs),
                _ => open.extend(step.root()),
            }
        }
    }
    found
}
