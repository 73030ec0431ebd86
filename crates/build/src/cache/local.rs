//! A cache in a directory: an OCI layout (image specification, image-layout.md), whose index names caches by tags.
//! Only what is new is written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use kiln_image::{Descriptor, Digest, Index, Manifest, media_type};

use super::backend::{Backend, Verified};
use super::document::{CONFIG_TYPE, Document, Packed};
use crate::error::{StepError, StepResult};
use crate::export::{self, LAYOUT};
use crate::layout::{LayoutFiles as _, REF_NAME, blob_name, lock, touch};
use crate::request::Layout;

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

    /// The manifest's digest.
    fn named(&self) -> StepResult<Option<Digest>> {
        if !self.has_index() {
            return Ok(None);
        }
        if self.layout.digest.is_some() {
            return Ok(self.layout.digest);
        }
        let index = self.layout.index()?;
        Ok(index
            .manifests
            .iter()
            .find(|entry| self.is_own(entry))
            .map(|entry| entry.digest))
    }

    fn document(&self, digest: &Digest) -> StepResult<Document> {
        let manifest: Manifest = serde_json::from_slice(&self.layout.document(digest)?)
            .map_err(|error| StepError::Invalid(format!("{}: {digest} is no manifest: {error}", self.name())))?;
        if manifest.config.media_type != CONFIG_TYPE {
            let found = &manifest.config.media_type;
            let message = format!("{}: `{}` is no cache, but has a `{found}`", self.name(), self.tag);
            return Err(StepError::Invalid(message));
        }
        Document::parse(&self.layout.document(&manifest.config.digest)?)
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

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether a blob is there, by its size.
    pub(super) fn has(&self, blob: &Descriptor) -> bool {
        std::fs::metadata(self.path(&blob.digest)).is_ok_and(|found| found.is_file() && found.len() == blob.size)
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

    /// The caller is alone.
    pub(super) fn write_documents(&self, packed: &Packed) -> StepResult<()> {
        self.place(&blob_name(&packed.config_descriptor.digest), &packed.config)?;
        self.place(&blob_name(&packed.manifest_descriptor().digest), &packed.manifest)
    }

    /// The caller is alone.
    pub(super) fn write_index(&self, index: &Index) -> StepResult<()> {
        self.place("index.json", &crate::assemble::to_json_pretty(index)?)
    }

    fn place(&self, name: &str, bytes: &[u8]) -> StepResult<()> {
        let path = self.layout.path.join(name);
        write(&path, |out| out.write_all(bytes).map_err(StepError::io("write", &path)))
    }
}

fn write(path: &Path, content: impl FnOnce(&mut dyn Write) -> StepResult<()>) -> StepResult<()> {
    export::with_durable_file(path, content)
}

impl Backend for Local {
    fn name(&self) -> String {
        self.layout.path.display().to_string()
    }

    fn read(&self) -> StepResult<Option<Document>> {
        let Some(digest) = self.named()? else {
            return Ok(None);
        };
        let error = match self.document(&digest) {
            Err(error) => error,
            read => return read.map(Some),
        };
        // It may have been replaced, and then removed by a prune, in between.
        match self.named()? {
            Some(now) if now == digest => Err(error),
            Some(now) => self.document(&now).map(Some),
            None => Ok(None),
        }
    }

    fn open<'r>(
        &'r self,
        blob: &Descriptor,
        _report: Box<dyn Fn(u64) + Send + 'r>,
    ) -> StepResult<Box<dyn Read + Send + 'r>> {
        Ok(Box::new(Verified::new(
            self.layout.must_open(&blob_name(&blob.digest))?.reader,
            blob,
        )))
    }

    fn still_has(&self, blob: &Descriptor) -> bool {
        self.has(blob)
    }

    fn keep(&self, blob: &Descriptor) -> StepResult<bool> {
        let _alone = lock(&self.layout.path)?;
        Ok(self.has(blob) && touch(&self.path(&blob.digest))?)
    }

    fn put(&self, blob: &Descriptor, file: &Path, report: &dyn Fn(u64)) -> StepResult<()> {
        self.create()?;
        let _alone = lock(&self.layout.path)?;
        let path = self.path(&blob.digest);
        if !(self.is_whole(blob) && touch(&path)?) {
            let failed = || StepError::io("write", &path);
            write(&path, |out| {
                let mut content = Verified::new(File::open(file).map_err(failed())?, blob);
                std::io::copy(&mut content, out).map(drop).map_err(failed())
            })?;
        }
        report(blob.size);
        Ok(())
    }

    fn alone(&self) -> StepResult<Option<File>> {
        self.create()?;
        lock(&self.layout.path).map(Some)
    }

    /// The caller is alone.
    fn write(&self, document: &Document) -> StepResult<bool> {
        let packed = document.pack()?;
        let mut entry = packed.manifest_descriptor();
        entry.annotations.insert(REF_NAME.to_owned(), self.tag.clone());
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
        self.write_documents(&packed)?;
        index.manifests.retain(|other| !self.is_own(other));
        index.manifests.push(entry);
        self.write_index(&index)?;
        Ok(true)
    }
}
