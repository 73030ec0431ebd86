//! Fetching layers: download, verify, decompress, unpack and hash in one pass, several layers at a time.

use std::collections::BTreeSet;
use std::path::Path;

use kiln_layer::{UnpackOptions, Unpacked};
use kiln_store::{LayerDir, LayerId, LockGuard};
use rustix::fd::AsFd;

use crate::cancel::Watched;
use crate::error::{StepError, StepResult};
use crate::images::{Images, Origin, Place, Tee, compression_of};
use crate::measure::layer_info;
use crate::parallel;
use crate::session::Task;
use crate::waiting::{self, Share};

/// How many layers are fetched at the same time.
const PARALLEL: usize = 4;

/// A layer that is unpacked, but not yet part of the store.
struct Fetched {
    directory: LayerDir,
    unpacked: Unpacked,
}

/// Of how many layers the locks are held at the same time: each is an open file, of which users often have 1024.
const LOCKED: usize = 256;

/// Fetches `missing`, which are some of the layers of the tree `all` (lowest first).
pub(crate) fn fetch_layers(images: &Images<'_>, all: &[LayerId], missing: &[&LayerId]) -> StepResult<()> {
    let mut some = missing.chunks(LOCKED);
    some.try_for_each(|missing| fetch_some(images, all, missing))
}

fn fetch_some(images: &Images<'_>, all: &[LayerId], missing: &[&LayerId]) -> StepResult<()> {
    let work = images.tasks.work("lock layers");
    let _locks = lock_all(images, missing)?;
    drop(work);
    let mut wanted: Vec<(&LayerId, Origin)> = Vec::new();
    for &layer in missing {
        if images.store.layer(layer)?.is_none() {
            wanted.push((layer, origin(images, layer)?));
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let task = images.tasks.start(format!("pull {}", places(&wanted)));
    let fetched = parallel::map(&wanted, PARALLEL, |(_, origin)| {
        fetch(images, origin, &task).inspect_err(|error| blame(images, origin, error))
    });
    task.end(fetched.and_then(|fetched| {
        let mut all_fetched = wanted.iter().zip(fetched);
        all_fetched.try_for_each(|((layer, origin), fetched)| commit(images, all, layer, origin, fetched))
    }))
}

/// Fetches the layer `all[number]`, without those below it; whether it could be kept: not if it takes something of theirs. Its
/// blob stays in any case.
pub(crate) fn fetch_alone(images: &Images<'_>, all: &[LayerId], number: usize, task: &Task<'_>) -> StepResult<bool> {
    let layer = &all[number];
    let _alone = lock(images, layer)?;
    if images.store.layer(layer)?.is_some() {
        return Ok(true);
    }
    let origin = origin(images, layer)?;
    let fetched = fetch(images, &origin, task)?;
    let takes_nothing = number == 0 && fetched.unpacked.missing_links.is_empty();
    if fetched.unpacked.is_incomplete() && !takes_nothing {
        return Ok(false);
    }
    commit(images, all, layer, &origin, fetched)?;
    Ok(true)
}

/// Keeps others from fetching the same layers. All take the locks in the order of the layers' names: in that of the tree,
/// which COPY --link makes another one for the same layers, two that want the same could wait for each other for ever.
fn lock_all(images: &Images<'_>, layers: &[&LayerId]) -> StepResult<Vec<LockGuard>> {
    let layers: BTreeSet<&LayerId> = layers.iter().copied().collect();
    layers.into_iter().map(|layer| lock(images, layer)).collect()
}

/// Keeps others from fetching the same layer.
fn lock(images: &Images<'_>, layer: &LayerId) -> StepResult<LockGuard> {
    let name = format!("layer-{layer}");
    waiting::lock(images.store, images.cancel, &name, Share::Alone, || {})
}

/// Who has them, as people call it.
fn places(wanted: &[(&LayerId, Origin)]) -> String {
    let mut names: Vec<String> = wanted.iter().map(|(_, origin)| origin.place.to_string()).collect();
    names.dedup();
    names.join(", ")
}

/// A cache that cannot give what it promised is not relied on again.
fn blame(images: &Images<'_>, origin: &Origin, error: &StepError) {
    if let Place::Cache(layer, found) = &origin.place {
        images.caches.blame(layer, found, error);
    }
}

pub(crate) fn origin(images: &Images<'_>, layer: &LayerId) -> StepResult<Origin> {
    images.origin(layer).ok_or_else(|| StepError::LostLayer {
        layer: layer.to_string(),
        image: "an image of the store".to_owned(),
    })
}

/// One layer, whole.
fn fetch(images: &Images<'_>, origin: &Origin, task: &Task<'_>) -> StepResult<Fetched> {
    let directory = images.store.new_layer()?;
    let unpacked = unpack(images, origin, task, &directory.fs(), &UnpackOptions::default())?;
    if unpacked.is_incomplete() && matches!(origin.place, Place::Cache(..)) {
        let message = format!(
            "layer {} of {} lacks directories: no step made it",
            origin.descriptor.digest.short(),
            origin.place
        );
        return Err(StepError::Invalid(message));
    }
    Ok(Fetched { directory, unpacked })
}

/// Unpacks a layer, or what of it is wanted: from the store's blob if it is there, else from the registry, keeping the blob
/// for a later push.
pub(crate) fn unpack(
    images: &Images<'_>,
    origin: &Origin,
    task: &Task<'_>,
    into: &Path,
    options: &UnpackOptions,
) -> StepResult<Unpacked> {
    if images.cancel.is_canceled() {
        return Err(StepError::Canceled);
    }
    let compression = compression_of(&origin.descriptor)?;
    let digest = origin.descriptor.digest;
    let mut work = images.tasks.work("unpack").on(&digest.short());
    work.bytes(origin.descriptor.size);
    let failed = |source| StepError::Unpack {
        what: format!("layer {} of {}", digest.short(), origin.place),
        source,
    };
    let unpacked = if images.has_whole_blob(&digest)? {
        let blob = images.store.open_blob(&digest)?;
        let blob = Watched {
            inner: blob,
            cancel: images.cancel,
        };
        kiln_layer::unpack(blob, Some(compression), into, options).map_err(failed)?
    } else {
        let part = digest.short();
        let report = |bytes: u64| task.progress(&part, bytes, Some(origin.descriptor.size));
        let reader = images.blob_reader(origin, Box::new(report))?;
        let mut blob = images.store.blob_writer(Some(origin.descriptor.size))?;
        let mut tee = Tee {
            reader: Watched {
                inner: reader,
                cancel: images.cancel,
            },
            copy: &mut blob,
        };
        let unpacked = kiln_layer::unpack(&mut tee, Some(compression), into, options).map_err(failed)?;
        // Whatever follows the archive belongs to the blob and to its digest.
        std::io::copy(&mut tee, &mut std::io::sink()).map_err(StepError::io("download", &part))?;
        blob.commit(Some(digest))?;
        unpacked
    };
    if unpacked.diff_id != origin.diff_id {
        return Err(StepError::Invalid(format!(
            "layer {} of {} unpacks to {}, but is said to be {}: the image is damaged or lies",
            digest.short(),
            origin.place,
            unpacked.diff_id,
            origin.diff_id
        )));
    }
    Ok(unpacked)
}

/// Completes a layer that was unpacked with what it takes from those below it, which are in the store.
pub(crate) fn complete(
    images: &Images<'_>,
    below: &[LayerId],
    directory: &LayerDir,
    unpacked: &Unpacked,
) -> StepResult<()> {
    if unpacked.missing_links.is_empty() && (below.is_empty() || unpacked.implicit_dirs.is_empty()) {
        return Ok(());
    }
    let lower = images.tree(below)?;
    Ok(kiln_layer::complete(&directory.fs(), lower.root.as_fd(), unpacked)?)
}

/// Completes a layer and makes it part of the store.
fn commit(images: &Images<'_>, all: &[LayerId], layer: &LayerId, origin: &Origin, fetched: Fetched) -> StepResult<()> {
    let Fetched { directory, unpacked } = fetched;
    let _work = images.tasks.work("keep").on(layer);
    let below = all.split(|other| other == layer).next().unwrap_or_default();
    complete(images, below, &directory, &unpacked)?;
    let mut info = layer_info(&directory, Some(unpacked.diff_id))?;
    if let Place::Cache(_, found) = &origin.place {
        // As if the step had run here.
        info.created = Some(found.entry.step.created);
    }
    images.store.commit_layer(&directory, layer, &info)?;
    let descriptor = &origin.descriptor;
    images
        .store
        .add_layer_blob(layer, &descriptor.digest, descriptor.size, &descriptor.media_type)?;
    match &origin.place {
        Place::Image(_) => Ok(()),
        Place::Cache(_, found) => images.record_found(layer, found),
    }
}
