//! Writing one cache: layers and mounts first, then the document that names them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use kiln_image::Descriptor;
use kiln_image::media_type::Family;
use kiln_store::{LayerId, MountId};

use super::backend::Backend;
use super::document::{Document, Entry};
use super::export::Message;
use super::import::Found;
use super::mounts::{self, Exported, Mounts, Wanted};
use super::places::backend;
use super::request::CacheExport;
use crate::assemble;
use crate::error::{StepError, StepResult};
use crate::event::TaskOutcome;
use crate::images::Images;
use crate::request::LayerOptions;
use crate::session::Task;

/// How often a document is written while others write it, too.
const MOST_ATTEMPTS: u32 = 12;

/// A document, and the ids of the mounts for which it has no room.
type Merged = (Document, Vec<MountId>);

/// How long to wait after an attempt: others wait for another while.
fn pause(attempt: u32) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    Duration::from_millis(random % (20 << attempt.min(6)))
}

/// Writes one cache.
pub(super) struct Writer<'e> {
    images: &'e Images<'e>,
    to: &'e CacheExport,
    backend: Box<dyn Backend>,
    given_up: &'e AtomicBool,
    /// What is there already.
    old: Document,
    /// What this build has, but for the keys.
    own: Document,
    /// The mounts that were there when it brought its own, but those of its own that it gave up.
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
    pub(super) fn new(images: &'e Images<'e>, to: &'e CacheExport, given_up: &'e AtomicBool) -> Self {
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

    /// Does what it is told, until the build is done.
    pub(super) fn work(mut self, messages: &Receiver<Message>) {
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
        if self.is_there(&document) {
            task.say("nothing to write: the cache has it all");
            self.tell_of(&without);
            return Ok(document);
        }
        let written = match self.update(task) {
            Err(StepError::Registry(error)) if error.is_refused_manifest() && !self.is_over() => {
                // It names what is no longer there: then it is written anew, without what others wrote.
                task.say(&format!("writing it anew, since {error}"));
                self.old = Document::default();
                self.own = Document::default();
                layers.iter().try_for_each(|layer| self.take(layer, task))?;
                self.complete(layers, mounts, task)?;
                self.write_merged(task)
            }
            written => written,
        };
        let (document, without) = written?;
        task.did("writing cache manifest");
        self.tell_of(&without);
        Ok(document)
    }

    /// Reads what others may have written meanwhile, and writes it with what this build has.
    fn update(&mut self, task: &Task<'_>) -> StepResult<Merged> {
        let _alone = self.backend.alone()?;
        self.read_old()?;
        self.write_merged(task)
    }

    /// Writes what is there with what this build has, and again while others write at the same moment.
    fn write_merged(&mut self, task: &Task<'_>) -> StepResult<Merged> {
        for attempt in 0..MOST_ATTEMPTS {
            let merged = self.merged()?;
            if self.is_there(&merged.0) || self.backend.write(&merged.0)? {
                return Ok(merged);
            }
            task.say("others write it at the same moment");
            std::thread::sleep(pause(attempt));
            if self.is_over() {
                return Err(StepError::Canceled);
            }
            let seen = std::mem::take(&mut self.old);
            self.read_old()?;
            // What they found out since is as good: two that insist would never come to an end.
            self.own.forget_keys_changed(&seen, &self.old);
            self.mounts_before
                .yield_changed(&self.own.mounts, &seen.mounts, &self.old.mounts);
        }
        let message = format!("others write it all the time: {MOST_ATTEMPTS} attempts");
        Err(StepError::Invalid(message))
    }

    /// Whether the document is what was read last.
    fn is_there(&self, document: &Document) -> bool {
        *document == self.old && self.backend.is_current()
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
    fn merged(&self) -> StepResult<Merged> {
        let mut merged = self.old.clone();
        merged.retain(|blob| self.backend.still_has(blob));
        merged.mounts = Mounts::merged(&self.mounts_before, &self.own.mounts, &merged.mounts);
        let without = merged.mounts.bound(&self.brought);
        let mut own = self.own.clone();
        // What somebody removed meanwhile is left out.
        own.retain(|blob| self.backend.still_has(blob));
        merged.update(&own);
        merged.bound(&own)?;
        Ok((merged, without))
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
