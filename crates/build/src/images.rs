//! Images as sources: what a name stands for, and getting their layers when something needs them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use kiln_image::media_type::Compression;
use kiln_image::{Descriptor, Digest, ImageConfig, Manifest, Reference};
use kiln_plan::{ImageRequest, ResolvedImage};
use kiln_store::{Image, LayerId, LayerInfo, Store};

use crate::cache::{Caches, Found};
use crate::cancel::Cancel;
use crate::damage::Damages;
use crate::error::{Error, StepError, StepResult};
use crate::layout::{LayoutFiles as _, blob_name};
use crate::parallel::processors;
use crate::request::{CachePlace, Layout};
use crate::session::Tasks;
use crate::stack::Stacks;
use crate::turns::{Turn, Turns};

/// Of commands that build nothing.
static NO_LAYOUTS: BTreeMap<Reference, Layout> = BTreeMap::new();

/// The images that a build starts from.
pub(crate) struct Images<'a> {
    pub(crate) store: &'a Store,
    pub(crate) registry: kiln_registry::Client,
    pub(crate) tasks: &'a Tasks<'a>,
    pub(crate) cancel: &'a Cancel,
    pub(crate) caches: Caches<'a>,
    pub(crate) damages: Damages,
    layouts: &'a BTreeMap<Reference, Layout>,
    pub(crate) stacks: Stacks,
    compressing: Turns<LayerId>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// By manifest digest (of images that only the store has: the config's).
    layers: HashMap<Digest, Arc<[LayerId]>>,
    /// Where a layer of an image that is not in the store comes from.
    origins: HashMap<LayerId, Origin>,
    /// Layers that were unpacked in the store when somebody asked. They stay, since this process uses them.
    unpacked: HashSet<LayerId>,
}

/// Where a layer comes from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) place: Place,
    pub(crate) descriptor: Descriptor,
    pub(crate) diff_id: Digest,
}

/// Who has a layer.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// An image, in a registry or a layout.
    Image(Reference),
    /// A cache.
    Cache(LayerId, Found),
}

impl Origin {
    fn in_cache(layer: LayerId, found: Found) -> Self {
        Self {
            descriptor: found.entry.blob.clone(),
            diff_id: found.entry.diff_id,
            place: Place::Cache(layer, found),
        }
    }

    /// When the layer was made, in seconds since 1970, and the bytes of its files, as far as that is known.
    pub(crate) fn created_and_size(&self) -> (i64, u64) {
        match &self.place {
            Place::Image(_) => (0, self.descriptor.size),
            Place::Cache(_, found) => (found.entry.step.created, found.entry.step.size),
        }
    }

    /// The repository that has it, if one does.
    pub(crate) fn repository(&self) -> Option<&Reference> {
        match &self.place {
            Place::Image(image) => Some(image),
            Place::Cache(_, found) => found.reference.as_ref(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(image) => f.write_str(&image.familiar()),
            Self::Cache(_, found) => write!(f, "the cache {}", found.cache),
        }
    }
}

/// The identities of an image's layers in the store: the chain IDs of the image specification (config.md,
/// "Layer `ChainID`"), so that a layer is the same only over the same layers.
pub(crate) fn chain_ids(diff_ids: &[Digest]) -> Vec<LayerId> {
    let mut chain: Option<Digest> = None;
    let next = |diff_id: &Digest| {
        let id = match chain {
            None => *diff_id,
            Some(below) => Digest::of(format!("{below} {diff_id}")),
        };
        chain = Some(id);
        LayerId::from_digest(&id)
    };
    diff_ids.iter().map(next).collect()
}

impl<'a> Images<'a> {
    pub(crate) fn new(
        store: &'a Store,
        registry: &kiln_registry::Client,
        tasks: &'a Tasks<'a>,
        cancel: &'a Cancel,
    ) -> Self {
        Self {
            store,
            registry: registry.with_stop(cancel.registry()),
            tasks,
            cancel,
            caches: Caches::none(tasks),
            damages: Damages::default(),
            layouts: &NO_LAYOUTS,
            stacks: Stacks::default(),
            compressing: Turns::new(processors()),
            known: Mutex::default(),
        }
    }

    /// Waits until nobody else of this build compresses the layer, and for a processor.
    pub(crate) fn turn_to_compress(&self, layer: &LayerId) -> Turn<'_, LayerId> {
        self.compressing.wait(layer)
    }

    /// The same, with images that are in layouts.
    pub(crate) fn with_layouts(self, layouts: &'a BTreeMap<Reference, Layout>) -> Self {
        Self { layouts, ..self }
    }

    /// The same, with caches that have layers of steps, and mounts whose archives have no more than `most_mount` bytes.
    pub(crate) fn with_caches(self, places: &[CachePlace], most_mount: u64) -> Self {
        Self {
            caches: Caches::new(places, most_mount, &self.registry, self.tasks),
            ..self
        }
    }

    /// Resolves all at once. The lines are those of the Dockerfile that name them, for errors.
    pub(crate) fn resolve_all(
        &self,
        requests: &BTreeMap<ImageRequest, (u32, u32)>,
        pull: bool,
    ) -> Result<BTreeMap<ImageRequest, ResolvedImage>, Error> {
        std::thread::scope(|scope| {
            let threads: Vec<_> = requests
                .iter()
                .map(|(request, lines)| (request, lines, scope.spawn(|| self.resolve(request, pull))))
                .collect();
            threads
                .into_iter()
                .map(|(request, lines, thread)| {
                    let resolved = thread.join().expect("resolving does not panic");
                    let resolved = resolved.map_err(|error| Error::Step {
                        name: format!("resolve {}", request.reference.familiar()),
                        lines: Some(*lines),
                        error: Box::new(error),
                    })?;
                    Ok((request.clone(), resolved))
                })
                .collect()
        })
    }

    /// What the store knows of an image, else what its registry does.
    pub(crate) fn resolve(&self, request: &ImageRequest, pull: bool) -> StepResult<ResolvedImage> {
        if let Some(layout) = self.layouts.get(&request.reference) {
            let name = format!("[internal] load metadata from the OCI layout {}", layout.path.display());
            return self.tasks.start(name).end(self.in_layout(layout, request));
        }
        if !pull && let Some(image) = self.in_store(request)? {
            return Ok(image);
        }
        let task = self
            .tasks
            .start(format!("[internal] load metadata for {}", request.reference));
        task.end(self.ask_registry(request))
    }

    /// What the store knows without asking anybody: an image with that name, or what a registry said before.
    fn in_store(&self, request: &ImageRequest) -> StepResult<Option<ResolvedImage>> {
        if let Some(entry) = self.store.by_reference(&request.reference)?
            && let Some(image) = entry.select(&request.platform)
        {
            return Ok(Some(self.stored(image, &request.reference)?));
        }
        let Some(digest) = self.store.resolution(&request.reference, &request.platform)? else {
            return Ok(None);
        };
        if !self.has_whole_blob(&digest)? {
            return Ok(None);
        }
        let manifest = parse_manifest(&self.store.read_blob(&digest, MAX_DOCUMENT)?, &request.reference)?;
        if !self.has_whole_blob(&manifest.config.digest)? {
            return Ok(None);
        }
        let config = parse_config(
            &self.store.read_blob(&manifest.config.digest, MAX_DOCUMENT)?,
            &request.reference,
        )?;
        self.register(&request.reference, digest, &manifest, &config);
        Ok(Some(ResolvedImage {
            manifest: digest,
            config,
        }))
    }

    /// An image of the store, as a source.
    pub(crate) fn stored(&self, image: &Image, reference: &Reference) -> StepResult<ResolvedImage> {
        let config = parse_config(&self.store.read_blob(&image.id, MAX_DOCUMENT)?, reference)?;
        let name = image.manifest.unwrap_or(image.id);
        self.known().layers.insert(name, image.layers.clone().into());
        if let Some(manifest) = image.manifest
            && self.has_whole_blob(&manifest)?
        {
            let manifest = parse_manifest(&self.store.read_blob(&manifest, MAX_DOCUMENT)?, reference)?;
            self.remember(reference, &manifest, &config);
        }
        Ok(ResolvedImage { manifest: name, config })
    }

    pub(crate) fn ask_registry(&self, request: &ImageRequest) -> StepResult<ResolvedImage> {
        let found = self.registry.resolve_platform(&request.reference, &request.platform)?;
        let config = parse_config(&found.config_bytes, &request.reference)?;
        same_layers(&found.manifest, &config, &request.reference)?;
        self.store.put_blob(&found.manifest_bytes)?;
        self.store.put_blob(&found.config_bytes)?;
        let digest = found.manifest_descriptor.digest;
        self.register(&request.reference, digest, &found.manifest, &config);
        self.store
            .put_resolution(&request.reference, &request.platform, &digest)?;
        Ok(ResolvedImage {
            manifest: digest,
            config,
        })
    }

    /// Remembers an image of a registry and where its layers come from.
    pub(crate) fn register(
        &self,
        reference: &Reference,
        manifest_digest: Digest,
        manifest: &Manifest,
        config: &ImageConfig,
    ) {
        let layers: Arc<[LayerId]> = chain_ids(&config.rootfs.diff_ids).into();
        self.known().layers.insert(manifest_digest, layers);
        self.remember(reference, manifest, config);
    }

    pub(crate) fn remember(&self, reference: &Reference, manifest: &Manifest, config: &ImageConfig) {
        let ids = chain_ids(&config.rootfs.diff_ids);
        let mut known = self.known();
        for ((id, descriptor), diff_id) in ids.into_iter().zip(&manifest.layers).zip(&config.rootfs.diff_ids) {
            let origin = Origin {
                place: Place::Image(reference.clone()),
                descriptor: descriptor.clone(),
                diff_id: *diff_id,
            };
            known.origins.entry(id).or_insert(origin);
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The layers of an image that was resolved.
    pub(crate) fn layers(&self, manifest: &Digest) -> Arc<[LayerId]> {
        self.known()
            .layers
            .get(manifest)
            .cloned()
            .unwrap_or_else(|| Arc::from([]))
    }

    /// Where a layer comes from, if it is one of an image that was resolved.
    pub(crate) fn base(&self, layer: &LayerId) -> Option<Origin> {
        self.known().origins.get(layer).cloned()
    }

    /// Where a layer comes from, if it is one of an image that was resolved, or of a cache.
    pub(crate) fn origin(&self, layer: &LayerId) -> Option<Origin> {
        let in_cache = || Some(Origin::in_cache(layer.clone(), self.caches.find(layer)?));
        self.base(layer).or_else(in_cache)
    }

    /// Where a compressed layer comes from.
    pub(crate) fn origin_of_blob(&self, digest: &Digest) -> Option<Origin> {
        let of_image = self
            .known()
            .origins
            .values()
            .find(|origin| origin.descriptor.digest == *digest)
            .cloned();
        let in_cache = || {
            self.caches
                .find_blob(digest)
                .map(|(layer, found)| Origin::in_cache(layer, found))
        };
        of_image.or_else(in_cache)
    }

    /// The bytes of a layer from where it comes from. Who keeps them looks at their digest.
    pub(crate) fn blob_reader<'r>(
        &'r self,
        origin: &Origin,
        report: Box<dyn Fn(u64) + Send + 'r>,
    ) -> StepResult<Box<dyn Read + Send + 'r>> {
        let blob = &origin.descriptor;
        let image = match &origin.place {
            Place::Image(image) => image,
            Place::Cache(layer, found) => return self.caches.open(layer, found, report),
        };
        Ok(match self.layouts.get(image) {
            Some(layout) => layout.must_open(&blob_name(&blob.digest))?.reader,
            None => Box::new(self.registry.blob_reader(image, blob, report)?),
        })
    }

    /// Makes sure that a layer that a step made is unpacked in the store.
    pub(crate) fn materialize_one(&self, layer: &LayerId) -> StepResult<()> {
        self.materialize(std::slice::from_ref(layer))
    }

    /// Makes sure that all layers are unpacked in the store, fetching those that are not.
    pub(crate) fn materialize(&self, layers: &[LayerId]) -> StepResult<()> {
        let missing = self.missing(layers)?;
        if missing.is_empty() {
            return Ok(());
        }
        crate::fetch::fetch_layers(self, layers, &missing)
    }

    /// Whether all layers are unpacked in the store.
    pub(crate) fn are_in_store(&self, layers: &[LayerId]) -> StepResult<bool> {
        Ok(self.missing(layers)?.is_empty())
    }

    /// Stacks grow by a layer with each step: what was there once is not asked for again.
    fn missing<'l>(&self, layers: &'l [LayerId]) -> StepResult<Vec<&'l LayerId>> {
        let unknown: Vec<_> = {
            let known = self.known();
            let is_unknown = |layer: &&LayerId| !known.unpacked.contains(*layer);
            layers.iter().filter(is_unknown).collect()
        };
        let (mut there, mut missing) = (Vec::new(), Vec::new());
        // Others need not wait while the store is asked.
        for layer in unknown {
            match self.store.layer(layer)? {
                Some(_) => there.push(layer.clone()),
                None => missing.push(layer),
            }
        }
        self.known().unpacked.extend(there);
        Ok(missing)
    }

    /// Knows from now on what is so of a layer that was made just now.
    pub(crate) fn made(&self, layer: &LayerId, info: &LayerInfo) {
        self.known().unpacked.insert(layer.clone());
        self.stacks.made(layer, info);
    }

    /// Has all layers asked for again: some of them are forgotten.
    pub(crate) fn forget_unpacked(&self) {
        self.known().unpacked.clear();
    }
}

/// Configs and manifests are small; what is larger is no image but an attack on memory.
pub(crate) const MAX_DOCUMENT: u64 = 4 << 20;

pub(crate) fn parse_config(bytes: &[u8], image: &Reference) -> StepResult<ImageConfig> {
    serde_json::from_slice(bytes).map_err(|error| {
        StepError::Invalid(format!(
            "the config of {} is no image config: {error}",
            image.familiar()
        ))
    })
}

pub(crate) fn parse_manifest(bytes: &[u8], image: &Reference) -> StepResult<Manifest> {
    serde_json::from_slice(bytes)
        .map_err(|error| StepError::Invalid(format!("the manifest of {} is none: {error}", image.familiar())))
}

/// Manifest and config each have a list of the layers.
pub(crate) fn same_layers(manifest: &Manifest, config: &ImageConfig, image: &Reference) -> StepResult<()> {
    let (listed, described) = (manifest.layers.len(), config.rootfs.diff_ids.len());
    if listed == described {
        return Ok(());
    }
    Err(StepError::Invalid(format!(
        "the manifest of {} has {listed} layers and its config {described}: the image is damaged or lies",
        image.familiar()
    )))
}

/// The compression of a layer by its media type; an error for what is no layer.
pub(crate) fn compression_of(descriptor: &Descriptor) -> StepResult<Compression> {
    Compression::of_layer(&descriptor.media_type).ok_or_else(|| {
        StepError::Unsupported(format!(
            "layer {} has the unknown media type `{}`",
            descriptor.digest.short(),
            descriptor.media_type
        ))
    })
}

/// A reader that keeps a copy of what passes.
pub(crate) struct Tee<R, W> {
    pub(crate) reader: R,
    pub(crate) copy: W,
}

impl<R: std::io::Read, W: std::io::Write> std::io::Read for Tee<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.copy.write_all(&buffer[..count])?;
        Ok(count)
    }
}
