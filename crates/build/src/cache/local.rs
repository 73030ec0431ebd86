//! A cache in a directory: an OCI layout (image specification, image-layout.md), whose index names caches by tags.
//! Only what is new is written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use kiln_image::{Descriptor, Digest, Index, Manifest, media_type};
use rustix::fs::FlockOperation;

use super::backend::{Backend, Verified};
use super::document::{CONFIG_TYPE, Document};
use crate::error::{StepError, StepResult};
use crate::export::{self, LAYOUT};
use crate::layout::{REF_NAME, blob_name};
use crate::request::{Destination, Layout};

/// A tag of a layout.
pub(super) struct Local {
    layout: Layout,
    tag: String,
}

impl Local {
    pub(super) fn new(directory: &Path, tag: &str, digest: Option<Digest>) -> Self {
        Self {
            layout: Layout {
                path: directory.to_owned(),
                tag: Some(tag.to_owned()),
                digest,
            },
            tag: tag.to_owned(),
        }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.layout.path.join(blob_name(digest))
    }

    fn has_index(&self) -> bool {
        self.layout.path.join("index.json").exists()
    }

    fn is_own(&self, entry: &Descriptor) -> bool {
        entry.annotations.get(REF_NAME) == Some(&self.tag)
    }

    /// Keeps others from writing, this process's other threads too, while the value lives.
    fn lock(&self) -> StepResult<File> {
        let path = &self.layout.path;
        let directory = File::open(path).map_err(StepError::io("open", path))?;
        rustix::fs::flock(&directory, FlockOperation::LockExclusive).map_err(StepError::errno("lock", path))?;
        Ok(directory)
    }

    /// Whether the blob is there as it should be: one that was damaged is written anew.
    fn is_whole(&self, blob: &Descriptor) -> bool {
        let content = File::open(self.path(&blob.digest)).map(|file| Verified::new(file, blob));
        content
            .and_then(|mut content| std::io::copy(&mut content, &mut std::io::sink()))
            .is_ok()
    }

    fn create(&self) -> StepResult<()> {
        let blobs = self.layout.path.join("blobs/sha256");
        std::fs::create_dir_all(&blobs).map_err(StepError::io("create", &blobs))
    }

    fn place(&self, name: &str, bytes: &[u8]) -> StepResult<()> {
        let path = self.layout.path.join(name);
        write(&path, |out| out.write_all(bytes).map_err(StepError::io("write", &path)))
    }
}

fn write(path: &Path, content: impl FnOnce(&mut dyn Write) -> StepResult<()>) -> StepResult<()> {
    export::with_destination(&Destination::File(path.to_owned()), content)
}

impl Backend for Local {
    fn name(&self) -> String {
        self.layout.path.display().to_string()
    }

    fn read(&self) -> StepResult<Option<Document>> {
        if !self.has_index() {
            return Ok(None);
        }
        let digest = match self.layout.digest {
            Some(digest) => digest,
            None => match self.layout.index()?.manifests.iter().find(|entry| self.is_own(entry)) {
                Some(entry) => entry.digest,
                None => return Ok(None),
            },
        };
        let manifest: Manifest = serde_json::from_slice(&self.layout.document(&digest)?)
            .map_err(|error| StepError::Invalid(format!("{}: {digest} is no manifest: {error}", self.name())))?;
        if manifest.config.media_type != CONFIG_TYPE {
            let found = &manifest.config.media_type;
            let message = format!("{}: `{}` is no cache, but has a `{found}`", self.name(), self.tag);
            return Err(StepError::Invalid(message));
        }
        Document::parse(&self.layout.document(&manifest.config.digest)?).map(Some)
    }

    fn open<'r>(
        &'r self,
        blob: &Descriptor,
        _report: Box<dyn Fn(u64) + Send + 'r>,
    ) -> StepResult<Box<dyn Read + Send + 'r>> {
        Ok(Box::new(Verified::new(self.layout.open_blob(&blob.digest)?, blob)))
    }

    fn still_has(&self, blob: &Descriptor) -> bool {
        std::fs::metadata(self.path(&blob.digest)).is_ok_and(|found| found.is_file() && found.len() == blob.size)
    }

    fn put(&self, blob: &Descriptor, file: &Path, report: &dyn Fn(u64)) -> StepResult<()> {
        self.create()?;
        let _alone = self.lock()?;
        if !self.is_whole(blob) {
            let path = self.path(&blob.digest);
            let failed = || StepError::io("write", &path);
            write(&path, |out| {
                let mut content = Verified::new(File::open(file).map_err(failed())?, blob);
                std::io::copy(&mut content, out).map(drop).map_err(failed())
            })?;
        }
        report(blob.size);
        Ok(())
    }

    fn write(&self, document: &Document) -> StepResult<()> {
        let packed = document.pack()?;
        let mut entry = Descriptor::of(media_type::OCI_MANIFEST, &packed.manifest);
        entry.annotations.insert(REF_NAME.to_owned(), self.tag.clone());
        self.create()?;
        let _alone = self.lock()?;
        let mut index = if self.has_index() {
            self.layout.index()?
        } else {
            self.place("oci-layout", LAYOUT)?;
            Index {
                schema_version: 2,
                media_type: media_type::OCI_INDEX.to_owned(),
                manifests: Vec::new(),
                annotations: BTreeMap::new(),
            }
        };
        self.place(&blob_name(&packed.config_descriptor.digest), &packed.config)?;
        self.place(&blob_name(&entry.digest), &packed.manifest)?;
        index.manifests.retain(|other| !self.is_own(other));
        index.manifests.push(entry);
        self.place("index.json", &crate::assemble::to_json_pretty(&index)?)
    }
}
