//! A cache in a registry: an artefact under a tag, or what an image carries in its config.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use kiln_image::{Descriptor, Digest, Document as Resolved, Manifest, Reference, media_type};

use super::backend::{Backend, let_others_write};
use super::document::{CONFIG_TYPE, Document};
use super::inline;
use crate::error::StepResult;
use crate::images::{MAX_DOCUMENT, parse_config};

/// An index of more images is looked at no further.
const MOST_IMAGES: usize = 32;

/// A tag of a repository.
pub(super) struct Registry {
    client: kiln_registry::Client,
    reference: Reference,
    /// What the tag named when it was last read.
    seen: Mutex<Option<Digest>>,
}

impl Registry {
    pub(super) fn new(client: &kiln_registry::Client, reference: &Reference) -> Self {
        Self {
            client: client.clone(),
            reference: reference.clone(),
            seen: Mutex::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Option<Digest>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the tag names now.
    fn named(&self) -> StepResult<Option<Digest>> {
        match self.client.resolve_digest(&self.reference) {
            Ok(found) => Ok(Some(found.digest)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn push(
        &self,
        blob: &Descriptor,
        open: &dyn Fn() -> io::Result<Box<dyn Read + Send>>,
        report: &dyn Fn(u64),
    ) -> StepResult<()> {
        self.client.push_blob(&self.reference, blob, open, &[], report)?;
        Ok(())
    }

    fn of_manifest(&self, manifest: &Manifest) -> StepResult<Document> {
        let config = self
            .client
            .blob_bytes(&self.reference, &manifest.config, MAX_DOCUMENT)?;
        if manifest.config.media_type == CONFIG_TYPE {
            return Document::parse(&config);
        }
        inline::extract(manifest, parse_config(&config, &self.reference)?)
    }

    /// What the images of an index carry, all together.
    fn of_images(&self, images: &[Descriptor]) -> StepResult<Document> {
        let mut all = Document {
            inline: true,
            ..Document::default()
        };
        let images = images.iter().filter(|image| media_type::is_manifest(&image.media_type));
        for image in images.take(MOST_IMAGES) {
            let found = self.client.resolve(&self.reference.pinned(image.digest))?;
            if let Resolved::Manifest(manifest) = found.document {
                all.update(&self.of_manifest(&manifest)?);
            }
        }
        Ok(all)
    }
}

impl Backend for Registry {
    fn name(&self) -> String {
        self.reference.familiar()
    }

    fn reference(&self) -> Option<&Reference> {
        Some(&self.reference)
    }

    fn read(&self) -> StepResult<Option<Document>> {
        *self.seen() = None;
        match self.client.resolve(&self.reference) {
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
            Ok(found) => {
                *self.seen() = Some(found.descriptor.digest);
                match found.document {
                    Resolved::Manifest(manifest) => self.of_manifest(&manifest).map(Some),
                    Resolved::Index(index) => self.of_images(&index.manifests).map(Some),
                }
            }
        }
    }

    fn open<'r>(
        &'r self,
        blob: &Descriptor,
        report: Box<dyn Fn(u64) + Send + 'r>,
    ) -> StepResult<Box<dyn Read + Send + 'r>> {
        Ok(Box::new(self.client.blob_reader(&self.reference, blob, report)?))
    }

    /// Registries take no manifest that names what they do not have, and keep what manifests name.
    fn still_has(&self, _: &Descriptor) -> bool {
        true
    }

    fn put(&self, blob: &Descriptor, file: &Path, report: &dyn Fn(u64)) -> StepResult<()> {
        self.push(blob, &|| Ok(Box::new(File::open(file)?)), report)
    }

    /// Registries replace what a tag names whatever it is. So it is looked at right before and a little after: of two that
    /// write at the same moment, the one that was first finds out.
    fn write(&self, document: &Document) -> StepResult<bool> {
        let packed = document.pack()?;
        let content = || -> io::Result<Box<dyn Read + Send>> { Ok(Box::new(Cursor::new(packed.config.clone()))) };
        self.push(&packed.config_descriptor, &content, &|_| {})?;
        let seen = *self.seen();
        let start = Instant::now();
        if self.named()? != seen {
            return Ok(false);
        }
        self.client
            .push_manifest(&self.reference, media_type::OCI_MANIFEST, &packed.manifest)?;
        let_others_write(start);
        let named = self.named()?;
        // A mirror may go on naming what was there before.
        Ok(named == Some(Digest::of(&packed.manifest)) || named == seen)
    }
}
