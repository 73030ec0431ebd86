//! Looking up in caches, and what becomes of those that do not keep their word.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use kiln_image::{Digest, Reference};
use kiln_store::{BuildId, Key, LayerId, MountId, Record};

use super::backend::Backend;
use super::document::{Document, Entry, StepFacts};
use super::mounts::Mounts;
use super::places::backend;
use super::request::CachePlace;
use crate::error::{StepError, StepResult};
use crate::images::Images;
use crate::parallel;
use crate::session::Tasks;

/// A cache that could not give so many layers is not asked again.
const MOST_FAILURES: usize = 3;

/// The caches that a build reads, first to be asked first. They are read when the store does not know a step.
pub(crate) struct Caches<'a> {
    sources: Vec<Box<dyn Backend>>,
    /// Bytes that the archive of a mount may have.
    pub(super) most_mount: u64,
    tasks: &'a Tasks<'a>,
    known: OnceLock<Mutex<Known>>,
    /// What caches did not give, by cache and layer, and why.
    blamed: Mutex<BTreeMap<(usize, LayerId), String>>,
    /// The names of mounts that some cache did not give as it should.
    lost_mounts: Mutex<BTreeSet<String>>,
}

/// What the caches have, without what they turned out not to have.
#[derive(Default)]
struct Known {
    by_key: HashMap<Key, Vec<LayerId>>,
    layers: HashMap<LayerId, Vec<Found>>,
    /// The keys by which this build found layers.
    keys: HashMap<LayerId, BTreeSet<Key>>,
    /// The mounts of each cache.
    mounts: Vec<(usize, Arc<Mounts>)>,
    /// How many layers each cache could not give.
    failures: HashMap<usize, usize>,
}

/// A layer of a cache.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    source: usize,
    /// The cache, as people call it.
    pub(crate) cache: Arc<str>,
    /// Its repository, if it is one.
    pub(crate) reference: Option<Reference>,
    pub(crate) entry: Arc<Entry>,
}

impl Found {
    fn record(&self, layer: &LayerId) -> Record {
        let step = &self.entry.step;
        Record {
            created: step.created,
            ..Record::new(layer.clone(), BuildId::ELSEWHERE, &step.name, step.duration)
        }
    }
}

impl<'a> Caches<'a> {
    /// None.
    pub(crate) fn none(tasks: &'a Tasks<'a>) -> Self {
        Self {
            sources: Vec::new(),
            most_mount: 0,
            tasks,
            known: OnceLock::new(),
            blamed: Mutex::default(),
            lost_mounts: Mutex::default(),
        }
    }

    /// Those of a build.
    pub(crate) fn new(
        places: &[CachePlace],
        most_mount: u64,
        registry: &kiln_registry::Client,
        tasks: &'a Tasks<'a>,
    ) -> Self {
        Self {
            sources: places.iter().map(|place| backend(place, registry)).collect(),
            most_mount,
            ..Self::none(tasks)
        }
    }

    /// The record of a key. Nothing of its layer is fetched.
    pub(crate) fn lookup(&self, key: &Key) -> Option<Record> {
        let mut known = self.known()?;
        let mut layers = known.by_key.get(key)?.iter();
        let record = layers.find_map(|layer| Some(known.layers.get(layer)?.first()?.record(layer)))?;
        known.note(key, &record.layer);
        Some(record)
    }

    /// Notes that this build knows one more key of a layer that a cache has.
    pub(crate) fn note(&self, key: &Key, layer: &LayerId) {
        if let Some(known) = self.known.get() {
            lock(known).note(key, layer);
        }
    }

    /// The keys by which this build found a layer. What else a cache says of it may be a lie that a later build, which
    /// does not read that cache, would believe.
    fn own_keys(&self, layer: &LayerId) -> BTreeSet<Key> {
        let keys = |known: &Mutex<Known>| lock(known).keys.get(layer).cloned();
        self.known.get().and_then(keys).unwrap_or_default()
    }

    /// What the caches have; `None` if there are none.
    fn known(&self) -> Option<MutexGuard<'_, Known>> {
        if self.sources.is_empty() {
            return None;
        }
        Some(lock(self.known.get_or_init(|| Mutex::new(self.read_all()))))
    }

    /// The caches that have mounts, and which.
    pub(super) fn mounts(&self) -> Vec<(&dyn Backend, Arc<Mounts>)> {
        let mounts = self.known().map(|known| known.mounts.clone());
        let with_backend = |(source, mounts): (usize, Arc<Mounts>)| (self.sources[source].as_ref(), mounts);
        mounts.into_iter().flatten().map(with_backend).collect()
    }

    /// Remembers that a cache did not give a mount.
    pub(super) fn lost_mount(&self, name: &str) {
        lock(&self.lost_mounts).insert(name.to_owned());
    }

    /// The mounts that some cache did not give.
    pub(super) fn lost_mounts(&self) -> BTreeSet<String> {
        lock(&self.lost_mounts).clone()
    }

    /// The names and ids of all mounts, each once.
    pub(crate) fn mount_names(&self) -> BTreeMap<String, MountId> {
        let mut names = BTreeMap::new();
        for (_, mounts) in self.mounts() {
            names.extend(mounts.names().map(|(name, id)| (name.to_owned(), id.clone())));
        }
        names
    }

    /// Where a layer is to be had.
    pub(crate) fn find(&self, layer: &LayerId) -> Option<Found> {
        lock(self.known.get()?).layers.get(layer)?.first().cloned()
    }

    /// The same by the digest of its blob, with the layer.
    pub(crate) fn find_blob(&self, digest: &Digest) -> Option<(LayerId, Found)> {
        let known = lock(self.known.get()?);
        let mut all = known
            .layers
            .iter()
            .filter_map(|(layer, found)| Some((layer, found.first()?)));
        let (layer, found) = all.find(|(_, found)| found.entry.blob.digest == *digest)?;
        Some((layer.clone(), found.clone()))
    }

    /// Reads the caches now, for whom there is no point in going on without one of them.
    pub(crate) fn require(&self) -> StepResult<()> {
        let mut known = Known::default();
        for (source, backend) in self.sources.iter().enumerate() {
            let name = backend.name();
            let none = || StepError::Invalid(format!("there is no cache at {name}"));
            known.add(source, backend.as_ref(), self.read(source)?.ok_or_else(none)?);
        }
        // Nothing was read before.
        self.known.get_or_init(|| Mutex::new(known));
        Ok(())
    }

    fn read_all(&self) -> Known {
        let numbers: Vec<usize> = (0..self.sources.len()).collect();
        let read = parallel::map(&numbers, numbers.len(), |&source| Ok(self.read_if_possible(source)));
        let mut known = Known::default();
        for (source, document) in read.unwrap_or_default().into_iter().enumerate() {
            known.add(source, self.sources[source].as_ref(), document);
        }
        known
    }

    /// What a cache has; nothing if it cannot be read, which ends no build.
    fn read_if_possible(&self, source: usize) -> Document {
        let document = self.read(source).unwrap_or_else(|error| {
            let name = self.sources[source].name();
            self.tasks.notice(format!(
                "the cache {name} cannot be read, so nothing is taken from it: {error}"
            ));
            None
        });
        document.unwrap_or_default()
    }

    fn read(&self, source: usize) -> StepResult<Option<Document>> {
        let backend = &self.sources[source];
        let task = self
            .tasks
            .start(format!("importing cache manifest from {}", backend.name()));
        let read = backend.read();
        if let Ok(None) = read {
            task.say("there is no cache yet");
        }
        task.end(read)
    }

    /// The bytes of a layer, for whoever cannot do without: that they are not to be had is remembered.
    pub(crate) fn open<'r>(
        &'r self,
        layer: &LayerId,
        found: &Found,
        report: Box<dyn Fn(u64) + Send + 'r>,
    ) -> StepResult<Box<dyn Read + Send + 'r>> {
        let inner = self
            .copy(found, report)
            .inspect_err(|error| self.blame(layer, found, error))?;
        Ok(Box::new(Blaming {
            inner,
            caches: self,
            layer: layer.clone(),
            found: found.clone(),
        }))
    }

    /// The bytes of a layer, for whoever can do without.
    pub(super) fn copy<'r>(
        &'r self,
        found: &Found,
        report: Box<dyn Fn(u64) + Send + 'r>,
    ) -> StepResult<Box<dyn Read + Send + 'r>> {
        self.sources[found.source].open(&found.entry.blob, report)
    }

    /// Remembers that a cache did not give what it promised.
    pub(crate) fn blame(&self, layer: &LayerId, found: &Found, reason: &dyn std::fmt::Display) {
        let mut blamed = lock(&self.blamed);
        // The first to complain was nearest to the cause.
        blamed
            .entry((found.source, layer.clone()))
            .or_insert_with(|| reason.to_string());
    }

    /// Whether a cache did not give what it promised: what fails now may not be at fault itself.
    pub(crate) fn is_blamed(&self) -> bool {
        !lock(&self.blamed).is_empty()
    }

    /// Forgets the layers that could not be had, so that their steps run when all is done again. Whether there were any.
    pub(crate) fn forget_blamed(&self) -> bool {
        let blamed = std::mem::take(&mut *lock(&self.blamed));
        let Some(known) = self.known.get() else {
            return false;
        };
        let mut forgotten = false;
        for ((source, layer), reason) in blamed {
            let outcome = lock(known).forget(source, &layer);
            let name = self.sources[source].name();
            let what = match outcome {
                Forgotten::Nothing => continue,
                Forgotten::Layer => "goes on without that layer",
                Forgotten::Cache => "goes on without that cache",
            };
            forgotten = true;
            self.tasks.notice(format!(
                "the cache {name} cannot give a layer, so the build {what}: {reason}"
            ));
        }
        forgotten
    }
}

/// What a failure of a cache came to.
enum Forgotten {
    Nothing,
    Layer,
    Cache,
}

impl Known {
    fn add(&mut self, source: usize, backend: &dyn Backend, document: Document) {
        let cache: Arc<str> = backend.name().into();
        self.mounts.push((source, Arc::new(document.mounts)));
        for (layer, entry) in document.layers {
            for key in &entry.step.keys {
                let layers = self.by_key.entry(*key).or_default();
                if !layers.contains(&layer) {
                    layers.push(layer.clone());
                }
            }
            let found = Found {
                source,
                cache: Arc::clone(&cache),
                reference: backend.reference().cloned(),
                entry: Arc::new(entry),
            };
            self.layers.entry(layer).or_default().push(found);
        }
    }

    fn note(&mut self, key: &Key, layer: &LayerId) {
        self.keys.entry(layer.clone()).or_default().insert(*key);
    }

    fn forget(&mut self, source: usize, layer: &LayerId) -> Forgotten {
        let failures = self.failures.entry(source).or_default();
        *failures += 1;
        let whole = *failures >= MOST_FAILURES;
        let mut forgotten = false;
        self.layers.retain(|id, found| {
            let before = found.len();
            found.retain(|one| one.source != source || !whole && id != layer);
            forgotten |= found.len() < before;
            !found.is_empty()
        });
        match (forgotten, whole) {
            (false, _) => Forgotten::Nothing,
            (true, false) => Forgotten::Layer,
            (true, true) => Forgotten::Cache,
        }
    }
}

/// Remembers who failed.
struct Blaming<'r, 'a> {
    inner: Box<dyn Read + Send + 'r>,
    caches: &'r Caches<'a>,
    layer: LayerId,
    found: Found,
}

impl Read for Blaming<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        read.inspect_err(|error| self.caches.blame(&self.layer, &self.found, error))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Images<'_> {
    /// What is known of the step that made a layer; `None` if no step of which there is a record did.
    pub(crate) fn step_facts(&self, layer: &LayerId) -> StepResult<Option<StepFacts>> {
        let remote = self.caches.find(layer).map(|found| found.entry.step.clone());
        let records = self.store.records_of(layer)?;
        let (Some(row), Some((_, record))) = (self.store.layer(layer)?, records.first()) else {
            return Ok(remote);
        };
        let mut keys = remote.map(|step| step.keys).unwrap_or_default();
        keys.extend(records.iter().map(|(key, _)| *key));
        Ok(Some(StepFacts {
            keys,
            name: record.name.clone(),
            created: row.created,
            duration: record.duration,
            size: row.size,
        }))
    }

    /// Writes the records of a layer of a cache that is in the store now: of the keys by which this build found it. Those
    /// that the store has stay.
    pub(crate) fn record_found(&self, layer: &LayerId, found: &Found) -> StepResult<()> {
        for key in self.caches.own_keys(layer) {
            let present = match self.store.record(&key)? {
                Some(own) => self.store.layer(&own.layer)?.is_some(),
                None => false,
            };
            if !present {
                self.store.put_record(&key, &found.record(layer))?;
            }
        }
        Ok(())
    }

    /// Writes one more record of a layer that was found; if it is in a cache only, as soon as the store has it.
    pub(crate) fn record_also(&self, key: &Key, record: &Record) -> StepResult<()> {
        // Noted before the look: the layer may come meanwhile.
        self.caches.note(key, &record.layer);
        if self.store.layer(&record.layer)?.is_some() {
            self.store.put_record(key, record)?;
        }
        Ok(())
    }
}
