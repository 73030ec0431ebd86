//! Images between the store, registries and files.

use std::collections::BTreeMap;

use kiln_image::media_type;
use kiln_image::{Descriptor, Digest, Manifest, Platform, Reference};
use kiln_layer::Times;
use kiln_plan::ImageRequest;
use kiln_store::{Found, Image};

use crate::assemble;
use crate::builder::{Builder, FIRST_TASK};
use crate::cancel::{Cancel, Watched};
use crate::error::{Error, StepError, StepResult};
use crate::event::Sink;
use crate::export::{self, ArchiveImage};
use crate::images::{Images, MAX_DOCUMENT, parse_config, parse_manifest};
use crate::request::{AnnotationPlace, Annotations, Destination, LayerOptions};
use crate::session::{Task, Tasks};

/// An image of the store with its config.
pub(crate) struct Stored {
    pub(crate) image: Image,
    pub(crate) config: Vec<u8>,
    pub(crate) created: Option<String>,
    /// The time stamps that it was built with, if somebody said.
    pub(crate) epoch: Option<i64>,
    /// What is noted where it is written.
    pub(crate) annotations: Annotations,
}

impl Stored {
    /// What becomes of the times of files that leave without an image around them.
    pub(crate) fn times(&self) -> Times {
        self.epoch.map_or(Times::Keep, Times::Set)
    }

    fn notes(&self, place: AnnotationPlace) -> BTreeMap<String, String> {
        self.annotations.of(place, &self.image.platform)
    }
}

impl Builder {
    /// Fetches an image with all its layers and names it. Gives the digest of its manifest.
    pub fn pull(
        &self,
        reference: &Reference,
        platform: &Platform,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<Digest, Error> {
        let _in_use = self.store.in_use().map_err(StepError::from)?;
        let tasks = Tasks::new(sink, FIRST_TASK);
        let images = Images::new(&self.store, &self.registry, &tasks, cancel);
        Ok(pull(&images, reference, platform)?)
    }

    /// Sends an image of the store to its registry. Gives the digest of its manifest.
    pub fn push(&self, reference: &Reference, sink: &dyn Sink, cancel: &Cancel) -> Result<Digest, Error> {
        let _in_use = self.store.in_use().map_err(StepError::from)?;
        let tasks = Tasks::new(sink, FIRST_TASK);
        let images = Images::new(&self.store, &self.registry, &tasks, cancel);
        let (image, _) = self.find(&reference.to_string())?;
        let stored = stored(&images, image)?;
        Ok(push(&images, &stored, reference, LayerOptions::default())?
            .descriptor()
            .digest)
    }

    /// Writes images of the store, named or by ID, as an archive for `docker load`.
    pub fn save(&self, names: &[String], dest: &Destination, sink: &dyn Sink, cancel: &Cancel) -> Result<(), Error> {
        let _in_use = self.store.in_use().map_err(StepError::from)?;
        let tasks = Tasks::new(sink, FIRST_TASK);
        let images = Images::new(&self.store, &self.registry, &tasks, cancel);
        let mut archives = Vec::new();
        for name in names {
            let (image, reference) = self.find(name)?;
            let stored = stored(&images, image)?;
            archives.push(archive(
                &images,
                &stored,
                reference.as_slice(),
                LayerOptions::default(),
            )?);
        }
        Ok(export::with_destination(dest, |out| {
            export::write_docker(&self.store, &archives, out)
        })?)
    }

    pub(crate) fn find(&self, name: &str) -> Result<(Image, Option<Reference>), Error> {
        match self.store.find_image(name).map_err(StepError::from)? {
            Found::Image(image, reference) => Ok((image, reference)),
            Found::Nothing => Err(Error::NoSuchImage(name.to_owned())),
            Found::Ambiguous(count) => Err(Error::AmbiguousImage(name.to_owned(), count)),
        }
    }
}

/// Reads an image's config, and where its layers come from if a registry gave them.
pub(crate) fn stored(images: &Images<'_>, image: Image) -> StepResult<Stored> {
    let name = Reference::new("docker.io", "library/image", None, None);
    let config = images.store.read_blob(&image.id, MAX_DOCUMENT)?;
    let parsed = parse_config(&config, &name)?;
    if let Some(manifest) = image.manifest
        && images.store.has_blob(&manifest)
    {
        let manifest = parse_manifest(&images.store.read_blob(&manifest, MAX_DOCUMENT)?, &name)?;
        images.remember(&name, &manifest, &parsed);
    }
    Ok(Stored {
        image,
        config,
        created: parsed.created,
        epoch: None,
        annotations: Annotations::default(),
    })
}

fn pull(images: &Images<'_>, reference: &Reference, platform: &Platform) -> StepResult<Digest> {
    let request = ImageRequest {
        reference: reference.clone(),
        platform: platform.clone(),
    };
    let resolved = images.ask_registry(&request)?;
    let layers = images.layers(&resolved.manifest);
    images.materialize(&layers)?;
    let mut size = 0;
    for layer in layers.iter() {
        size += images.store.layer(layer)?.map_or(0, |row| row.size);
    }
    let manifest = parse_manifest(&images.store.read_blob(&resolved.manifest, MAX_DOCUMENT)?, reference)?;
    let image = Image {
        id: manifest.config.digest,
        manifest: Some(resolved.manifest),
        layers: layers.to_vec(),
        platform: resolved.config.platform(),
        size,
        created: jiff::Timestamp::now().as_second(),
    };
    images.store.put_image(&image)?;
    if reference.digest().is_none() {
        images.store.tag(reference, &image.id)?;
    }
    Ok(resolved.manifest)
}

/// The image with all layers compressed that are ours: what an archive takes, once the others are fetched.
fn compressed(
    images: &Images<'_>,
    stored: &Stored,
    names: &[Reference],
    options: LayerOptions,
) -> StepResult<ArchiveImage> {
    let image = &stored.image;
    let made = |manifest, config: &[u8], digest, layers| ArchiveImage {
        manifest,
        manifest_type: media_type::OCI_MANIFEST.to_owned(),
        config: digest,
        config_size: config.len() as u64,
        layers,
        platform: image.platform.clone(),
        names: names.to_vec(),
        created: stored.created.clone(),
        annotations: stored.notes(AnnotationPlace::ManifestDescriptor),
        index: None,
    };
    let notes = stored.notes(AnnotationPlace::Manifest);
    let latest = stored.epoch.filter(|_| options.rewrite_timestamp);
    let mut archive = if let Some(latest) = latest {
        let (layers, config) = assemble::dated_back(images, &image.layers, &stored.config, options, latest)?;
        let manifest = assemble::manifest(&config, layers.clone(), notes)?;
        made(manifest, &config, images.store.put_blob(&config)?, layers)
    } else if let Some((bytes, manifest)) = kept_manifest(images, image, options)? {
        let made = made(bytes, &stored.config, image.id, manifest.layers);
        if manifest.media_type.is_empty() {
            made
        } else {
            ArchiveImage {
                manifest_type: manifest.media_type,
                ..made
            }
        }
    } else {
        let layers = assemble::layer_blobs(images, &image.layers, options)?;
        let manifest = assemble::manifest(&stored.config, layers.clone(), notes)?;
        made(manifest, &stored.config, image.id, layers)
    };
    if stored.annotations.need_index() {
        archive.add_index(
            stored.notes(AnnotationPlace::Index),
            stored.notes(AnnotationPlace::IndexDescriptor),
        )?;
    }
    Ok(archive)
}

/// The manifest that the image has already: bytes that came from elsewhere stay as they came.
fn kept_manifest(images: &Images<'_>, image: &Image, options: LayerOptions) -> StepResult<Option<(Vec<u8>, Manifest)>> {
    let kept = |digest: &Digest| images.store.has_blob(digest) && !options.force;
    let Some(digest) = image.manifest.filter(kept) else {
        return Ok(None);
    };
    let bytes = images.store.read_blob(&digest, MAX_DOCUMENT)?;
    let name = Reference::new("docker.io", "library/image", None, None);
    let manifest = parse_manifest(&bytes, &name)?;
    Ok(Some((bytes, manifest)))
}

/// The image with everything that an archive takes.
pub(crate) fn archive(
    images: &Images<'_>,
    stored: &Stored,
    names: &[Reference],
    options: LayerOptions,
) -> StepResult<ArchiveImage> {
    let archive = compressed(images, stored, names, options)?;
    fetch_blobs(images, &archive.layers)?;
    Ok(archive)
}

/// Layers of the base that nothing unpacked are still with their registry.
fn fetch_blobs(images: &Images<'_>, layers: &[Descriptor]) -> StepResult<()> {
    for layer in layers {
        if images.store.has_blob(&layer.digest) {
            continue;
        }
        let origin = images.origin_of_blob(&layer.digest);
        let origin = origin.ok_or_else(|| StepError::LostLayer {
            layer: layer.digest.short(),
            image: "an image of the store".to_owned(),
        })?;
        let task = images.tasks.start(format!("fetch layer {}", layer.digest.short()));
        let part = layer.digest.short();
        let report = |bytes: u64| task.progress(&part, bytes, Some(layer.size));
        let mut reader = Watched {
            inner: images.blob_reader(&origin.image, layer, Box::new(report))?,
            cancel: images.cancel,
        };
        let mut writer = images.store.blob_writer()?;
        std::io::copy(&mut reader, &mut writer).map_err(StepError::io("download", &part))?;
        drop(reader);
        writer.commit(Some(layer.digest))?;
        task.done();
    }
    Ok(())
}

/// Sends an image: blobs that the registry lacks, config, manifest. Gives what was sent.
pub(crate) fn push(
    images: &Images<'_>,
    stored: &Stored,
    reference: &Reference,
    options: LayerOptions,
) -> StepResult<ArchiveImage> {
    let task = images.tasks.start(format!("push {}", reference.familiar()));
    let image = compressed(images, stored, &[], options)?;
    for layer in &image.layers {
        if images.cancel.is_canceled() {
            return Err(StepError::Canceled);
        }
        push_blob(images, reference, layer, &task)?;
    }
    let config = Descriptor::new(media_type::OCI_CONFIG, image.config, image.config_size);
    push_blob(images, reference, &config, &task)?;
    let digest = push_documents(images, reference, &image)?;
    if image.config == stored.image.id && images.store.image(&image.config)?.is_some() {
        images.store.put_blob(&image.manifest)?;
        images.store.put_image(&Image {
            manifest: Some(digest),
            ..stored.image.clone()
        })?;
    }
    task.done();
    Ok(image)
}

/// Sends the manifest, and the index if there is one: then only that gets the name. Gives the manifest's digest.
fn push_documents(images: &Images<'_>, reference: &Reference, image: &ArchiveImage) -> StepResult<Digest> {
    let push = |name: &Reference, kind: &str, bytes: &[u8]| images.registry.push_manifest(name, kind, bytes);
    let Some(index) = &image.index else {
        return Ok(push(reference, &image.manifest_type, &image.manifest)?);
    };
    let pinned = reference.pinned(Digest::of(&image.manifest));
    let digest = push(&pinned, &image.manifest_type, &image.manifest)?;
    push(reference, media_type::OCI_INDEX, &index.bytes)?;
    Ok(digest)
}

fn push_blob(images: &Images<'_>, reference: &Reference, blob: &Descriptor, task: &Task<'_>) -> StepResult<()> {
    let origin = images.origin_of_blob(&blob.digest);
    let path = images.store.blob_path(&blob.digest);
    // What the store does not have goes from one registry to the other.
    let open = || -> std::io::Result<Box<dyn std::io::Read + Send>> {
        match (std::fs::File::open(&path), &origin) {
            (Err(error), Some(origin)) if error.kind() == std::io::ErrorKind::NotFound => {
                let reader = images.blob_reader(&origin.image, blob, Box::new(|_| {}));
                reader.map_err(std::io::Error::other)
            }
            (file, _) => Ok(Box::new(file?)),
        }
    };
    let part = blob.digest.short();
    let report = |bytes: u64| task.progress(&part, bytes, Some(blob.size));
    let mounts: Vec<Reference> = origin
        .iter()
        .map(|origin| origin.image.clone())
        .filter(|from| from.registry() == reference.registry())
        .collect();
    images.registry.push_blob(reference, blob, &open, &mounts, &report)?;
    Ok(())
}
