//! Images between the store, registries and files.

use std::borrow::Borrow;

use kiln_image::media_type;
use kiln_image::{Descriptor, Digest, Platform, Reference};
use kiln_plan::ImageRequest;
use kiln_store::{Entry, Found, Image};

use crate::builder::{Builder, FIRST_TASK};
use crate::cancel::Cancel;
use crate::error::{Error, StepError, StepResult};
use crate::event::Sink;
use crate::export;
use crate::images::{Images, MAX_DOCUMENT, parse_config, parse_manifest};
use crate::package::{Package, PackedImage, Packing, Stored, StoredImage, pack, pack_whole};
use crate::request::{Annotations, Destination, LayerOptions};
use crate::session::{Task, Tasks};

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

    /// Sends an image of the store to its registry, or all those of an index, or of these the one for a platform. Gives
    /// the digest of its manifest or index.
    pub fn push(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<Digest, Error> {
        let _in_use = self.store.in_use().map_err(StepError::from)?;
        let tasks = Tasks::new(sink, FIRST_TASK);
        let images = Images::new(&self.store, &self.registry, &tasks, cancel);
        let (entry, _) = self.find(&reference.to_string())?;
        let stored = stored(&images, &entry, &reference.familiar(), platform.as_slice())?;
        let sent = images.despite_damage(|| push(&images, &stored, reference, AS_THEY_ARE))?;
        Ok(sent.descriptor().digest)
    }

    /// Writes images of the store, named or by ID, as an archive for `docker load`; of indexes those for the platforms, or
    /// all where none is given.
    pub fn save(
        &self,
        names: &[String],
        platforms: &[Platform],
        dest: &Destination,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<(), Error> {
        let _in_use = self.store.in_use().map_err(StepError::from)?;
        let tasks = Tasks::new(sink, FIRST_TASK);
        let images = Images::new(&self.store, &self.registry, &tasks, cancel);
        let mut archives = Vec::new();
        for name in names {
            let (entry, reference) = self.find(name)?;
            let stored = stored(&images, &entry, name, platforms)?;
            archives.push(images.despite_damage(|| pack_whole(&images, &stored, reference.as_slice(), AS_THEY_ARE))?);
        }
        Ok(export::with_destination(dest, |out| {
            export::write_docker(&self.store, &archives, out)
        })?)
    }

    fn find(&self, name: &str) -> Result<(Entry, Option<Reference>), Error> {
        match self.store.find_image(name).map_err(StepError::from)? {
            Found::One(entry, reference) => Ok((entry, reference)),
            Found::Nothing => Err(Error::NoSuchImage(name.to_owned())),
            Found::Ambiguous(count) => Err(Error::AmbiguousImage(name.to_owned(), count)),
        }
    }
}

/// How images of the store leave it when nobody says how.
pub(crate) const AS_THEY_ARE: Packing<'_> = Packing {
    layers: LayerOptions::DEFAULT,
    annotations: &Annotations(Vec::new()),
};

/// What there is to know of an image or an index of the store before it is written: all of it, or what there is for these
/// platforms. One image alone goes without an index then, as docker sends it.
pub(crate) fn stored<P: Borrow<Platform>>(
    images: &Images<'_>,
    entry: &Entry,
    name: &str,
    platforms: &[P],
) -> StepResult<Stored> {
    let chosen = chosen(entry, name, platforms)?;
    let each: StepResult<Vec<_>> = chosen.iter().map(|image| stored_image(images, image)).collect();
    Ok(Stored {
        several: chosen.len() > 1,
        images: each?,
        epoch: None,
        index: match entry {
            Entry::Index(index) if platforms.is_empty() => Some(index.id),
            _ => None,
        },
    })
}

/// The images for the platforms, each once; all where none is given.
fn chosen<'e, P: Borrow<Platform>>(entry: &'e Entry, name: &str, platforms: &[P]) -> StepResult<Vec<&'e Image>> {
    if platforms.is_empty() {
        return Ok(entry.images().iter().collect());
    }
    let mut chosen = Vec::new();
    for platform in platforms.iter().map(Borrow::borrow) {
        let image = entry.select(platform).ok_or_else(|| StepError::NoPlatform {
            what: name.to_owned(),
            wanted: platform.to_string(),
            offered: entry.images().iter().map(|image| image.platform.to_string()).collect(),
        })?;
        if !chosen.contains(&image) {
            chosen.push(image);
        }
    }
    Ok(chosen)
}

/// Reads an image's config, and where its layers come from if a registry gave them.
pub(crate) fn stored_image(images: &Images<'_>, image: &Image) -> StepResult<StoredImage> {
    let name = Reference::new("docker.io", "library/image", None, None);
    let config = images.store.read_blob(&image.id, MAX_DOCUMENT)?;
    let parsed = parse_config(&config, &name)?;
    if let Some(manifest) = image.manifest
        && images.has_whole_blob(&manifest)?
    {
        let manifest = parse_manifest(&images.store.read_blob(&manifest, MAX_DOCUMENT)?, &name)?;
        images.remember(&name, &manifest, &parsed);
    }
    Ok(StoredImage {
        image: image.clone(),
        config,
        created: parsed.created,
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

/// Sends images: blobs that the registry lacks, configs, manifests, and the index if there is one, which then gets the
/// name. Gives what was sent.
pub(crate) fn push(
    images: &Images<'_>,
    stored: &Stored,
    reference: &Reference,
    packing: Packing<'_>,
) -> StepResult<Package> {
    let task = images.tasks.start(format!("push {}", reference.familiar()));
    let package = pack(images, stored, &[], packing)?;
    for image in &package.images {
        for layer in &image.layers {
            if images.cancel.is_canceled() {
                return Err(StepError::Canceled);
            }
            push_blob(images, reference, layer, &task)?;
        }
        let config = Descriptor::new(media_type::OCI_CONFIG, image.config, image.config_size);
        push_blob(images, reference, &config, &task)?;
    }
    let work = images.tasks.work("push manifests");
    push_documents(images, reference, &package)?;
    drop(work);
    if let ([one], Some(sent)) = (&stored.images[..], package.single()) {
        remember_manifest(images, one, sent)?;
    }
    task.done();
    Ok(package)
}

fn push_documents(images: &Images<'_>, reference: &Reference, package: &Package) -> StepResult<()> {
    let push = |name: &Reference, kind: &str, bytes: &[u8]| images.registry.push_manifest(name, kind, bytes);
    let Some(index) = &package.index else {
        let image = &package.images[0];
        push(reference, &image.manifest_type, &image.manifest)?;
        return Ok(());
    };
    for image in &package.images {
        let pinned = reference.pinned(Digest::of(&image.manifest));
        push(&pinned, &image.manifest_type, &image.manifest)?;
    }
    push(reference, &index.media_type, &index.bytes)?;
    Ok(())
}

/// An image of the store that was sent has the manifest that was sent.
fn remember_manifest(images: &Images<'_>, stored: &StoredImage, sent: &PackedImage) -> StepResult<()> {
    if sent.config == stored.image.id && images.store.image(&sent.config)?.is_some() {
        images.store.put_image(&Image {
            manifest: Some(images.store.put_blob(&sent.manifest)?),
            ..stored.image.clone()
        })?;
    }
    Ok(())
}

fn push_blob(images: &Images<'_>, reference: &Reference, blob: &Descriptor, task: &Task<'_>) -> StepResult<()> {
    let origin = images.origin_of_blob(&blob.digest);
    let path = images.store.blob_path(&blob.digest);
    let mut work = images.tasks.work("push").on(&blob.digest.short());
    work.bytes(blob.size);
    // What the store does not have goes from one registry to the other.
    let open = || -> std::io::Result<Box<dyn std::io::Read + Send + '_>> {
        let in_store = images.has_whole_blob(&blob.digest).map_err(std::io::Error::other)?;
        match &origin {
            Some(origin) if !in_store => {
                let reader = images.blob_reader(origin, Box::new(|_| {}));
                reader.map_err(std::io::Error::other)
            }
            _ => Ok(Box::new(std::fs::File::open(&path)?)),
        }
    };
    let part = blob.digest.short();
    let report = |bytes: u64| task.progress(&part, bytes, Some(blob.size));
    let mounts: Vec<Reference> = origin
        .iter()
        .filter_map(|origin| origin.repository())
        .filter(|from| from.registry() == reference.registry())
        .cloned()
        .collect();
    images.registry.push_blob(reference, blob, &open, &mounts, &report)?;
    Ok(())
}
