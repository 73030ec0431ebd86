//! Taking images in from archives: what `docker save` writes, and OCI layouts as tars.

pub(crate) mod docker;
mod oci;

use std::collections::HashMap;
use std::io::{Read, Write as _};

use kiln_image::media_type::{Compression, Family};
use kiln_image::{Digest, ImageConfig, Platform, Reference};
use kiln_layer::tar::{Kind, Reader};
use kiln_layer::{PackOptions, UnpackOptions};
use kiln_store::{Image, ImageIndex, LayerId, Store};

use crate::assemble;
use crate::builder::{Builder, FIRST_TASK};
use crate::cancel::Cancel;
use crate::error::{Error, StepError, StepResult};
use crate::event::Sink;
use crate::images::{Images, MAX_DOCUMENT, chain_ids, parse_config};
use crate::layout::INDEX;
use crate::measure::layer_info;
use crate::package::{Stored, keep_index};
use crate::session::Tasks;
use crate::transfer::{AS_THEY_ARE, stored_image};

/// The archive's files, which are blobs of the store now, by their paths.
type Files = HashMap<String, Digest>;

/// What an archive has under some names.
struct Entry {
    /// An image, or those of an index that are in the archive.
    images: Vec<Archived>,
    /// The index, where it names nothing else.
    index: Option<Digest>,
    /// How much else an index names.
    left_out: usize,
    names: Vec<Reference>,
}

/// One image of an archive.
#[derive(PartialEq, Eq)]
struct Archived {
    config: Digest,
    /// The manifest, where the archive has one.
    manifest: Option<Digest>,
    /// The layers as they are in the archive, lowest first.
    blobs: Vec<Digest>,
    /// For what it is, where an index says so; else its config does.
    platform: Option<Platform>,
}

impl Builder {
    /// Reads an archive of images: as `docker save`, `kiln save` and `-o type=docker` write them, or an OCI layout, as
    /// `-o type=oci` does; compressed or not. Of an index it takes all images that the archive has. Gives their names, or
    /// IDs where they have none.
    pub fn load(&self, reader: &mut dyn Read, sink: &dyn Sink, cancel: &Cancel) -> Result<Vec<String>, Error> {
        let _in_use = self.store.in_use().map_err(StepError::from)?;
        let tasks = Tasks::new(sink, FIRST_TASK);
        let images = Images::new(&self.store, &self.registry, &tasks, cancel);
        let task = tasks.start("load images".to_owned());
        let files = take_files(&self.store, reader)?;
        let mut names = Vec::new();
        for entry in entries(&self.store, &files)? {
            if entry.left_out > 0 {
                task.say(&format!(
                    "without {} of what an index names: attestations, or images that are not in the archive",
                    entry.left_out
                ));
            }
            names.extend(load_one(&images, &entry)?);
        }
        task.done();
        Ok(names)
    }
}

/// What the archive has. Docker's list, which many an archive has besides, knows one image for a name.
fn entries(store: &Store, files: &Files) -> Result<Vec<Entry>, Error> {
    let layout = match files.get(INDEX) {
        Some(index) => Some(oci::read_index(store, index)?),
        None => None,
    };
    match (layout, files.get(docker::LIST)) {
        (Some(layout), None) => oci::entries(store, files, &layout),
        (Some(layout), Some(_)) if oci::names_indexes(&layout) => oci::entries(store, files, &layout),
        (_, Some(list)) => docker::entries(store, files, list),
        (None, None) => {
            let message =
                "it has neither manifest.json, as docker's archives have, nor index.json, as OCI layouts have";
            Err(not_an_image("the archive", message))
        }
    }
}

fn not_an_image(path: &str, message: impl std::fmt::Display) -> Error {
    Error::NotAnImage {
        path: path.to_owned(),
        message: message.to_string(),
    }
}

/// The file at a path that `who` names.
fn lookup(files: &Files, path: &str, who: &str) -> StepResult<Digest> {
    files.get(path).copied().ok_or_else(|| absent(path, who))
}

fn absent(path: &str, who: &str) -> StepError {
    StepError::Invalid(format!("the archive has no `{path}`, which its {who} names"))
}

/// Puts every file of the archive into the store as a blob; those that belong to no image go with the next prune.
fn take_files(store: &Store, reader: &mut dyn Read) -> StepResult<Files> {
    let mut tar = Reader::new(kiln_layer::uncompressed(reader)?);
    let mut files = Files::new();
    let mut buffer = vec![0; 1 << 20];
    while let Some(entry) = tar.next_entry()? {
        let path = String::from_utf8_lossy(&entry.path).trim_start_matches("./").to_owned();
        match entry.kind {
            Kind::File => {
                let mut writer = store.blob_writer(Some(entry.size))?;
                loop {
                    let count = tar.read_content(&mut buffer)?;
                    if count == 0 {
                        break;
                    }
                    writer
                        .write_all(&buffer[..count])
                        .map_err(StepError::io("write", &path))?;
                }
                files.insert(path, writer.commit(None)?.0);
            }
            // Old archives link layers that several images have.
            Kind::Symlink | Kind::Link => {
                let target = String::from_utf8_lossy(&entry.link)
                    .trim_start_matches("../")
                    .to_owned();
                if let Some(digest) = files.get(&target).copied() {
                    files.insert(path, digest);
                }
            }
            _ => {}
        }
    }
    Ok(files)
}

/// Takes what is under the names into the store, and gives it them.
fn load_one(images: &Images<'_>, entry: &Entry) -> StepResult<Vec<String>> {
    let taken: StepResult<Vec<Image>> = entry.images.iter().map(|one| take(images, one)).collect();
    let taken = taken?;
    let id = match (&taken[..], entry.index) {
        ([one], None) => one.id,
        (_, Some(id)) => {
            let created = taken.iter().map(|image| image.created).max().unwrap_or_default();
            images.store.put_index(&ImageIndex {
                id,
                images: taken,
                created,
            })?;
            id
        }
        // What the index names besides is not here: it is another one without that.
        (several, None) => {
            let each: StepResult<Vec<_>> = several.iter().map(|image| stored_image(images, image)).collect();
            let stored = Stored {
                images: each?,
                epoch: None,
                index: None,
                several: true,
            };
            keep_index(images, &stored, AS_THEY_ARE)?.digest
        }
    };
    for name in &entry.names {
        images.store.tag(name, &id)?;
    }
    if entry.names.is_empty() {
        return Ok(vec![id.to_string()]);
    }
    Ok(entry.names.iter().map(Reference::familiar).collect())
}

fn take(images: &Images<'_>, archived: &Archived) -> StepResult<Image> {
    let id = archived.config;
    let bytes = images.store.read_blob(&id, MAX_DOCUMENT)?;
    let config = parse_config(&bytes, &Reference::new("docker.io", "library/image", None, None))?;
    if archived.blobs.len() != config.rootfs.diff_ids.len() {
        return Err(StepError::Invalid(
            "the archive's manifest and config name different numbers of layers".to_owned(),
        ));
    }
    let layers = unpack_layers(images, &config, &archived.blobs)?;
    let facts = assemble::layer_facts(images, &layers)?;
    let size = facts.iter().map(|layer| layer.size).sum();
    let image = Image {
        id,
        manifest: archived.manifest,
        layers,
        platform: archived.platform.clone().unwrap_or_else(|| config.platform()),
        size,
        created: jiff::Timestamp::now().as_second(),
    };
    images.store.put_image(&image)?;
    Ok(image)
}

fn unpack_layers(images: &Images<'_>, config: &ImageConfig, blobs: &[Digest]) -> StepResult<Vec<LayerId>> {
    let layers = chain_ids(&config.rootfs.diff_ids);
    for ((layer, blob), diff_id) in layers.iter().zip(blobs).zip(&config.rootfs.diff_ids) {
        if images.store.layer(layer)?.is_some() {
            continue;
        }
        let directory = images.store.new_layer()?;
        let unpacked = kiln_layer::unpack(
            images.store.open_blob(blob)?,
            None,
            &directory.fs(),
            &UnpackOptions::default(),
        )?;
        if unpacked.diff_id != *diff_id {
            return Err(StepError::Invalid(format!(
                "a layer of the archive unpacks to {}, but the config says {diff_id}",
                unpacked.diff_id
            )));
        }
        let info = layer_info(&directory, Some(*diff_id))?;
        images.store.commit_layer(&directory, layer, &info)?;
        remember_blob(images.store, layer, blob, diff_id)?;
    }
    Ok(layers)
}

/// Keeps a compressed layer for later pushes, and a bare tar unless the same is made again when it is needed.
fn remember_blob(store: &Store, layer: &LayerId, blob: &Digest, diff_id: &Digest) -> StepResult<()> {
    let mut prefix = [0; 16];
    let mut file = store.open_blob(blob)?;
    let count = file.read(&mut prefix).map_err(StepError::io("read", "a layer"))?;
    let compression = match kiln_layer::sniff(&prefix[..count]) {
        Some(kiln_layer::ArchiveKind::Gzip) => Compression::Gzip,
        Some(kiln_layer::ArchiveKind::Zstd) => Compression::Zstd,
        _ => Compression::None,
    };
    if compression == Compression::None {
        let (made, tar_size) = kiln_layer::diff_id(&store.layer_path(layer), &PackOptions::default())?;
        if made == *diff_id {
            return Ok(store.set_layer_diff_id(layer, diff_id, tar_size)?);
        }
    }
    let size = file.metadata().map_err(StepError::io("examine", "a layer"))?.len();
    Ok(store.add_layer_blob(layer, blob, size, Family::Oci.layer(compression))?)
}
