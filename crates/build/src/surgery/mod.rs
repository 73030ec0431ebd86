//! Images made of images, without building: their layers and configs are cut, joined and changed.
//!
//! No clock has a part in it: the same image and the same change give the same image.

mod append;
mod copy;
mod files;
mod mutate;
mod rebase;
mod recompress;
mod runtime;
mod squash;
mod validate;

use std::collections::{BTreeMap, HashMap};
use std::os::fd::OwnedFd;

use kiln_image::media_type::{self, Family};
use kiln_image::{Descriptor, Digest, HistoryEntry, ImageConfig, Manifest, Platform, Reference};
use kiln_sandbox::Overlay;
use kiln_store::{Found, Image, LayerDir, LayerId};

use crate::assemble;
use crate::builder::{Builder, FIRST_TASK};
use crate::cancel::Cancel;
use crate::error::{Error, StepError, StepResult};
use crate::event::Sink;
use crate::images::{Images, MAX_DOCUMENT, chain_ids, parse_manifest};
use crate::measure::layer_info;
use crate::request::LayerOptions;
use crate::run::find;
use crate::session::Tasks;
use crate::source::{Location, locate};

pub use copy::Which;
pub use mutate::{Mutation, Setting};
pub use rebase::{Bases, Override, Rebased};
pub use validate::Validated;

/// How many paths are shown where there may be many.
const MOST_SHOWN: usize = 5;

/// An image that is to be changed, and what the result is called.
#[derive(Debug, Clone, Copy)]
pub struct Edit<'a> {
    /// The image: a name or an ID of the store, else a name that its registry knows.
    pub image: &'a str,
    /// Which image of several; this machine's where not given.
    pub platform: Option<&'a Platform>,
    /// The result's names; without any it is known by its ID alone.
    pub names: &'a [Reference],
    /// When it was made, in seconds since 1970 (`SOURCE_DATE_EPOCH`); as long ago as the image where not given.
    pub epoch: Option<i64>,
}

/// An image that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// The digest of its config.
    pub id: Digest,
    /// The digest of its manifest, if it has one yet.
    pub manifest: Option<Digest>,
    /// The manifest that an image of that ID had before, if it is another: the store keeps one for each, whatever its names.
    pub replaced: Option<Digest>,
}

/// An image that was opened.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// What it was asked for by.
    pub(crate) text: String,
    /// The name, if that was one.
    pub(crate) name: Option<Reference>,
    /// The digest of its config.
    pub(crate) id: Digest,
    pub(crate) config: ImageConfig,
    /// Its manifest, and the digest of it, if it has one.
    pub(crate) manifest: Option<(Digest, Manifest)>,
    /// Lowest first.
    pub(crate) layers: Vec<LayerId>,
}

impl Subject {
    /// Finds an image. Its layers are in the store afterwards.
    pub(crate) fn open(images: &Images<'_>, text: &str, platform: Option<&Platform>) -> StepResult<Self> {
        if text == "scratch" {
            return Self::scratch(images, &platform.cloned().unwrap_or_else(Platform::host));
        }
        let taken = match locate(images.store, text)? {
            Location::Name(_) => None,
            location => {
                let parcel = copy::gather(images, &location, Which::One(platform))?;
                let task = images.tasks.start(format!("take {location} into the store"));
                let taken = copy::take(images, &parcel, &[], &task);
                Some(task.end(taken)?.to_string())
            }
        };
        let asked = taken.as_deref().unwrap_or(text);
        let resolved = find(images, asked, platform)?;
        let name = match images.store.find_image(asked)? {
            Found::One(_, name) => name,
            Found::Nothing | Found::Ambiguous(_) => text.parse().ok(),
        };
        let layers = images.layers(&resolved.manifest).to_vec();
        images.materialize(&layers)?;
        // Of an image without a manifest the ID stands for it.
        let has_manifest = images.store.image(&resolved.manifest)?.is_none();
        let manifest = if has_manifest {
            let bytes = images.store.read_blob(&resolved.manifest, MAX_DOCUMENT)?;
            let shown = name
                .clone()
                .unwrap_or_else(|| Reference::new("docker.io", "library/image", None, None));
            Some((resolved.manifest, parse_manifest(&bytes, &shown)?))
        } else {
            None
        };
        Ok(Self {
            text: text.to_owned(),
            name,
            id: manifest
                .as_ref()
                .map_or(resolved.manifest, |(_, manifest)| manifest.config.digest),
            config: resolved.config,
            manifest,
            layers,
        })
    }

    /// What `FROM scratch` means: no layer and an empty config.
    fn scratch(images: &Images<'_>, platform: &Platform) -> StepResult<Self> {
        let config = ImageConfig::empty(platform);
        let bytes = serde_json::to_vec(&config)
            .map_err(|error| StepError::Invalid(format!("cannot encode the config: {error}")))?;
        Ok(Self {
            text: "scratch".to_owned(),
            name: None,
            id: images.store.put_blob(&bytes)?,
            config,
            manifest: None,
            layers: Vec::new(),
        })
    }

    /// Makes it an image of the store, if it is none. Gives its ID.
    pub(crate) fn keep(&self, images: &Images<'_>) -> StepResult<Digest> {
        if images.store.image(&self.id)?.is_none() {
            let facts = assemble::layer_facts(images, &self.layers)?;
            images.store.put_image(&Image {
                id: self.id,
                manifest: self.manifest.as_ref().map(|(digest, _)| *digest),
                layers: self.layers.clone(),
                platform: self.config.platform(),
                size: facts.iter().map(|layer| layer.size).sum(),
                created: jiff::Timestamp::now().as_second(),
            })?;
        }
        Ok(self.id)
    }

    /// A change of it that changes nothing yet.
    pub(crate) fn draft(self, epoch: Option<i64>) -> Draft {
        let manifest = self.manifest.as_ref().map(|(_, manifest)| manifest);
        Draft {
            config: self.config.clone(),
            layers: self.layers.clone(),
            annotations: manifest
                .map(|manifest| manifest.annotations.clone())
                .unwrap_or_default(),
            family: manifest.map(|manifest| match &manifest.media_type[..] {
                media_type::DOCKER_MANIFEST => Family::Docker,
                _ => Family::Oci,
            }),
            descriptors: self
                .layers
                .iter()
                .cloned()
                .zip(manifest.into_iter().flat_map(|manifest| manifest.layers.clone()))
                .collect(),
            before: self,
            epoch,
        }
    }
}

/// An image that is being made.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    /// The list of its layers is filled in at the end.
    pub(crate) config: ImageConfig,
    /// Lowest first; all are in the store.
    pub(crate) layers: Vec<LayerId>,
    /// How layers are named in manifests that are there already.
    pub(crate) descriptors: HashMap<LayerId, Descriptor>,
    /// What it was: whatever stays the same stays in the very same bytes.
    pub(crate) before: Subject,
    /// Notes in its manifest.
    pub(crate) annotations: BTreeMap<String, String>,
    /// Whose media types its manifest has, if it gets one now: an image that has been somewhere has one, one that was built
    /// here gets it when it leaves.
    pub(crate) family: Option<Family>,
    /// When it is made, if somebody said.
    pub(crate) epoch: Option<i64>,
}

impl Draft {
    /// Puts it into the store under these names.
    pub(crate) fn keep(mut self, images: &Images<'_>, names: &[Reference]) -> StepResult<Made> {
        let facts = assemble::layer_facts(images, &self.layers)?;
        self.config.rootfs.diff_ids = facts.iter().map(|layer| layer.diff_id).collect();
        let config = if self.config == self.before.config {
            images.store.read_blob(&self.before.id, MAX_DOCUMENT)?
        } else {
            self.config.created = self.created();
            serde_json::to_vec(&self.config)
                .map_err(|error| StepError::Invalid(format!("cannot encode the config: {error}")))?
        };
        let id = images.store.put_blob(&config)?;
        let manifest = self.manifest(images, &config)?;
        let known = images.store.image(&id)?.and_then(|image| image.manifest);
        let replaced = known.filter(|known| manifest.is_some_and(|manifest| manifest != *known));
        images.store.put_image(&Image {
            id,
            manifest,
            layers: self.layers,
            platform: self.config.platform(),
            size: facts.iter().map(|layer| layer.size).sum(),
            created: jiff::Timestamp::now().as_second(),
        })?;
        for name in names {
            images.store.tag(name, &id)?;
        }
        Ok(Made { id, manifest, replaced })
    }

    fn manifest(&self, images: &Images<'_>, config: &[u8]) -> StepResult<Option<Digest>> {
        let family = match self.family {
            None if self.annotations.is_empty() => return Ok(None),
            // Only the image specification has a place for notes.
            Some(Family::Docker) if self.annotations.is_empty() => Family::Docker,
            _ => Family::Oci,
        };
        let options = LayerOptions {
            types: family,
            ..LayerOptions::DEFAULT
        };
        let one = |layer: &LayerId| -> StepResult<Descriptor> {
            if let Some(known) = self.descriptors.get(layer)
                && images.has_whole_blob(&known.digest)?
            {
                return assemble::typed(known.clone(), options);
            }
            assemble::blob(images, layer, options)
        };
        let layers: StepResult<Vec<Descriptor>> = self.layers.iter().map(one).collect();
        let layers = layers?;
        if let Some((digest, manifest)) = &self.before.manifest
            && manifest.config.digest == Digest::of(config)
            && manifest.annotations == self.annotations
            && manifest.layers == layers
        {
            return Ok(Some(*digest));
        }
        let manifest = assemble::manifest(config, layers, family, self.annotations.clone())?;
        Ok(Some(images.store.put_blob(&manifest)?))
    }

    fn created(&self) -> Option<String> {
        let said = self.epoch.map(assemble::timestamp);
        said.or_else(|| self.config.created.clone())
    }

    /// Notes what was done, if the history says of each layer where it comes from: without a clock, at the time of the image.
    pub(crate) fn note(&mut self, created_by: &str, comment: String, empty_layer: bool) {
        let layers = self.config.history.iter().filter(|entry| !entry.empty_layer).count();
        if layers + usize::from(!empty_layer) == self.layers.len() {
            self.config.history.push(HistoryEntry {
                created: self.created(),
                created_by: created_by.to_owned(),
                comment,
                empty_layer,
                ..HistoryEntry::default()
            });
        }
    }
}

/// The merged tree of layers that are in the store, and what is to be kept as long as it is.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: OwnedFd,
    _empty: Option<LayerDir>,
}

impl Images<'_> {
    /// The files of these layers. Nobody can write to them.
    pub(crate) fn tree(&self, layers: &[LayerId]) -> StepResult<Tree> {
        let mut lower = self.directories(&self.mountable(layers)?);
        let mut empty = None;
        if lower.is_empty() {
            let directory = self.store.new_layer()?;
            lower.push(directory.fs());
            empty = Some(directory);
        }
        let overlay = Overlay {
            lower: &lower,
            upper: None,
            volatile: false,
        };
        Ok(Tree {
            root: overlay.mount()?,
            _empty: empty,
        })
    }

    /// What of device nodes these layers lack, for messages: without root there are none. Nothing if they have all.
    pub(crate) fn lacking(&self, layers: &[LayerId]) -> StepResult<Option<String>> {
        let mut paths = Vec::new();
        for layer in layers {
            let skipped = kiln_layer::skipped_devices(&self.store.layer_path(layer))?;
            paths.extend(skipped.iter().map(|path| format!("/{}", path.display())));
        }
        Ok((!paths.is_empty()).then(|| {
            let more = if paths.len() > MOST_SHOWN { ", …" } else { "" };
            paths.truncate(MOST_SHOWN);
            format!("{}{more}", paths.join(", "))
        }))
    }

    /// Makes a layer of the store of a directory: the one above these.
    pub(crate) fn keep_layer(&self, directory: &LayerDir, below: &[LayerId]) -> StepResult<LayerId> {
        let facts = assemble::layer_facts(self, below)?;
        let (diff_id, tar_size) = kiln_layer::diff_id(&directory.fs(), &kiln_layer::PackOptions::default())?;
        let diff_ids: Vec<Digest> = facts.iter().map(|layer| layer.diff_id).chain([diff_id]).collect();
        let id = chain_ids(&diff_ids).pop().expect("there is one layer at least");
        let info = layer_info(directory, Some(diff_id))?;
        self.store.commit_layer(directory, &id, &info)?;
        self.store.set_layer_diff_id(&id, &diff_id, tar_size)?;
        Ok(id)
    }
}

impl Builder {
    /// Does something with images, telling the sink of it, until it is done or cancelled.
    pub(crate) fn work<T>(
        &self,
        title: String,
        sink: &dyn Sink,
        cancel: &Cancel,
        work: impl FnOnce(&Images<'_>) -> StepResult<T>,
    ) -> Result<T, Error> {
        let _in_use = self.store.in_use().map_err(StepError::from)?;
        let tasks = Tasks::new(sink, FIRST_TASK);
        let images = Images::new(&self.store, &self.registry, &tasks, cancel);
        Ok(tasks.start(title).end(work(&images))?)
    }
}
