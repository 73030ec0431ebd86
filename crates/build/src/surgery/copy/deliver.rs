//! Where it is copied to.

use std::io;

use kiln_image::{Descriptor, Digest, Document, Manifest, Platform, Reference};
use kiln_store::Found;

use super::{Origin, Paper, Parcel, layout};
use crate::cancel::Watched;
use crate::error::{StepError, StepResult};
use crate::export;
use crate::images::Images;
use crate::load::{Archived, Entry, load_one};
use crate::package::pack_whole;
use crate::parallel;
use crate::request::Destination;
use crate::session::Task;
use crate::source::{Files, Location};
use crate::transfer::{AS_THEY_ARE, stored};

/// How many blobs go at the same time.
const PARALLEL: usize = 4;

/// Understands where something is to go.
pub(super) fn destination(text: &str) -> StepResult<Location> {
    let to = Location::parse(text)?;
    match &to {
        Location::Path(files) => Err(StepError::Invalid(format!(
            "{text}: say what to write there: oci:{path}, oci-archive:{path} or docker-archive:{path}",
            path = files.path.display()
        ))),
        Location::Name(name) => {
            let reference: Reference = name.parse().map_err(|error| StepError::Invalid(format!("{error}")))?;
            match reference.digest() {
                None => Ok(to),
                Some(_) => Err(StepError::Invalid(format!("{text}: an image cannot be given a digest"))),
            }
        }
        _ => Ok(to),
    }
}

/// Copies it.
pub(super) fn deliver(images: &Images<'_>, parcel: &Parcel, to: &Location) -> StepResult<Descriptor> {
    let task = images.tasks.start(format!("write {to}"));
    let sent = match to {
        Location::Name(name) => {
            let name: Reference = name.parse().map_err(|error| StepError::Invalid(format!("{error}")))?;
            take(images, parcel, &[name], &task).map(|_| ())
        }
        Location::Registry(reference) => push(images, parcel, reference, &task),
        Location::Layout(files) => layout::write_directory(images, parcel, files, &task),
        Location::OciArchive(files) => layout::write_archive(images, parcel, files, &task),
        Location::DockerArchive(files) => docker_archive(images, parcel, files, &task),
        Location::Path(_) => unreachable!("destination() lets none pass"),
    };
    task.end(sent)?;
    Ok(parcel.top().descriptor.clone())
}

fn push(images: &Images<'_>, parcel: &Parcel, to: &Reference, task: &Task<'_>) -> StepResult<()> {
    let mounts: Vec<Reference> = match &parcel.origin {
        Origin::Registry(from) if from.registry() == to.registry() => vec![from.clone()],
        _ => Vec::new(),
    };
    parallel::map(&parcel.blobs, PARALLEL, |blob| {
        if images.cancel.is_canceled() {
            return Err(StepError::Canceled);
        }
        let part = blob.digest.short();
        let report = |bytes: u64| task.progress(&part, bytes, Some(blob.size));
        let open = || {
            let reader = parcel.open(images, blob, Box::new(|_| {}));
            reader.map_err(io::Error::other)
        };
        images.registry.push_blob(to, blob, &open, &mounts, &report)?;
        Ok(())
    })?;
    let (top, inner) = parcel.papers.split_last().expect("there is a manifest at least");
    let push = |name: &Reference, paper: &Paper| {
        images
            .registry
            .push_manifest(name, &paper.descriptor.media_type, &paper.bytes)
    };
    for paper in inner {
        push(&to.pinned(paper.descriptor.digest), paper)?;
    }
    push(to, top)?;
    Ok(())
}

/// Takes it into the store, under these names. Gives the ID that it has there.
pub(in crate::surgery) fn take(
    images: &Images<'_>,
    parcel: &Parcel,
    names: &[Reference],
    task: &Task<'_>,
) -> StepResult<Digest> {
    let manifests: Vec<(&Paper, &Manifest)> = parcel
        .papers
        .iter()
        .filter_map(|paper| match &paper.document {
            Document::Manifest(manifest) => Some((paper, manifest)),
            Document::Index(_) => None,
        })
        .collect();
    // What is for no platform is no image, but an attestation of one.
    let platform_of = |digest: &Digest| -> Option<Platform> {
        let indexes = parcel.papers.iter().filter_map(|paper| match &paper.document {
            Document::Index(index) => Some(index),
            Document::Manifest(_) => None,
        });
        let mut entries = indexes.flat_map(|index| &index.manifests);
        entries.find(|entry| entry.digest == *digest)?.platform.clone()
    };
    let is_image =
        |paper: &Paper| platform_of(&paper.descriptor.digest).is_none_or(|platform| platform.os != "unknown");
    let (taken, left): (Vec<_>, Vec<_>) = manifests.into_iter().partition(|(paper, _)| is_image(paper));
    for (paper, manifest) in &taken {
        let blobs: Vec<&Descriptor> = manifest.layers.iter().chain([&manifest.config]).collect();
        parallel::map(&blobs, PARALLEL, |blob| keep_blob(images, parcel, blob, task))?;
        images.store.put_blob(&paper.bytes)?;
    }
    let top = parcel.top();
    let is_index = matches!(top.document, Document::Index(_));
    if is_index && left.is_empty() {
        images.store.put_blob(&top.bytes)?;
    }
    if !left.is_empty() {
        task.say(&format!("without {} attestations: the store has images", left.len()));
    }
    let archived = |(paper, manifest): &(&Paper, &Manifest)| Archived {
        config: manifest.config.digest,
        manifest: Some(paper.descriptor.digest),
        blobs: manifest.layers.iter().map(|layer| layer.digest).collect(),
        platform: platform_of(&paper.descriptor.digest),
    };
    let entry = Entry {
        images: taken.iter().map(archived).collect(),
        index: (is_index && left.is_empty()).then_some(top.descriptor.digest),
        left_out: left.len(),
        names: names.to_vec(),
    };
    load_one(images, &entry)
}

fn keep_blob(images: &Images<'_>, parcel: &Parcel, blob: &Descriptor, task: &Task<'_>) -> StepResult<()> {
    if images.has_whole_blob(&blob.digest)? {
        return Ok(());
    }
    let part = blob.digest.short();
    let mut copied = 0;
    let mut reader = Watched {
        inner: parcel.open(images, blob, Box::new(|_| {}))?,
        cancel: images.cancel,
    };
    let mut writer = images.store.blob_writer(Some(blob.size))?;
    copied += io::copy(&mut reader, &mut writer).map_err(StepError::io("copy", &part))?;
    task.progress(&part, copied, Some(blob.size));
    writer.commit(Some(blob.digest))?;
    Ok(())
}

/// Docker's archive knows no manifests: it is written of what the store has.
fn docker_archive(images: &Images<'_>, parcel: &Parcel, files: &Files, task: &Task<'_>) -> StepResult<()> {
    let id = take(images, parcel, &[], task)?;
    let Found::One(entry, _) = images.store.find_image(&id.to_string())? else {
        return Err(StepError::Invalid(format!("the image {id} was removed meanwhile")));
    };
    let names: Option<Reference> = match &files.tag {
        Some(tag) => Some(tag.parse().map_err(|error| StepError::Invalid(format!("{error}")))?),
        None => None,
    };
    let none: &[Platform] = &[];
    let stored = stored(images, &entry, &id.to_string(), none)?;
    let package = images.despite_damage(|| pack_whole(images, &stored, names.as_slice(), AS_THEY_ARE))?;
    export::with_destination(&Destination::File(files.path.clone()), |out| {
        export::write_docker(images.store, std::slice::from_ref(&package), out)
    })
}
