//! Images in files: an OCI layout (image specification, image-layout.md) as a directory or a tar, and the tar that
//! `docker load` takes, which is an OCI layout with a `manifest.json` besides.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::Path;

use kiln_image::{Descriptor, Digest, Index, Reference, media_type};
use kiln_layer::tar::Writer as TarWriter;
use kiln_store::Store;
use serde_json::json;

use crate::error::{StepError, StepResult};
use crate::layout::{INDEX, blob_name, lock, touch};
use crate::package::Package;

/// The content of the `oci-layout` file.
pub(crate) const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// One entry for each name; one without name where there is none.
fn index_entries(package: &Package) -> Vec<Descriptor> {
    let mut base = package.descriptor();
    if let Some(created) = &package.created {
        base.annotations
            .insert("org.opencontainers.image.created".to_owned(), created.clone());
    }
    if package.names.is_empty() {
        return vec![base];
    }
    let named = |name: &Reference| {
        let mut entry = base.clone();
        // containerd's annotation carries the whole name, the specification's the tag alone, as BuildKit does.
        entry
            .annotations
            .insert("io.containerd.image.name".to_owned(), name.to_string());
        entry.annotations.insert(
            "org.opencontainers.image.ref.name".to_owned(),
            name.tag().unwrap_or("latest").to_owned(),
        );
        entry
    };
    package.names.iter().map(named).collect()
}

fn index(packages: &[Package]) -> StepResult<Vec<u8>> {
    let index = Index {
        schema_version: 2,
        media_type: media_type::OCI_INDEX.to_owned(),
        manifests: packages.iter().flat_map(index_entries).collect(),
        annotations: BTreeMap::new(),
    };
    serde_json::to_vec(&index).map_err(|error| StepError::Invalid(format!("cannot encode the index: {error}")))
}

/// Docker's list: what `docker load` reads. It has one image for a name.
fn docker_manifest(packages: &[Package]) -> Vec<u8> {
    let entry = |package: &Package| {
        let image = package.native();
        json!({
            "Config": blob_name(&image.config),
            "RepoTags": package.names.iter().map(Reference::familiar).collect::<Vec<_>>(),
            "Layers": image.layers.iter().map(|layer| blob_name(&layer.digest)).collect::<Vec<_>>(),
        })
    };
    json!(packages.iter().map(entry).collect::<Vec<_>>())
        .to_string()
        .into_bytes()
}

/// An OCI layout as a tar.
pub(crate) fn write_oci(store: &Store, packages: &[Package], out: &mut dyn Write) -> StepResult<()> {
    write_archive(store, packages, out, None)
}

/// A tar for `docker load`.
pub(crate) fn write_docker(store: &Store, packages: &[Package], out: &mut dyn Write) -> StepResult<()> {
    write_archive(store, packages, out, Some(&docker_manifest(packages)))
}

fn write_archive(store: &Store, packages: &[Package], out: &mut dyn Write, docker: Option<&[u8]>) -> StepResult<()> {
    let mut tar = LayoutTar::begin(out)?;
    for package in packages {
        for (digest, size) in package.blobs() {
            tar.blob(&digest, size, store.open_blob(&digest)?)?;
        }
        for document in package.documents() {
            tar.blob(&Digest::of(document), document.len() as u64, document)?;
        }
    }
    tar.finish(&index(packages)?, docker)
}

/// A layout as a tar whose entries have fixed owners, modes and times.
pub(crate) struct LayoutTar<W: Write> {
    tar: TarWriter<W>,
    written: BTreeSet<Digest>,
}

impl<W: Write> LayoutTar<W> {
    /// Begins one.
    pub(crate) fn begin(out: W) -> StepResult<Self> {
        let mut tar = TarWriter::new(out);
        for path in ["blobs", "blobs/sha256"] {
            tar.directory(path, 0o755).map_err(StepError::io("write", path))?;
        }
        Ok(Self {
            tar,
            written: BTreeSet::new(),
        })
    }

    /// Writes a blob, unless it was written.
    pub(crate) fn blob(&mut self, digest: &Digest, size: u64, content: impl Read) -> StepResult<()> {
        if self.written.insert(*digest) {
            self.file(&blob_name(digest), size, content)?;
        }
        Ok(())
    }

    fn file(&mut self, path: &str, size: u64, content: impl Read) -> StepResult<()> {
        self.tar
            .file(path, 0o644, size, content)
            .map_err(StepError::io("write", path))
    }

    fn bytes(&mut self, path: &str, content: &[u8]) -> StepResult<()> {
        self.file(path, content.len() as u64, content)
    }

    /// Ends it with its index, and docker's list, if it is to have one.
    pub(crate) fn finish(mut self, index: &[u8], docker: Option<&[u8]>) -> StepResult<()> {
        self.bytes(INDEX, index)?;
        if let Some(docker) = docker {
            self.bytes("manifest.json", docker)?;
        }
        self.bytes("oci-layout", LAYOUT)?;
        self.tar
            .finish()
            .map(drop)
            .map_err(StepError::io("write", "the archive"))
    }
}

/// An OCI layout as a directory. Blobs that are there already stay, and are new again; `index.json` is replaced at the end.
pub(crate) fn write_oci_directory(store: &Store, packages: &[Package], dest: &Path) -> StepResult<()> {
    let blobs = dest.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).map_err(StepError::io("create", &blobs))?;
    // Against those who prune a cache there: where nobody can lock, they cannot either.
    let _alone = lock(dest).ok();
    for package in packages {
        for (digest, size) in package.blobs() {
            place(&blobs.join(digest.hex()), Some(size), |out| {
                io::copy(&mut store.open_blob(&digest)?, out)
                    .map(drop)
                    .map_err(StepError::io("copy", digest.hex()))
            })?;
        }
        for document in package.documents() {
            let path = blobs.join(Digest::of(document).hex());
            place(&path, Some(document.len() as u64), |out| write_all(out, document))?;
        }
    }
    place(&dest.join("oci-layout"), None, |out| write_all(out, LAYOUT))?;
    let index = index(packages)?;
    place(&dest.join("index.json"), None, |out| write_all(out, &index))
}

fn write_all(out: &mut dyn Write, bytes: &[u8]) -> StepResult<()> {
    out.write_all(bytes).map_err(StepError::io("write", "a blob"))
}

/// Writes a file unless one of the expected size is there: blobs are named by their content.
pub(crate) fn place(
    path: &Path,
    size: Option<u64>,
    write: impl FnOnce(&mut dyn Write) -> StepResult<()>,
) -> StepResult<()> {
    let is_there = size.is_some() && std::fs::metadata(path).is_ok_and(|present| Some(present.len()) == size);
    if is_there && touch(path)? {
        return Ok(());
    }
    super::with_durable_file(path, write)
}
