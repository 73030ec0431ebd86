//! Images as they are written to files and registries: with compressed layers, manifests, and an index where several
//! platforms or notes need one.

use std::collections::BTreeMap;

use kiln_image::media_type::Family;
use kiln_image::{Descriptor, Digest, Index, Manifest, Platform, Reference};
use kiln_layer::Times;
use kiln_store::{Image, ImageIndex};

use crate::assemble;
use crate::cancel::Watched;
use crate::error::{StepError, StepResult};
use crate::images::{Images, MAX_DOCUMENT, parse_manifest};
use crate::parallel::{self, processors};
use crate::request::{AnnotationPlace, Annotations, LayerOptions};

/// An image of the store with its config.
#[derive(Debug, Clone)]
pub(crate) struct StoredImage {
    pub(crate) image: Image,
    pub(crate) config: Vec<u8>,
    pub(crate) created: Option<String>,
}

/// What is written under one name: an image, or one for each of several platforms.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) images: Vec<StoredImage>,
    /// The time stamps that they were built with, if somebody said.
    pub(crate) epoch: Option<i64>,
    /// The index that the store has of them, which goes out as it is.
    pub(crate) index: Option<Digest>,
    /// Whether they go out under an index, even if it is one.
    pub(crate) several: bool,
}

impl<'a> Packing<'a> {
    pub(crate) fn new(mut layers: LayerOptions, annotations: &'a Annotations) -> Self {
        if !annotations.0.is_empty() {
            layers.types = Family::Oci;
        }
        Self { layers, annotations }
    }
}

impl Stored {
    /// What becomes of the times of files that leave without an image around them.
    pub(crate) fn times(&self) -> Times {
        self.epoch.map_or(Times::Keep, Times::Set)
    }

    /// When the last of them was made.
    fn created(&self) -> Option<String> {
        let times = self.images.iter().filter_map(|one| one.created.clone());
        times.max_by_key(|text| text.parse::<jiff::Timestamp>().ok())
    }
}

/// How images are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packing<'a> {
    pub(crate) layers: LayerOptions,
    /// What is noted in their documents.
    pub(crate) annotations: &'a Annotations,
}

/// Images and their documents. Blobs are in the store, or with the registry that their image comes from.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    /// One for each platform.
    pub(crate) images: Vec<PackedImage>,
    /// The index over them; there is one where there are several.
    pub(crate) index: Option<PackedIndex>,
    pub(crate) names: Vec<Reference>,
    pub(crate) created: Option<String>,
}

/// One image.
#[derive(Debug, Clone)]
pub(crate) struct PackedImage {
    pub(crate) manifest: Vec<u8>,
    pub(crate) manifest_type: String,
    pub(crate) config: Digest,
    pub(crate) config_size: u64,
    pub(crate) layers: Vec<Descriptor>,
    pub(crate) platform: Platform,
    /// Notes where the manifest is named.
    pub(crate) annotations: BTreeMap<String, String>,
}

/// An index.
#[derive(Debug, Clone)]
pub(crate) struct PackedIndex {
    pub(crate) bytes: Vec<u8>,
    pub(crate) media_type: String,
    /// Notes where the index is named.
    pub(crate) annotations: BTreeMap<String, String>,
}

impl PackedImage {
    /// Its manifest.
    pub(crate) fn descriptor(&self) -> Descriptor {
        Descriptor {
            platform: Some(self.platform.clone()),
            annotations: self.annotations.clone(),
            ..Descriptor::of(self.manifest_type.clone(), &self.manifest)
        }
    }

    /// Everything that the manifest names: the config, then the layers.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = (Digest, u64)> {
        let layers = self.layers.iter().map(|layer| (layer.digest, layer.size));
        [(self.config, self.config_size)].into_iter().chain(layers)
    }
}

impl PackedIndex {
    fn new(images: &[PackedImage], packing: Packing<'_>) -> StepResult<Self> {
        let annotations = packing.annotations;
        let index = Index {
            schema_version: 2,
            media_type: packing.layers.types.index().to_owned(),
            manifests: images.iter().map(PackedImage::descriptor).collect(),
            annotations: annotations.of(AnnotationPlace::Index, None),
        };
        Ok(Self {
            bytes: assemble::to_json_pretty(&index)?,
            media_type: index.media_type,
            annotations: annotations.of(AnnotationPlace::IndexDescriptor, None),
        })
    }

    /// One that the store has.
    fn kept(images: &Images<'_>, digest: &Digest) -> StepResult<Self> {
        let bytes = images.store.read_blob(digest, MAX_DOCUMENT)?;
        let index: Index = serde_json::from_slice(&bytes)
            .map_err(|error| StepError::Invalid(format!("the index {digest} of the store is none: {error}")))?;
        Ok(Self {
            bytes,
            media_type: index.media_type,
            annotations: BTreeMap::new(),
        })
    }

    fn descriptor(&self) -> Descriptor {
        Descriptor {
            annotations: self.annotations.clone(),
            ..Descriptor::of(self.media_type.clone(), &self.bytes)
        }
    }
}

impl Package {
    /// What stands for all of it: the index if it has one, else the manifest.
    pub(crate) fn descriptor(&self) -> Descriptor {
        match (&self.index, &self.images[..]) {
            (Some(index), _) => index.descriptor(),
            (None, images) => images[0].descriptor(),
        }
    }

    /// The image where there is one alone.
    pub(crate) fn single(&self) -> Option<&PackedImage> {
        match &self.images[..] {
            [one] => Some(one),
            _ => None,
        }
    }

    /// The image for readers that know one for a name: this machine's, else the first.
    pub(crate) fn native(&self) -> &PackedImage {
        let host = Platform::host();
        let found = self
            .images
            .iter()
            .filter_map(|image| Some((host.distance(&image.platform)?, image)));
        found
            .min_by_key(|(distance, _)| *distance)
            .map_or(&self.images[0], |(_, image)| image)
    }

    /// Manifests and index.
    pub(crate) fn documents(&self) -> impl Iterator<Item = &[u8]> {
        let index = self.index.iter().map(|index| &index.bytes[..]);
        self.images.iter().map(|image| &image.manifest[..]).chain(index)
    }

    /// Everything that the manifests name.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = (Digest, u64)> {
        self.images.iter().flat_map(PackedImage::blobs)
    }
}

/// The images with all layers compressed that are ours.
pub(crate) fn pack(
    images: &Images<'_>,
    stored: &Stored,
    names: &[Reference],
    packing: Packing<'_>,
) -> StepResult<Package> {
    let packed: StepResult<Vec<PackedImage>> = stored
        .images
        .iter()
        .map(|one| pack_one(images, one, stored.epoch, packing))
        .collect();
    let packed = packed?;
    let index = match &stored.index {
        Some(digest) => Some(PackedIndex::kept(images, digest)?),
        None if stored.several || packing.annotations.need_index() => Some(PackedIndex::new(&packed, packing)?),
        None => None,
    };
    Ok(Package {
        images: packed,
        index,
        names: names.to_vec(),
        created: stored.created(),
    })
}

/// The same with everything in the store that an archive takes, as it was written.
pub(crate) fn pack_whole(
    images: &Images<'_>,
    stored: &Stored,
    names: &[Reference],
    packing: Packing<'_>,
) -> StepResult<Package> {
    let package = pack(images, stored, names, packing)?;
    fetch_missing(images, &package, |digest| images.has_whole_blob(digest))?;
    Ok(package)
}

/// An index over images that are in the store. It names manifests, so layers are compressed for it.
pub(crate) fn keep_index(images: &Images<'_>, stored: &Stored, packing: Packing<'_>) -> StepResult<Descriptor> {
    let package = pack(images, stored, &[], packing)?;
    fetch_missing(images, &package, |digest| Ok(images.store.has_blob(digest)?))?;
    for document in package.documents() {
        images.store.put_blob(document)?;
    }
    let named = |(one, packed): (&StoredImage, &PackedImage)| Image {
        manifest: Some(packed.descriptor().digest),
        ..one.image.clone()
    };
    let descriptor = package.descriptor();
    let created = stored.images.iter().map(|one| one.image.created);
    images.store.put_index(&ImageIndex {
        id: descriptor.digest,
        images: stored.images.iter().zip(&package.images).map(named).collect(),
        created: created.max().unwrap_or_default(),
    })?;
    Ok(descriptor)
}

fn pack_one(
    images: &Images<'_>,
    stored: &StoredImage,
    epoch: Option<i64>,
    packing: Packing<'_>,
) -> StepResult<PackedImage> {
    let (image, options) = (&stored.image, packing.layers);
    let notes = |place| packing.annotations.of(place, Some(&image.platform));
    let made = |manifest, config: &[u8], digest, layers| PackedImage {
        manifest,
        manifest_type: options.types.manifest().to_owned(),
        config: digest,
        config_size: config.len() as u64,
        layers,
        platform: image.platform.clone(),
        annotations: notes(AnnotationPlace::ManifestDescriptor),
    };
    let inside = notes(AnnotationPlace::Manifest);
    if let Some(latest) = epoch.filter(|_| options.rewrite_timestamp) {
        let (layers, config) = assemble::dated_back(images, &image.layers, &stored.config, options, latest)?;
        let manifest = assemble::manifest(&config, layers.clone(), options.types, inside)?;
        return Ok(made(manifest, &config, images.store.put_blob(&config)?, layers));
    }
    if let Some((bytes, manifest)) = kept_manifest(images, image, options)? {
        let made = made(bytes, &stored.config, image.id, manifest.layers);
        if manifest.media_type.is_empty() {
            return Ok(made);
        }
        return Ok(PackedImage {
            manifest_type: manifest.media_type,
            ..made
        });
    }
    let layers = assemble::layer_blobs(images, &image.layers, options)?;
    let manifest = assemble::manifest(&stored.config, layers.clone(), options.types, inside)?;
    Ok(made(manifest, &stored.config, image.id, layers))
}

/// The manifest that the image has already: bytes that came from elsewhere stay as they came.
fn kept_manifest(images: &Images<'_>, image: &Image, options: LayerOptions) -> StepResult<Option<(Vec<u8>, Manifest)>> {
    let Some(digest) = image.manifest.filter(|_| !options.force) else {
        return Ok(None);
    };
    if !images.has_whole_blob(&digest)? {
        return Ok(None);
    }
    let bytes = images.store.read_blob(&digest, MAX_DOCUMENT)?;
    let name = Reference::new("docker.io", "library/image", None, None);
    let manifest = parse_manifest(&bytes, &name)?;
    Ok(Some((bytes, manifest)))
}

/// Layers of the base that nothing unpacked are still with their registry.
fn fetch_missing(
    images: &Images<'_>,
    package: &Package,
    is_there: impl Fn(&Digest) -> StepResult<bool> + Sync,
) -> StepResult<()> {
    let layers: Vec<&Descriptor> = package.images.iter().flat_map(|image| &image.layers).collect();
    let work = images.tasks.work("check");
    let there = parallel::map(&layers, processors(), |layer| is_there(&layer.digest))?;
    drop(work);
    let mut missing = layers.into_iter().zip(there).filter(|(_, there)| !there);
    missing.try_for_each(|(layer, _)| fetch_blob(images, layer))
}

/// A blob of a layer, from where it comes from unless the store has it.
pub(crate) fn fetch_blob(images: &Images<'_>, layer: &Descriptor) -> StepResult<()> {
    if images.store.has_blob(&layer.digest)? {
        return Ok(());
    }
    let origin = images.origin_of_blob(&layer.digest);
    let origin = origin.ok_or_else(|| StepError::LostLayer {
        layer: layer.digest.short(),
        image: "an image of the store".to_owned(),
    })?;
    let part = layer.digest.short();
    let task = images.tasks.start(format!("fetch layer {part}"));
    let report = |bytes: u64| task.progress(&part, bytes, Some(layer.size));
    let mut reader = Watched {
        inner: images.blob_reader(&origin, Box::new(report))?,
        cancel: images.cancel,
    };
    let mut writer = images.store.blob_writer(Some(layer.size))?;
    std::io::copy(&mut reader, &mut writer).map_err(StepError::io("download", &part))?;
    drop(reader);
    writer.commit(Some(layer.digest))?;
    task.done();
    Ok(())
}
