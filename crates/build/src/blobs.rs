//! Compressed layers: what of them was compressed before, for whichever layer, is taken from there.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kiln_image::Digest;
use kiln_layer::{BlobInfo, BlobOptions, MemberKey, Members, PackOptions, Times};
use kiln_store::{LayerId, Member};

use crate::cancel::Watched;
use crate::error::{StepError, StepResult};
use crate::event::Work;
use crate::images::Images;
use crate::parallel::processors;
use crate::request::LayerOptions;

/// A compressed layer that is in the store now.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    /// Of its tar.
    pub(crate) diff_id: Digest,
    /// Length of its tar in bytes.
    pub(crate) tar_size: u64,
}

/// Packs and compresses the files of a layer of the store.
pub(crate) fn compress(
    images: &Images<'_>,
    layer: &LayerId,
    options: LayerOptions,
    times: Times,
) -> StepResult<Packed> {
    let path = images.store.layer_path(layer);
    write(images, images.tasks.work("compress").on(layer), options, |how, out| {
        kiln_layer::pack_compressed(&path, &PackOptions::of(times), how, out).map_err(cannot_pack(layer))
    })
}

/// Compresses the tar that a blob of the store has in another way.
pub(crate) fn recompress(images: &Images<'_>, blob: &Digest, options: LayerOptions) -> StepResult<Packed> {
    let input = images.store.open_blob(blob)?;
    let work = images.tasks.work("compress").on(&blob.short());
    write(images, work, options, |how, out| {
        Ok(kiln_layer::recompress(input, how, out)?)
    })
}

/// The error of a layer that no tar can be made of. That it cannot be written somewhere is none of that kind.
pub(crate) fn cannot_pack(layer: &LayerId) -> impl FnOnce(kiln_layer::Error) -> StepError {
    |source| match source {
        kiln_layer::Error::Write(_) => source.into(),
        source => StepError::Pack {
            layer: layer.clone(),
            source,
        },
    }
}

fn write(
    images: &Images<'_>,
    mut work: Work<'_>,
    options: LayerOptions,
    write: impl FnOnce(&BlobOptions<'_>, &mut (dyn Write + Send)) -> StepResult<BlobInfo>,
) -> StepResult<Packed> {
    let mut writer = images.store.blob_writer(None)?;
    let members = Known {
        images,
        blob: writer.reader()?,
        written: Mutex::default(),
    };
    let how = BlobOptions {
        level: options.level,
        members: Some(&members),
        ..BlobOptions::new(options.kind, processors())
    };
    let mut out = Watched {
        inner: &mut writer,
        cancel: images.cancel,
    };
    let written = write(&how, &mut out)?;
    let (digest, size) = writer.commit(None)?;
    let members: Vec<Member> = written.members.iter().map(member).collect();
    images.store.add_members(&digest, &members)?;
    work.bytes(written.tar_size);
    Ok(Packed {
        digest,
        size,
        diff_id: written.diff_id,
        tar_size: written.tar_size,
    })
}

fn member(member: &kiln_layer::Member) -> Member {
    Member {
        key: member.key,
        offset: member.offset,
        size: member.size,
        check: member.check,
    }
}

/// The members that the blobs of the store have, and the one that is being written.
struct Known<'a> {
    images: &'a Images<'a>,
    blob: File,
    written: Mutex<HashMap<MemberKey, kiln_layer::Member>>,
}

impl Known<'_> {
    fn written(&self) -> MutexGuard<'_, HashMap<MemberKey, kiln_layer::Member>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of the blob that is being written.
    fn again(&self, key: &MemberKey) -> io::Result<Option<(Vec<u8>, [u8; 32])>> {
        let Some(member) = self.written().get(key).copied() else {
            return Ok(None);
        };
        let mut bytes = vec![0; usize::try_from(member.size).map_err(io::Error::other)?];
        self.blob.read_exact_at(&mut bytes, member.offset)?;
        Ok(is_whole(&bytes, &member.check).then_some((bytes, member.check)))
    }
}

fn is_whole(bytes: &[u8], check: &[u8; 32]) -> bool {
    blake3::hash(bytes).as_bytes() == check
}

impl Members for Known<'_> {
    fn find(&self, key: &MemberKey) -> io::Result<Option<(Vec<u8>, [u8; 32])>> {
        if let Some(again) = self.again(key)? {
            return Ok(Some(again));
        }
        let Some(found) = self.images.store.find_member(key).map_err(io::Error::other)? else {
            return Ok(None);
        };
        if is_whole(&found.bytes, &found.check) {
            return Ok(Some((found.bytes, found.check)));
        }
        // The blob is dropped if it is damaged, and its members with it, and people are told.
        self.images.has_whole_blob(&found.blob).map_err(io::Error::other)?;
        Ok(None)
    }

    fn written(&self, member: kiln_layer::Member) {
        self.written().insert(member.key, member);
    }
}
