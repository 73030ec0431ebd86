//! Taking images in from archives: OCI layouts as tars, and what `docker save` writes.

use std::collections::HashMap;
use std::io::{Read, Write as _};

use kiln_image::media_type::{self, Compression};
use kiln_image::{Descriptor, Digest, ImageConfig, Reference};
use kiln_layer::UnpackOptions;
use kiln_layer::tar::{Kind, Reader};
use kiln_store::{Image, LayerId, LayerInfo, Store};
use serde::Deserialize;

use crate::assemble;
use crate::builder::{Builder, FIRST_TASK};
use crate::cancel::Cancel;
use crate::error::{Error, StepError, StepResult};
use crate::event::Sink;
use crate::images::{Images, MAX_DOCUMENT, chain_ids, parse_config};
use crate::session::Tasks;

/// One image of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerEntry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Vec<String>,
}

impl Builder {
    /// Reads an archive of images (as `docker save`, `kiln save` and `-o type=docker` write them). Gives their names,
    /// or IDs where they have none.
    pub fn load(&self, reader: &mut dyn Read, sink: &dyn Sink, cancel: &Cancel) -> Result<Vec<String>, Error> {
        let _in_use = self.store.in_use().map_err(StepError::from)?;
        let tasks = Tasks::new(sink, FIRST_TASK);
        let images = Images::new(&self.store, &self.registry, &tasks, cancel);
        let task = tasks.start("load images".to_owned());
        let files = take_files(&self.store, reader)?;
        let Some(manifest) = files.get("manifest.json") else {
            return Err(Error::NotAnImage {
                path: "the archive".to_owned(),
                message: "it has no manifest.json: `docker save`, `kiln save` and `-o type=docker` write one"
                    .to_owned(),
            });
        };
        let bytes = self.store.read_blob(manifest, MAX_DOCUMENT).map_err(StepError::from)?;
        let entries: Vec<DockerEntry> = serde_json::from_slice(&bytes).map_err(|error| Error::NotAnImage {
            path: "manifest.json".to_owned(),
            message: error.to_string(),
        })?;
        let mut names = Vec::new();
        for entry in entries {
            names.extend(load_one(&images, &files, &entry)?);
        }
        task.done();
        Ok(names)
    }
}

/// Puts every file of the archive into the store as a blob; those that belong to no image go with the next prune.
fn take_files(store: &Store, reader: &mut dyn Read) -> StepResult<HashMap<String, Digest>> {
    let mut tar = Reader::new(reader);
    let mut files: HashMap<String, Digest> = HashMap::new();
    let mut buffer = vec![0; 1 << 20];
    while let Some(entry) = tar.next_entry()? {
        let path = String::from_utf8_lossy(&entry.path).trim_start_matches("./").to_owned();
        match entry.kind {
            Kind::File => {
                let mut writer = store.blob_writer()?;
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

fn load_one(images: &Images<'_>, files: &HashMap<String, Digest>, entry: &DockerEntry) -> StepResult<Vec<String>> {
    let lookup = |path: &str| {
        files
            .get(path)
            .copied()
            .ok_or_else(|| StepError::Invalid(format!("the archive has no `{path}`, which its manifest.json names")))
    };
    let id = lookup(&entry.config)?;
    let bytes = images.store.read_blob(&id, MAX_DOCUMENT)?;
    let name = Reference::new("docker.io", "library/image", None, None);
    let config = parse_config(&bytes, &name)?;
    let blobs = entry
        .layers
        .iter()
        .map(|path| lookup(path))
        .collect::<StepResult<Vec<_>>>()?;
    if blobs.len() != config.rootfs.diff_ids.len() {
        return Err(StepError::Invalid(
            "the archive's manifest.json and config name different numbers of layers".to_owned(),
        ));
    }
    let layers = unpack_layers(images, &config, &blobs)?;
    let facts = assemble::layer_facts(images, &layers)?;
    let size = facts.iter().map(|layer| layer.size).sum();
    let image = Image {
        id,
        manifest: None,
        layers,
        platform: config.platform(),
        size,
        created: jiff::Timestamp::now().as_second(),
    };
    images.store.put_image(&image)?;
    let mut names = Vec::new();
    for tag in entry.repo_tags.iter().flatten() {
        let reference: Reference = tag.parse().map_err(|error| StepError::Invalid(format!("{error}")))?;
        images.store.tag(&reference, &id)?;
        names.push(reference.familiar());
    }
    if names.is_empty() {
        names.push(id.to_string());
    }
    Ok(names)
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
        let info = LayerInfo {
            size: unpacked.size,
            diff_id: Some(*diff_id),
        };
        images.store.commit_layer(&directory, layer, &info)?;
        remember_blob(images.store, layer, blob)?;
    }
    Ok(layers)
}

/// Keeps a compressed layer for later pushes; a bare tar is made again when it is needed.
fn remember_blob(store: &Store, layer: &LayerId, blob: &Digest) -> StepResult<()> {
    let mut prefix = [0; 16];
    let mut file = store.open_blob(blob)?;
    let count = file.read(&mut prefix).map_err(StepError::io("read", "a layer"))?;
    let compression = match kiln_layer::sniff(&prefix[..count]) {
        Some(kiln_layer::ArchiveKind::Gzip) => Compression::Gzip,
        Some(kiln_layer::ArchiveKind::Zstd) => Compression::Zstd,
        _ => return Ok(()),
    };
    let size = file.metadata().map_err(StepError::io("examine", "a layer"))?.len();
    let descriptor = Descriptor::new(compression.oci_layer(), *blob, size);
    debug_assert!(media_type::Compression::of_layer(&descriptor.media_type).is_some());
    store.add_layer_blob(layer, blob, size, &descriptor.media_type)?;
    Ok(())
}
