//! Putting the image together: digests of the layers, config, manifest.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kiln_image::media_type::{Compression, Family};
use kiln_image::{Descriptor, Digest, ImageConfig, Manifest, RootFs};
use kiln_layer::{PackOptions, Times};
use kiln_plan::Target;
use kiln_store::{Layer, LayerId};

use crate::blobs::{Packed, cannot_pack, compress, recompress};
use crate::cache;
use crate::error::{StepError, StepResult};
use crate::images::{Images, compression_of};
use crate::package;
use crate::parallel::{self, processors};
use crate::request::LayerOptions;

/// When the layers were made, and what they are.
#[derive(Debug, Clone)]
pub(crate) struct LayerFacts {
    pub(crate) diff_id: Digest,
    /// Seconds since 1970.
    pub(crate) created: i64,
    pub(crate) size: u64,
}

/// The facts of each layer, computing the digests that are not known yet, several at a time.
pub(crate) fn layer_facts(images: &Images<'_>, layers: &[LayerId]) -> StepResult<Vec<LayerFacts>> {
    // Threads that only ask the store wait for one another.
    let known: StepResult<Vec<_>> = layers.iter().map(|layer| known_facts(images, layer)).collect();
    let mut all = known?;
    let unknown: Vec<&LayerId> = layers
        .iter()
        .zip(&all)
        .filter(|(_, known)| known.is_none())
        .map(|(layer, _)| layer)
        .collect();
    let digested = parallel::map(&unknown, processors(), |layer| digested_facts(images, layer))?;
    for (fact, digested) in all.iter_mut().filter(|known| known.is_none()).zip(digested) {
        *fact = Some(digested);
    }
    Ok(all.into_iter().flatten().collect())
}

pub(crate) fn facts(images: &Images<'_>, layer: &LayerId) -> StepResult<LayerFacts> {
    match known_facts(images, layer)? {
        Some(known) => Ok(known),
        None => digested_facts(images, layer),
    }
}

/// What is known of a layer without reading its files.
fn known_facts(images: &Images<'_>, layer: &LayerId) -> StepResult<Option<LayerFacts>> {
    let store = images.store;
    let Some(row) = store.layer(layer)? else {
        // A layer of the base or of a cache that nothing needed: what is said of it is enough.
        let origin = images.origin(layer).ok_or_else(|| lost(layer))?;
        let (created, size) = origin.created_and_size();
        return Ok(Some(LayerFacts {
            diff_id: origin.diff_id,
            created,
            size,
        }));
    };
    Ok(row.diff_id.map(|diff_id| LayerFacts {
        diff_id,
        created: row.created,
        size: row.size,
    }))
}

/// The facts of a layer whose digest is not known yet.
fn digested_facts(images: &Images<'_>, layer: &LayerId) -> StepResult<LayerFacts> {
    let store = images.store;
    let (diff_id, tar_size) = tar_of_files(images, layer)?;
    store.set_layer_diff_id(layer, &diff_id, tar_size)?;
    let row = store.layer(layer)?.ok_or_else(|| lost(layer))?;
    Ok(LayerFacts {
        diff_id,
        created: row.created,
        size: row.size,
    })
}

/// The digest and the size of the tar that a layer's files are.
fn tar_of_files(images: &Images<'_>, layer: &LayerId) -> StepResult<(Digest, u64)> {
    let path = images.store.layer_path(layer);
    let mut work = images.tasks.work("digest").on(layer);
    let digested = kiln_layer::diff_id(&path, &PackOptions::default());
    let (diff_id, tar_size) = digested.map_err(cannot_pack(layer))?;
    work.bytes(tar_size);
    Ok((diff_id, tar_size))
}

/// Makes sure that a layer's files are those that were written, if the digest of their tar is known.
fn check_files(images: &Images<'_>, layer: &LayerId) -> StepResult<()> {
    let row = images.store.layer(layer)?;
    match row.and_then(|row| row.diff_id.filter(|_| row.tar_size.is_some())) {
        Some(known) if tar_of_files(images, layer)?.0 != known => Err(images.damaged_layer(layer)),
        _ => Ok(()),
    }
}

fn lost(layer: &LayerId) -> StepError {
    StepError::LostLayer {
        layer: layer.to_string(),
        image: "an image of the store".to_owned(),
    }
}

/// The config of the image, times filled in. The time of a step that was cached is when it ran, so that the same
/// build gives the same image.
pub(crate) fn config(target: &Target, facts: &[LayerFacts], epoch: Option<i64>) -> ImageConfig {
    let mut config = target.config.clone();
    cache::forget(&mut config);
    config.rootfs = RootFs {
        diff_ids: facts.iter().map(|layer| layer.diff_id).collect(),
        ..RootFs::default()
    };
    let mut layers = facts.iter();
    let mut latest = None;
    for (index, entry) in config.history.iter_mut().enumerate() {
        let layer = if entry.empty_layer { None } else { layers.next() };
        if index < target.inherited_history {
            latest = entry.created.clone().or(latest);
            continue;
        }
        if let Some(layer) = layer {
            latest = Some(timestamp(epoch.unwrap_or(layer.created)));
        }
        entry.created = epoch.map(timestamp).or_else(|| latest.clone());
    }
    config.created = epoch.map(timestamp).or(latest);
    config
}

/// Seconds since 1970 as configs have them.
pub(crate) fn timestamp(seconds: i64) -> String {
    Timestamp::from_second(seconds)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}

/// The compressed blobs of the layers, lowest first, making those that are not there yet.
pub(crate) fn layer_blobs(
    images: &Images<'_>,
    layers: &[LayerId],
    compression: LayerOptions,
) -> StepResult<Vec<Descriptor>> {
    parallel::map(layers, processors(), |layer| blob(images, layer, compression))
}

/// Compresses the layers of which not even the digests are known, which are then: nothing is read twice.
pub(crate) fn compress_new(images: &Images<'_>, layers: &[LayerId], compression: LayerOptions) -> StepResult<()> {
    let one = |layer: &LayerId| {
        if images.store.layer(layer)?.is_some_and(|row| row.diff_id.is_none()) {
            blob(images, layer, compression)?;
        }
        Ok(())
    };
    parallel::map(layers, processors(), one).map(drop)
}

/// The compressed blob of a layer, which is made if it is not there yet.
pub(crate) fn blob(images: &Images<'_>, layer: &LayerId, compression: LayerOptions) -> StepResult<Descriptor> {
    let store = images.store;
    let base = images.base(layer);
    let _turn = images.turn_to_compress(layer);
    let known = store.layer(layer)?.map(|row| row.blobs).unwrap_or_default();
    let fits = |media_type: &str| Compression::of_layer(media_type) == Some(compression.kind);
    // Whatever a registry gave goes back as it came, unless everything is to be compressed anew.
    let wanted = known
        .iter()
        .find(|blob| fits(&blob.media_type))
        .or_else(|| known.first().filter(|_| !compression.force && base.is_some()));
    if let Some(blob) = wanted
        && compression.level.is_none()
        && store.has_blob(&blob.digest)?
    {
        return typed(
            Descriptor::new(blob.media_type.clone(), blob.digest, blob.size),
            compression,
        );
    }
    if !compression.force
        && let Some(base) = base
    {
        return typed(base.descriptor, compression);
    }
    // A cache's blob is taken as it is where a step's layer would have become the same here.
    if let Some(origin) = images.origin(layer)
        && store.layer(layer)?.is_none()
        && compression.level.is_none()
        && fits(&origin.descriptor.media_type)
    {
        return typed(origin.descriptor, compression);
    }
    let packed = compress_as_it_is(images, layer, compression)?;
    let media_type = compression.types.layer(compression.kind);
    store.add_layer_blob(layer, &packed.digest, packed.size, media_type)?;
    Ok(Descriptor::new(media_type, packed.digest, packed.size))
}

/// A manifest names all layers by media types of its own family.
pub(crate) fn typed(mut layer: Descriptor, options: LayerOptions) -> StepResult<Descriptor> {
    let compression = compression_of(&layer)?;
    options.types.layer(compression).clone_into(&mut layer.media_type);
    Ok(layer)
}

/// The compressed blobs of layers with their files dated back to `latest`, and the config that goes with them. Layers of
/// the base stay as they are.
pub(crate) fn dated_back(
    images: &Images<'_>,
    layers: &[LayerId],
    config: &[u8],
    options: LayerOptions,
    latest: i64,
) -> StepResult<(Vec<Descriptor>, Vec<u8>)> {
    let one = |layer: &LayerId| -> StepResult<(Digest, Descriptor)> {
        if images.base(layer).is_some() {
            return Ok((facts(images, layer)?.diff_id, blob(images, layer, options)?));
        }
        images.materialize_one(layer)?;
        check_files(images, layer)?;
        let packed = compress(images, layer, options, Times::AtMost(latest))?;
        let media_type = options.types.layer(options.kind);
        Ok((packed.diff_id, Descriptor::new(media_type, packed.digest, packed.size)))
    };
    let (diff_ids, blobs): (Vec<Digest>, Vec<Descriptor>) =
        parallel::map(layers, processors(), one)?.into_iter().unzip();
    let invalid = |error: serde_json::Error| StepError::Invalid(format!("cannot rewrite the config: {error}"));
    let mut config: ImageConfig = serde_json::from_slice(config).map_err(invalid)?;
    config.rootfs.diff_ids = diff_ids;
    Ok((blobs, serde_json::to_vec(&config).map_err(invalid)?))
}

/// Compresses a layer as it is. The tar of one that was made elsewhere stays the one that its image's config names.
fn compress_as_it_is(images: &Images<'_>, layer: &LayerId, options: LayerOptions) -> StepResult<Packed> {
    let store = images.store;
    images.materialize_one(layer)?;
    let row = store.layer(layer)?.ok_or_else(|| lost(layer))?;
    let Some(diff_id) = row.diff_id else {
        let packed = compress(images, layer, options, Times::Keep)?;
        store.set_layer_diff_id(layer, &packed.diff_id, packed.tar_size)?;
        return Ok(packed);
    };
    let packed = match foreign_blob(images, &row)? {
        Some(blob) => recompress(images, &blob, options)?,
        None => compress(images, layer, options, Times::Keep)?,
    };
    if packed.diff_id == diff_id {
        return Ok(packed);
    }
    // Files that came in a tar of somebody else's do not become it again.
    let is_of_step = LayerId::from_random(layer.as_str()).is_some();
    Err(if is_of_step || row.tar_size.is_some() {
        images.damaged_layer(layer)
    } else {
        lost(layer)
    })
}

/// A blob of the store that has a layer's tar as it came, if it was not made here.
fn foreign_blob(images: &Images<'_>, layer: &Layer) -> StepResult<Option<Digest>> {
    if layer.tar_size.is_some() {
        return Ok(None);
    }
    for blob in &layer.blobs {
        if images.has_whole_blob(&blob.digest)? {
            return Ok(Some(blob.digest));
        }
    }
    let Some(origin) = images.origin(&layer.id) else {
        return Ok(None);
    };
    package::fetch_blob(images, &origin.descriptor)?;
    Ok(Some(origin.descriptor.digest))
}

/// The manifest's bytes as BuildKit lays them out: two blanks of indentation.
pub(crate) fn manifest(
    config: &[u8],
    layers: Vec<Descriptor>,
    types: Family,
    annotations: BTreeMap<String, String>,
) -> StepResult<Vec<u8>> {
    let manifest = Manifest {
        schema_version: 2,
        media_type: types.manifest().to_owned(),
        artifact_type: None,
        config: Descriptor::of(types.config(), config),
        layers,
        annotations,
    };
    to_json_pretty(&manifest)
}

pub(crate) fn to_json_pretty(value: &impl serde::Serialize) -> StepResult<Vec<u8>> {
    serde_json::to_vec_pretty(value).map_err(|error| StepError::Invalid(format!("cannot encode: {error}")))
}
