//! Images from one place to another: documents and blobs go as they are.

mod deliver;
mod gather;
mod layout;

use std::io::Read;
use std::sync::Arc;

use kiln_image::{Descriptor, Document, Platform, Reference};

use crate::builder::Builder;
use crate::cache::Verified;
use crate::cancel::Cancel;
use crate::error::{Error, StepResult};
use crate::event::Sink;
use crate::images::Images;
use crate::layout::{LayoutFiles, blob_name};
use crate::source::Location;

pub(super) use deliver::take;
pub(super) use gather::gather;

/// Which images of several.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// The one for a platform; this machine's where not given.
    One(Option<&'a Platform>),
    /// All, under the index that names them.
    All,
}

/// A manifest or an index.
#[derive(Debug)]
pub(super) struct Paper {
    /// Its digest, size and media type.
    pub(super) descriptor: Descriptor,
    pub(super) bytes: Vec<u8>,
    pub(super) document: Document,
}

/// What is copied.
pub(super) struct Parcel {
    /// Each after all that it names: the last one stands for all.
    pub(super) papers: Vec<Paper>,
    /// What the manifests name, each once.
    pub(super) blobs: Vec<Descriptor>,
    pub(super) origin: Origin,
}

/// Where blobs are.
pub(super) enum Origin {
    Store,
    Registry(Reference),
    Files(Arc<dyn LayoutFiles + Send + Sync>),
}

impl Parcel {
    /// What stands for all.
    pub(super) fn top(&self) -> &Paper {
        self.papers.last().expect("there is a manifest at least")
    }

    /// A blob's content, which fails at its end if it is not what was named.
    pub(super) fn open<'r>(
        &self,
        images: &Images<'r>,
        blob: &Descriptor,
        report: Box<dyn Fn(u64) + Send + 'r>,
    ) -> StepResult<Box<dyn Read + Send + 'r>> {
        // What was fetched before is not fetched again.
        if images.has_whole_blob(&blob.digest)? {
            return Ok(Box::new(images.store.open_blob(&blob.digest)?));
        }
        Ok(match &self.origin {
            Origin::Store => Box::new(images.store.open_blob(&blob.digest)?),
            Origin::Registry(reference) => Box::new(images.registry.blob_reader(reference, blob, report)?),
            Origin::Files(files) => {
                let content = files.must_open(&blob_name(&blob.digest))?;
                Box::new(Verified::new(content.reader, blob))
            }
        })
    }
}

impl Builder {
    /// Copies an image to another place: a name of the store, or one of the transports that [`Location`] knows. Blobs that
    /// are there are not sent again. Gives the descriptor of what stands for it there.
    pub fn copy_image(
        &self,
        from: &Location,
        to: &str,
        which: Which<'_>,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<Descriptor, Error> {
        let to = deliver::destination(to)?;
        self.work(format!("copy {from} to {to}"), sink, cancel, |images| {
            let parcel = gather(images, from, which)?;
            deliver::deliver(images, &parcel, &to)
        })
    }
}
