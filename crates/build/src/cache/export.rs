//! Writing caches while a build goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

use kiln_image::Descriptor;
use kiln_image::media_type::Family;
use kiln_plan::{Op, Plan, StepId};
use kiln_store::{LayerId, MountId};

use super::backend::Backend;
use super::document::{Document, Entry};
use super::import::Found;
use super::mounts::{self, Exported, Mounts, Wanted};
use super::places::backend;
use super::request::{CacheExport, CacheMode};
use crate::assemble;
use crate::error::{StepError, StepResult};
use crate::event::TaskOutcome;
use crate::images::Images;
use crate::request::LayerOptions;
use crate::session::Task;

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

enum Message {
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
            in_images: in_images(plan),
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

/// The compressed blob of a layer, as it was written. One that turns out to be damaged is made anew.
fn whole_blob(images: &Images<'_>, layer: &LayerId, options: LayerOptions) -> StepResult<Descriptor> {
    let blob = assemble::blob(images, layer, options)?;
    if images.has_whole_blob(&blob.digest)? {
        return Ok(blob);
    }
    assemble::blob(images, layer, options)
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

/// Writes one cache.
struct Writer<'e> {
    images: &'e Images<'e>,
    to: &'e CacheExport,
    backend: Box<dyn Backend>,
    given_up: &'e AtomicBool,
    /// What is there already.
    old: Document,
    /// What this build has, but for the keys.
    own: Document,
    /// The mounts that were there when it brought its own.
    mounts_before: Mounts,
    /// The names of the mounts that it brought.
    brought: BTreeSet<String>,
}

/// Writes mounts of the store, by their names and ids, into a cache. Gives the names of those that it has now.
pub(crate) fn export_mounts<'e>(
    images: &'e Images<'e>,
    to: &'e CacheExport,
    wanted: impl Iterator<Item = (String, MountId)>,
) -> StepResult<BTreeSet<String>> {
    let mut writer = Writer::new(images, to, &NEVER);
    let wanted = wanted.map(|(name, id)| (name, Wanted { id, ran: true })).collect();
    let task = images
        .tasks
        .start(format!("exporting cache to {}", writer.backend.name()));
    let written = writer
        .read_old()
        .and_then(|()| writer.finish(&BTreeSet::new(), &wanted, &task));
    let document = task.end(written)?;
    writer.brought.retain(|name| document.mounts.has(name));
    Ok(writer.brought)
}

/// Of what is no build: it is not given up.
static NEVER: AtomicBool = AtomicBool::new(false);

impl<'e> Writer<'e> {
    fn new(images: &'e Images<'e>, to: &'e CacheExport, given_up: &'e AtomicBool) -> Self {
        Self {
            images,
            to,
            backend: backend(&to.place, &images.registry),
            given_up,
            old: Document::default(),
            own: Document::default(),
            mounts_before: Mounts::default(),
            brought: BTreeSet::new(),
        }
    }

    fn work(mut self, messages: &Receiver<Message>) {
        let task = self
            .images
            .tasks
            .start(format!("exporting cache to {}", self.backend.name()));
        let written = self.write(messages, &task);
        if self.is_over() {
            return task.ended(TaskOutcome::Canceled);
        }
        if let Err(error) = task.end(written) {
            let name = self.backend.name();
            self.images
                .tasks
                .notice(format!("the cache {name} was not written: {error}"));
        }
    }

    fn is_over(&self) -> bool {
        self.given_up.load(Ordering::SeqCst) || self.images.cancel.is_canceled()
    }

    fn write(&mut self, messages: &Receiver<Message>, task: &Task<'_>) -> StepResult<()> {
        self.read_old()?;
        while let Ok(message) = messages.recv() {
            if self.is_over() {
                return Err(StepError::Canceled);
            }
            match message {
                Message::Layer(layer) => self.take(&layer, task)?,
                Message::End(layers, mounts) => return self.finish(&layers, &mounts, task).map(drop),
            }
        }
        Err(StepError::Canceled)
    }

    /// Sees to it that the cache has the layer.
    fn take(&mut self, layer: &LayerId, task: &Task<'_>) -> StepResult<()> {
        if self.own.layers.contains_key(layer) {
            return Ok(());
        }
        let entry = match self.old.layers.get(layer) {
            Some(old) if self.backend.keep(&old.blob)? => Some(old.clone()),
            _ => self.bring(layer, task)?,
        };
        self.own.layers.extend(entry.map(|entry| (layer.clone(), entry)));
        Ok(())
    }

    /// Brings a layer there: from the store, or from another cache.
    fn bring(&self, layer: &LayerId, task: &Task<'_>) -> StepResult<Option<Entry>> {
        let images = self.images;
        let Some(step) = images.step_facts(layer)? else {
            return Ok(None);
        };
        if images.store.layer(layer)?.is_none() {
            let found = images.caches.find(layer);
            // What another cache cannot give is left out.
            return Ok(found.and_then(|found| self.copy(&found, task).ok()));
        }
        let options = LayerOptions {
            kind: self.to.compression,
            level: self.to.level,
            types: Family::Oci,
            ..LayerOptions::DEFAULT
        };
        let blob = match whole_blob(images, layer, options) {
            // The build goes on without the layer; until it has another one, the cache has none.
            Err(StepError::DamagedLayer { .. }) => return Ok(None),
            blob => blob?,
        };
        let path = images.store.blob_path(&blob.digest);
        let part = blob.digest.short();
        let report = |bytes| task.progress(&part, bytes, Some(blob.size));
        self.backend.put(&blob, &path, &report)?;
        Ok(Some(Entry {
            step,
            blob,
            diff_id: assemble::facts(images, layer)?.diff_id,
        }))
    }

    fn copy(&self, found: &Found, task: &Task<'_>) -> StepResult<Entry> {
        let blob = &found.entry.blob;
        let part = blob.digest.short();
        let report = |bytes| task.progress(&part, bytes, Some(blob.size));
        if !self.images.has_whole_blob(&blob.digest)? {
            let mut reader = self.images.caches.copy(found, Box::new(|_| {}))?;
            let mut spool = self.images.store.blob_writer(Some(blob.size))?;
            std::io::copy(&mut reader, &mut spool).map_err(StepError::io("download", &part))?;
            spool.commit(Some(blob.digest))?;
        }
        let path = self.images.store.blob_path(&blob.digest);
        self.backend.put(blob, &path, &report)?;
        Ok(Entry::clone(&found.entry))
    }

    /// Writes the document, unless it is there already, and gives it.
    fn finish(
        &mut self,
        layers: &BTreeSet<LayerId>,
        mounts: &BTreeMap<String, Wanted>,
        task: &Task<'_>,
    ) -> StepResult<Document> {
        self.complete(layers, mounts, task)?;
        let (document, without) = self.merged()?;
        if document == self.old && self.backend.is_current() {
            task.say("nothing to write: the cache has it all");
            self.tell_of(&without);
            return Ok(document);
        }
        // Others may have written meanwhile.
        self.read_old()?;
        let (mut document, mut without) = self.merged()?;
        let mut written = self.backend.write(&document);
        if let Err(StepError::Registry(error)) = &written
            && error.is_refused_manifest()
            && !self.is_over()
        {
            // It names what is no longer there: then it is written anew, without what others wrote.
            task.say(&format!("writing it anew, since {error}"));
            self.old = Document::default();
            self.own = Document::default();
            layers.iter().try_for_each(|layer| self.take(layer, task))?;
            self.complete(layers, mounts, task)?;
            (document, without) = self.merged()?;
            written = self.backend.write(&document);
        }
        written?;
        task.did("writing cache manifest");
        self.tell_of(&without);
        Ok(document)
    }

    /// Makes what this build has complete: these layers, as far as they were taken, with their keys, and these mounts.
    fn complete(
        &mut self,
        layers: &BTreeSet<LayerId>,
        mounts: &BTreeMap<String, Wanted>,
        task: &Task<'_>,
    ) -> StepResult<()> {
        self.own.layers.retain(|layer, _| layers.contains(layer));
        self.take_mounts(mounts, task)?;
        self.add_keys()
    }

    /// Sees to it that the cache has the mounts.
    fn take_mounts(&mut self, wanted: &BTreeMap<String, Wanted>, task: &Task<'_>) -> StepResult<()> {
        self.mounts_before = self.old.mounts.clone();
        let (there, options) = (&self.mounts_before, &self.to.mounts);
        let is_over = || self.is_over();
        let exported = mounts::export(
            self.images,
            self.backend.as_ref(),
            there,
            wanted,
            options,
            task,
            &is_over,
        )?;
        Exported {
            mounts: self.own.mounts,
            brought: self.brought,
        } = exported;
        Ok(())
    }

    /// Tells of the mounts for which there is no room.
    fn tell_of(&self, ids: &[MountId]) {
        let cache = self.backend.name();
        for id in ids {
            let tasks = self.images.tasks;
            tasks.notice(format!("the cache {cache} has no room for the cache mount `{id}`"));
        }
    }

    fn read_old(&mut self) -> StepResult<()> {
        self.old = self.backend.read()?.unwrap_or_default();
        if self.old.inline {
            let message = "an image is there: give the cache a tag of its own";
            return Err(StepError::Invalid(message.to_owned()));
        }
        Ok(())
    }

    /// Every key by which this store, or a cache that it was read from, finds the layers.
    fn add_keys(&mut self) -> StepResult<()> {
        for (layer, entry) in &mut self.own.layers {
            if let Some(step) = self.images.step_facts(layer)? {
                entry.step.keys.extend(step.keys);
            }
        }
        Ok(())
    }

    /// What is there, with what this build has; and the ids of the mounts for which there is no room.
    fn merged(&self) -> StepResult<(Document, Vec<MountId>)> {
        let mut merged = self.old.clone();
        merged.layers.retain(|_, entry| self.backend.still_has(&entry.blob));
        merged.mounts.retain(|pack| self.backend.still_has(pack));
        merged.mounts = Mounts::merged(&self.mounts_before, &self.own.mounts, &merged.mounts);
        let without = merged.mounts.bound(&self.brought);
        merged.update(&self.own);
        merged.bound(&self.own)?;
        Ok((merged, without))
    }
}
