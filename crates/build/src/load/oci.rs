//! OCI layouts (image specification, image-layout.md).

use kiln_image::media_type::{self, Compression};
use kiln_image::{Descriptor, Digest, Index, Platform, Reference};
use kiln_store::Store;

use super::{Entry, Files, lookup, not_an_image};
use crate::error::{Error, StepError, StepResult};
use crate::images::{MAX_DOCUMENT, parse_manifest};

const INDEX: &str = "index.json";

/// The images of a layout with that index. Descriptors of the same image under several names give one entry.
pub(super) fn entries(store: &Store, files: &Files, index: &Digest) -> Result<Vec<Entry>, Error> {
    let index = read_index(store, index)?;
    let mut entries: Vec<Entry> = Vec::new();
    for descriptor in &index.manifests {
        let entry = entry(store, files, descriptor)?;
        match entries
            .iter_mut()
            .find(|known| known.manifest == entry.manifest && known.config == entry.config)
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

fn read_index(store: &Store, digest: &Digest) -> Result<Index, Error> {
    let bytes = store.read_blob(digest, MAX_DOCUMENT).map_err(StepError::from)?;
    serde_json::from_slice(&bytes).map_err(|error| not_an_image(INDEX, error))
}

fn entry(store: &Store, files: &Files, descriptor: &Descriptor) -> Result<Entry, Error> {
    let mut digest = blob(files, &descriptor.digest)?;
    if media_type::is_index(&descriptor.media_type) {
        let index = read_index(store, &digest)?;
        let host = Platform::host();
        let chosen = index.select(&host).ok_or_else(|| StepError::NoPlatform {
            what: "the archive".to_owned(),
            wanted: host.to_string(),
            offered: index.platforms(),
        })?;
        digest = blob(files, &chosen.digest)?;
    } else if !media_type::is_manifest(&descriptor.media_type) {
        let message = format!(
            "it names something of the type `{}`, which is no image",
            descriptor.media_type
        );
        return Err(not_an_image(INDEX, message));
    }
    let names = name(descriptor)?;
    let any = Reference::new("docker.io", "library/image", None, None);
    let manifest = parse_manifest(&store.read_blob(&digest, MAX_DOCUMENT).map_err(StepError::from)?, &any)?;
    let layers: StepResult<Vec<Digest>> = manifest.layers.iter().map(|layer| blob(files, &layer.digest)).collect();
    // The store keeps compressed layers only: a manifest of others could not be pushed as it is.
    let kept = |layer: &Descriptor| {
        let compression = Compression::of_layer(&layer.media_type);
        compression.is_some_and(|compression| compression != Compression::None)
    };
    Ok(Entry {
        config: blob(files, &manifest.config.digest)?,
        manifest: manifest.layers.iter().all(kept).then_some(digest),
        blobs: layers?,
        names: names.into_iter().collect(),
    })
}

/// The blob of that digest, whose content was looked at when it was taken in.
fn blob(files: &Files, digest: &Digest) -> StepResult<Digest> {
    let path = format!("blobs/sha256/{}", digest.hex());
    let found = lookup(files, &path, "index or manifest")?;
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
    let Some(name) = annotation("io.containerd.image.name")
        .or_else(|| annotation("org.opencontainers.image.ref.name").filter(whole))
    else {
        return Ok(None);
    };
    name.parse()
        .map(Some)
        .map_err(|error| StepError::Invalid(format!("{INDEX}: {error}")))
}
