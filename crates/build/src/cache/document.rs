//! What a cache has: one JSON document, the config of an OCI image manifest whose layers are the blobs.
//!
//! Both are the same bytes for the same content, so that a cache that did not change is not written again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use kiln_image::{Descriptor, Digest, Manifest, media_type};
use kiln_store::{Key, LayerId};
use serde::{Deserialize, Serialize};

use super::mounts::{Mounts, WrittenMounts};
use crate::assemble::to_json_pretty;
use crate::error::{StepError, StepResult};
use crate::images::MAX_DOCUMENT;

/// The media type of the document. Another meaning gets another number.
pub(crate) const CONFIG_TYPE: &str = "application/vnd.kiln.cache.config.v1+json";
/// What the manifest is the manifest of.
const ARTIFACT_TYPE: &str = "application/vnd.kiln.cache.v1";
/// More layers are not kept.
const MOST_LAYERS: usize = 10_000;
/// Characters of a step's name that are kept.
const MOST_NAME: usize = 200;

/// What a cache has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) layers: BTreeMap<LayerId, Entry>,
    /// Cache mounts.
    pub(crate) mounts: Mounts,
    /// Whether it is in an image: that image's tag is no place for another document.
    pub(crate) inline: bool,
}

/// A layer that a step made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) step: StepFacts,
    /// The compressed layer.
    pub(crate) blob: Descriptor,
    /// The digest of its tar.
    pub(crate) diff_id: Digest,
}

/// What is known of the step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StepFacts {
    /// The keys by which it is found.
    pub(crate) keys: BTreeSet<Key>,
    /// As shown to people.
    pub(crate) name: String,
    /// When it ran, in seconds since 1970.
    pub(crate) created: i64,
    /// How long it ran.
    pub(crate) duration: Duration,
    /// Bytes of its layer's files.
    pub(crate) size: u64,
}

#[derive(Serialize, Deserialize)]
struct WrittenDocument {
    layers: Vec<WrittenEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mounts: Option<WrittenMounts>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenEntry {
    #[serde(flatten)]
    step: WrittenStep,
    diff_id: Digest,
    blob: Descriptor,
}

/// A layer's name and step in JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WrittenStep {
    id: String,
    keys: Vec<String>,
    name: String,
    created: i64,
    duration_ms: u64,
    size: u64,
}

impl WrittenStep {
    pub(super) fn new(id: &LayerId, step: &StepFacts) -> Self {
        Self {
            id: id.to_string(),
            keys: step.keys.iter().map(ToString::to_string).collect(),
            name: step.name.chars().take(MOST_NAME).collect(),
            created: step.created,
            duration_ms: u64::try_from(step.duration.as_millis()).unwrap_or(u64::MAX),
            size: step.size,
        }
    }

    /// Only layers that steps made are taken: a cache must not say what a layer of a base image is.
    pub(super) fn read(self) -> StepResult<(LayerId, StepFacts)> {
        let invalid =
            |what: &str, text: &str| StepError::Invalid(format!("it is no cache of Kiln: `{text}` is no {what}"));
        let id = LayerId::from_random(&self.id).ok_or_else(|| invalid("name of a step's layer", &self.id))?;
        let key = |text: &String| Key::from_hex(text).ok_or_else(|| invalid("key of a step", text));
        let step = StepFacts {
            keys: self.keys.iter().map(key).collect::<StepResult<_>>()?,
            name: self.name,
            created: self.created,
            duration: Duration::from_millis(self.duration_ms),
            size: self.size,
        };
        Ok((id, step))
    }
}

/// A blob without notes, and without addresses where else it may be had.
pub(super) fn plain(blob: &Descriptor) -> Descriptor {
    Descriptor::new(blob.media_type.clone(), blob.digest, blob.size)
}

/// A document as it is kept.
pub(crate) struct Packed {
    pub(crate) config: Vec<u8>,
    pub(crate) config_descriptor: Descriptor,
    pub(crate) manifest: Vec<u8>,
}

impl Packed {
    pub(crate) fn manifest_descriptor(&self) -> Descriptor {
        Descriptor::of(media_type::OCI_MANIFEST, &self.manifest)
    }
}

impl Document {
    /// All blobs that it names, some perhaps twice.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let layers = self.layers.values().map(|entry| &entry.blob);
        layers.chain(self.mounts.packs.values())
    }

    /// Leaves only layers and mounts whose blobs are there.
    pub(crate) fn retain(&mut self, is_there: impl Fn(&Descriptor) -> bool) {
        self.layers.retain(|_, entry| is_there(&entry.blob));
        self.mounts.retain(is_there);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.blobs().next().is_none()
    }

    /// Reads the config of a cache's manifest.
    pub(crate) fn parse(bytes: &[u8]) -> StepResult<Self> {
        let written: WrittenDocument = serde_json::from_slice(bytes)
            .map_err(|error| StepError::Invalid(format!("it is no cache of Kiln: {error}")))?;
        if written.layers.len() > MOST_LAYERS {
            let message = format!("it has {} layers: more than {MOST_LAYERS}", written.layers.len());
            return Err(StepError::Invalid(message));
        }
        let mut layers = BTreeMap::new();
        for WrittenEntry { step, diff_id, blob } in written.layers {
            let (id, step) = step.read()?;
            // Others read what is written here of it, and it goes into manifests.
            if blob != plain(&blob) {
                let message = format!(
                    "it is no cache of Kiln: more is said of {} than where it is",
                    blob.digest
                );
                return Err(StepError::Invalid(message));
            }
            layers.insert(id, Entry { step, blob, diff_id });
        }
        Ok(Self {
            layers,
            mounts: written.mounts.map(WrittenMounts::read).transpose()?.unwrap_or_default(),
            inline: false,
        })
    }

    fn bytes(&self) -> StepResult<Vec<u8>> {
        let layers = self.layers.iter().map(|(id, entry)| WrittenEntry {
            step: WrittenStep::new(id, &entry.step),
            diff_id: entry.diff_id,
            blob: entry.blob.clone(),
        });
        let written = WrittenDocument {
            layers: layers.collect(),
            mounts: WrittenMounts::new(&self.mounts),
        };
        serde_json::to_vec(&written).map_err(|error| StepError::Invalid(format!("cannot encode: {error}")))
    }

    /// The document and the manifest over it.
    pub(crate) fn pack(&self) -> StepResult<Packed> {
        let config = self.bytes()?;
        let config_descriptor = Descriptor::of(CONFIG_TYPE, &config);
        let blobs: BTreeMap<Digest, &Descriptor> = self.blobs().map(|blob| (blob.digest, blob)).collect();
        let manifest = Manifest {
            schema_version: 2,
            media_type: media_type::OCI_MANIFEST.to_owned(),
            artifact_type: Some(ARTIFACT_TYPE.to_owned()),
            config: config_descriptor.clone(),
            layers: blobs.into_values().cloned().collect(),
            annotations: BTreeMap::new(),
        };
        Ok(Packed {
            manifest: to_json_pretty(&manifest)?,
            config,
            config_descriptor,
        })
    }

    /// Adds the layers that a later build found. A key names one layer: the later one.
    pub(crate) fn update(&mut self, later: &Self) {
        let owners = later.owners();
        for (id, entry) in &mut self.layers {
            entry
                .step
                .keys
                .retain(|key| owners.get(key).is_none_or(|owner| *owner == id));
        }
        for (id, entry) in &later.layers {
            let mut entry = entry.clone();
            let known = self.layers.get(id).into_iter();
            entry.step.keys.extend(known.flat_map(|known| &known.step.keys));
            self.layers.insert(id.clone(), entry);
        }
        self.layers.retain(|_, entry| !entry.step.keys.is_empty());
    }

    /// By key, the layer that it names.
    fn owners(&self) -> HashMap<Key, &LayerId> {
        self.layers
            .iter()
            .flat_map(|(id, entry)| entry.step.keys.iter().map(move |key| (*key, id)))
            .collect()
    }

    /// Leaves only layers with keys that do not name other layers in `now` than they did in `before`, and those keys.
    pub(crate) fn forget_keys_changed(&mut self, before: &Self, now: &Self) {
        let (before, now) = (before.owners(), now.owners());
        let changed = |key: &Key| now.get(key).is_some_and(|owner| before.get(key) != Some(owner));
        self.layers.retain(|_, entry| {
            entry.step.keys.retain(|key| !changed(key));
            !entry.step.keys.is_empty()
        });
    }

    /// Drops layers, the oldest first, until it is no larger than readers take it. Those of `keep` go last.
    pub(crate) fn bound(&mut self, keep: &Self) -> StepResult<()> {
        self.bound_to(keep, MOST_LAYERS, MAX_DOCUMENT)
    }

    fn bound_to(&mut self, keep: &Self, most_layers: usize, most_bytes: u64) -> StepResult<()> {
        let mut most = self.layers.len().min(most_layers);
        loop {
            self.keep_newest(keep, most);
            let packed = self.pack()?;
            let bytes = packed.config.len().max(packed.manifest.len()) as u64;
            if bytes <= most_bytes {
                return Ok(());
            }
            if most == 0 {
                let message = format!("it takes {bytes} bytes without any layer, and may take {most_bytes}");
                return Err(StepError::Invalid(message));
            }
            most = most * 9 / 10;
        }
    }

    fn keep_newest(&mut self, keep: &Self, most: usize) {
        let mut order: Vec<_> = self
            .layers
            .iter()
            .map(|(id, entry)| (keep.layers.contains_key(id), entry.step.created, id.clone()))
            .collect();
        order.sort_unstable();
        for (_, _, id) in order.iter().take(self.layers.len().saturating_sub(most)) {
            self.layers.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> LayerId {
        LayerId::from_random(&format!("{number:032x}")).unwrap()
    }

    fn key(number: u8) -> Key {
        Key::from([number; 32])
    }

    fn document(layers: &[(usize, i64, &[u8])]) -> Document {
        let entry = |created: i64, keys: &[u8]| Entry {
            step: StepFacts {
                keys: keys.iter().copied().map(key).collect(),
                name: "RUN make".to_owned(),
                created,
                duration: Duration::from_millis(1500),
                size: 7,
            },
            blob: Descriptor::of(media_type::OCI_LAYER_ZSTD, b"blob"),
            diff_id: Digest::of("tar"),
        };
        let layers = layers
            .iter()
            .map(|(number, created, keys)| (id(*number), entry(*created, keys)));
        Document {
            layers: layers.collect(),
            mounts: Mounts::default(),
            inline: false,
        }
    }

    #[test]
    fn is_read_as_it_was_written() {
        let written = document(&[(1, 10, &[1, 2]), (2, 20, &[3])]);
        let packed = written.pack().unwrap();
        assert_eq!(Document::parse(&packed.config).unwrap(), written);
        let manifest: Manifest = serde_json::from_slice(&packed.manifest).unwrap();
        assert_eq!(manifest.config, packed.config_descriptor);
        assert_eq!(manifest.layers.len(), 1, "blobs are named once");
    }

    #[test]
    fn refuses_what_no_step_made() {
        let text = String::from_utf8(document(&[(1, 10, &[1])]).pack().unwrap().config).unwrap();
        let chain = Digest::of("a chain of layers").hex();
        for (part, lie) in [
            (id(1).to_string(), chain.clone()),
            (id(1).to_string(), "../../etc".to_owned()),
            (key(1).to_string(), chain[1..].to_owned()),
            ("\"layers\"".to_owned(), "\"others\"".to_owned()),
            (
                "\"size\":4}".to_owned(),
                "\"size\":4,\"urls\":[\"http://a\"]}".to_owned(),
            ),
            (
                "\"size\":4}".to_owned(),
                "\"size\":4,\"annotations\":{\"a\":\"b\"}}".to_owned(),
            ),
        ] {
            assert!(text.contains(&part), "{part}");
            assert!(Document::parse(text.replace(&part, &lie).as_bytes()).is_err(), "{lie}");
        }
        assert!(Document::parse(b"\xff\x00").is_err());
    }

    #[test]
    fn a_key_names_the_later_layer() {
        let mut all = document(&[(1, 10, &[1, 2]), (2, 10, &[3])]);
        let later = document(&[(3, 20, &[3, 4]), (1, 10, &[5])]);
        all.update(&later);
        assert_eq!(all, document(&[(1, 10, &[1, 2, 5]), (3, 20, &[3, 4])]));
        let before = all.clone();
        all.update(&later);
        assert_eq!(all, before);
    }

    #[test]
    fn what_others_did_not_change_is_no_reason_to_give_up_a_key() {
        let seen = document(&[(1, 10, &[1]), (2, 10, &[2])]);
        // Keys 1 and 2 have new layers here; another build gave one to 2, and one to 3.
        let mut own = document(&[(3, 20, &[1]), (4, 20, &[2]), (5, 20, &[3, 4])]);
        let theirs = document(&[(1, 10, &[1]), (6, 20, &[2]), (7, 20, &[3])]);
        own.forget_keys_changed(&seen, &theirs);
        assert_eq!(own, document(&[(3, 20, &[1]), (5, 20, &[4])]));
        // What this build wrote itself and reads again names the same.
        own.forget_keys_changed(&theirs, &theirs);
        assert_eq!(own, document(&[(3, 20, &[1]), (5, 20, &[4])]));
    }

    #[test]
    fn the_oldest_go_first_but_not_those_of_this_build() {
        let all = document(&[(1, 10, &[1]), (2, 5, &[2]), (3, 30, &[3])]);
        let own = document(&[(2, 5, &[2])]);
        let mut some = all.clone();
        some.bound_to(&own, 2, MAX_DOCUMENT).unwrap();
        assert_eq!(some, document(&[(2, 5, &[2]), (3, 30, &[3])]));
        let mut few = all;
        let room = own.pack().unwrap();
        let room = room.config.len().max(room.manifest.len()) as u64;
        few.bound_to(&own, 3, room).unwrap();
        assert_eq!(few, own);
    }

    #[test]
    fn what_is_too_large_without_any_layer_is_an_error() {
        let mut all = document(&[(1, 10, &[1]), (2, 5, &[2])]);
        let error = all.bound_to(&Document::default(), 2, 10).unwrap_err();
        assert!(error.to_string().contains("may take 10"), "{error}");
    }
}
