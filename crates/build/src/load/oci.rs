//! OCI layouts (image specification, image-layout.md).

use kiln_image::media_type::{self, Compression};
use kiln_image::{Descriptor, Digest, Index, Reference};
use kiln_store::Store;

use super::{Archived, Entry, Files, absent, lookup, not_an_image};
use crate::error::{Error, StepError, StepResult};
use crate::images::{MAX_DOCUMENT, parse_manifest};
use crate::layout::{IMAGE_NAME, INDEX, REF_NAME, blob_name};

/// What names blobs, for messages.
const NAMED_BY: &str = "index or manifest";

/// The images of a layout with that index. Descriptors of the same image under several names give one entry.
pub(super) fn entries(store: &Store, files: &Files, layout: &Index) -> Result<Vec<Entry>, Error> {
    let mut entries: Vec<Entry> = Vec::new();
    for descriptor in &layout.manifests {
        let entry = entry(store, files, descriptor)?;
        match entries
            .iter_mut()
            .find(|known| known.images == entry.images && known.index == entry.index)
        {
            Some(known) => known.names.extend(entry.names),
            None => entries.push(entry),
        }
    }
    if entries.is_empty() {
        return Err(not_an_image(INDEX, "it names no image"));
    }
    Ok(entries)
}

/// Whether there may be several images under a name.
pub(super) fn names_indexes(layout: &Index) -> bool {
    let mut types = layout.manifests.iter().map(|descriptor| &descriptor.media_type);
    types.any(|kind| media_type::is_index(kind))
}

pub(super) fn read_index(store: &Store, digest: &Digest) -> Result<Index, Error> {
    let bytes = store.read_blob(digest, MAX_DOCUMENT).map_err(StepError::from)?;
    serde_json::from_slice(&bytes).map_err(|error| not_an_image(INDEX, error))
}

fn entry(store: &Store, files: &Files, descriptor: &Descriptor) -> Result<Entry, Error> {
    let names = name(descriptor)?.into_iter().collect();
    if media_type::is_index(&descriptor.media_type) {
        let digest = blob(files, &descriptor.digest)?;
        let index = read_index(store, &digest)?;
        let images = images_of(store, files, &index)?;
        let left_out = index.manifests.len() - images.len();
        let whole = left_out == 0 && images.iter().all(|image| image.manifest.is_some());
        return Ok(Entry {
            images,
            index: whole.then_some(digest),
            left_out,
            names,
        });
    }
    if !media_type::is_manifest(&descriptor.media_type) {
        let message = format!(
            "it names something of the type `{}`, which is no image",
            descriptor.media_type
        );
        return Err(not_an_image(INDEX, message));
    }
    let image = Archived {
        platform: None,
        ..archived(store, files, descriptor)?
    };
    Ok(Entry {
        images: vec![image],
        index: None,
        left_out: 0,
        names,
    })
}

/// The images of an index that the archive has: docker writes those of some platforms under the index of all. What is
/// for no platform is no image, but an attestation of one.
fn images_of(store: &Store, files: &Files, index: &Index) -> StepResult<Vec<Archived>> {
    let is_image = |entry: &&Descriptor| {
        let platform = entry.platform.as_ref();
        media_type::is_manifest(&entry.media_type) && platform.is_none_or(|platform| platform.os != "unknown")
    };
    let named: Vec<&Descriptor> = index.manifests.iter().filter(is_image).collect();
    let here = named
        .iter()
        .filter(|entry| files.contains_key(&blob_name(&entry.digest)));
    let images: StepResult<Vec<Archived>> = here.map(|entry| archived(store, files, entry)).collect();
    let images = images?;
    match (&images[..], &named[..]) {
        ([], []) => Err(StepError::Invalid("an index of the archive names no image".to_owned())),
        ([], [first, ..]) => Err(absent(&blob_name(&first.digest), NAMED_BY)),
        _ => Ok(images),
    }
}

fn archived(store: &Store, files: &Files, descriptor: &Descriptor) -> StepResult<Archived> {
    let digest = blob(files, &descriptor.digest)?;
    let any = Reference::new("docker.io", "library/image", None, None);
    let manifest = parse_manifest(&store.read_blob(&digest, MAX_DOCUMENT)?, &any)?;
    let layers: StepResult<Vec<Digest>> = manifest.layers.iter().map(|layer| blob(files, &layer.digest)).collect();
    // The store keeps compressed layers only: a manifest of others could not be pushed as it is.
    let kept = |layer: &Descriptor| {
        let compression = Compression::of_layer(&layer.media_type);
        compression.is_some_and(|compression| compression != Compression::None)
    };
    Ok(Archived {
        config: blob(files, &manifest.config.digest)?,
        manifest: manifest.layers.iter().all(kept).then_some(digest),
        blobs: layers?,
        platform: descriptor.platform.clone(),
    })
}

/// The blob of that digest, whose content was looked at when it was taken in.
fn blob(files: &Files, digest: &Digest) -> StepResult<Digest> {
    let path = blob_name(digest);
    let found = lookup(files, &path, NAMED_BY)?;
    if found == *digest {
        return Ok(found);
    }
    Err(StepError::Invalid(format!(
        "`{path}` of the archive has the digest {found}: it is damaged"
    )))
}

/// The name that a descriptor has, by containerd's annotation, or by the specification's where that has more than a
/// tag, as podman and skopeo write it.
fn name(descriptor: &Descriptor) -> StepResult<Option<Reference>> {
    let annotation = |key: &str| descriptor.annotations.get(key);
    let whole = |name: &&String| name.contains([':', '/']);
    let Some(name) = annotation(IMAGE_NAME).or_else(|| annotation(REF_NAME).filter(whole)) else {
        return Ok(None);
    };
    name.parse()
        .map(Some)
        .map_err(|error| StepError::Invalid(format!("{INDEX}: {error}")))
}
