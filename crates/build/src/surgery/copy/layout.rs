//! OCI layouts that are written: a directory that may have other images, or an archive.

use std::collections::BTreeMap;

use kiln_image::{Descriptor, Index, media_type};

use super::Parcel;
use crate::cancel::Watched;
use crate::error::{StepError, StepResult};
use crate::export::{self, LAYOUT, LayoutTar, place};
use crate::images::Images;
use crate::layout::{INDEX, LayoutFiles as _, REF_NAME, lock};
use crate::parallel;
use crate::request::{Destination, Layout};
use crate::session::Task;
use crate::source::Files;

/// How many blobs are written at the same time.
const PARALLEL: usize = 4;

/// Adds the image to the layout in a directory, or makes one. Another image of that name loses it.
pub(super) fn write_directory(images: &Images<'_>, parcel: &Parcel, files: &Files, task: &Task<'_>) -> StepResult<()> {
    let blobs = files.path.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).map_err(StepError::io("create", &blobs))?;
    // Against others that write there, where locks are.
    let _alone = lock(&files.path).ok();
    let layout = Layout {
        path: files.path.clone(),
        tag: None,
        digest: None,
    };
    let known = match layout.open(INDEX)? {
        Some(_) => layout.index()?,
        None => empty_index(),
    };
    parallel::map(&parcel.blobs, PARALLEL, |blob| {
        let part = blob.digest.short();
        place(&blobs.join(blob.digest.hex()), Some(blob.size), |out| {
            let mut reader = Watched {
                inner: parcel.open(images, blob, Box::new(|_| {}))?,
                cancel: images.cancel,
            };
            std::io::copy(&mut reader, out).map_err(StepError::io("copy", &part))?;
            Ok(())
        })?;
        task.progress(&part, blob.size, Some(blob.size));
        Ok(())
    })?;
    let write = |name: &std::path::Path, size: Option<u64>, bytes: &[u8]| {
        place(name, size, |out| {
            out.write_all(bytes).map_err(StepError::io("write", name))
        })
    };
    for paper in &parcel.papers {
        let path = blobs.join(paper.descriptor.digest.hex());
        write(&path, Some(paper.descriptor.size), &paper.bytes)?;
    }
    write(&files.path.join("oci-layout"), None, LAYOUT)?;
    write(
        &files.path.join(INDEX),
        None,
        &index(known, parcel, files.tag.as_deref())?,
    )
}

/// Writes an archive with the image alone.
pub(super) fn write_archive(images: &Images<'_>, parcel: &Parcel, files: &Files, task: &Task<'_>) -> StepResult<()> {
    let index = index(empty_index(), parcel, files.tag.as_deref())?;
    export::with_destination(&Destination::File(files.path.clone()), |out| {
        let mut tar = LayoutTar::begin(out)?;
        for blob in &parcel.blobs {
            let reader = Watched {
                inner: parcel.open(images, blob, Box::new(|_| {}))?,
                cancel: images.cancel,
            };
            tar.blob(&blob.digest, blob.size, reader)?;
            task.progress(&blob.digest.short(), blob.size, Some(blob.size));
        }
        for paper in &parcel.papers {
            tar.blob(&paper.descriptor.digest, paper.descriptor.size, &paper.bytes[..])?;
        }
        tar.finish(&index, None)
    })
}

fn empty_index() -> Index {
    Index {
        schema_version: 2,
        media_type: media_type::OCI_INDEX.to_owned(),
        manifests: Vec::new(),
        annotations: BTreeMap::new(),
    }
}

/// The index with the image under that name, or without one.
fn index(mut index: Index, parcel: &Parcel, tag: Option<&str>) -> StepResult<Vec<u8>> {
    let mut entry = parcel.top().descriptor.clone();
    let name = |entry: &Descriptor| entry.annotations.get(REF_NAME).cloned();
    let tag = tag.map(ToOwned::to_owned);
    // Two names may well stand for the same.
    index
        .manifests
        .retain(|known| name(known) != tag || tag.is_none() && known.digest != entry.digest);
    entry.annotations.extend(tag.map(|tag| (REF_NAME.to_owned(), tag)));
    index.manifests.push(entry);
    serde_json::to_vec(&index).map_err(|error| StepError::Invalid(format!("cannot encode the index: {error}")))
}
