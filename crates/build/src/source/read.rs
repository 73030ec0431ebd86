//! Reading the layers of an image as tars, whatever they are compressed with: in bounded memory, several at a time.

use std::io::{self, Read};

use kiln_image::{Digest, Hasher};
use kiln_store::Store;

use super::{Blobs, SourceImage};
use crate::builder::{Builder, FIRST_TASK};
use crate::cancel::{Cancel, Watched};
use crate::error::{Error, StepError, StepResult};
use crate::event::Sink;
use crate::parallel;
use crate::session::{Task, Tasks};

/// How many layers are read at the same time.
const PARALLEL: usize = 4;

impl Builder {
    /// Reads layers of an image by their numbers, 0 is the lowest, and gives each one's tar to `take`. What `take` leaves is
    /// read, too: if this succeeds, all tars were those that the config names.
    pub fn read_layers(
        &self,
        image: &SourceImage,
        layers: &[usize],
        take: &(dyn Fn(usize, &mut dyn Read) + Sync),
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<(), Error> {
        let tasks = Tasks::new(sink, FIRST_TASK);
        let task = tasks.start(format!("read layers of {}", image.name));
        let read = parallel::map(layers, PARALLEL, |layer| {
            self.read_layer(image, *layer, take, &task, cancel)
        });
        Ok(task.end(read.map(drop))?)
    }

    fn read_layer(
        &self,
        image: &SourceImage,
        layer: usize,
        take: &(dyn Fn(usize, &mut dyn Read) + Sync),
        task: &Task<'_>,
        cancel: &Cancel,
    ) -> StepResult<()> {
        let blob = image.open_layer(layer, &self.store, task, cancel)?;
        let failed = |source| image.unreadable(layer, source);
        let mut hashed = Hashed {
            inner: kiln_layer::uncompressed(blob).map_err(failed)?,
            hasher: Hasher::new(),
        };
        take(layer, &mut hashed);
        io::copy(&mut hashed, &mut io::sink()).map_err(|source| failed(kiln_layer::Error::Read(source)))?;
        image.check_layer(layer, hashed.hasher.finish())
    }
}

impl SourceImage {
    /// What a layer is called in errors.
    pub(super) fn layer_name(&self, layer: usize) -> String {
        format!("layer {layer} of {}", self.name)
    }

    /// What is said of a layer that cannot be read.
    pub(super) fn unreadable(&self, layer: usize, source: kiln_layer::Error) -> StepError {
        StepError::Unpack {
            what: self.layer_name(layer),
            source,
        }
    }

    /// A layer as it is kept where the image is, whatever it is compressed with. The task tells how much of it was read.
    pub(super) fn open_layer<'r>(
        &self,
        layer: usize,
        store: &Store,
        task: &'r Task<'_>,
        cancel: &'r Cancel,
    ) -> StepResult<Watched<'r, Box<dyn Read + Send + 'r>>> {
        if cancel.is_canceled() {
            return Err(StepError::Canceled);
        }
        let lost = || StepError::LostLayer {
            layer: layer.to_string(),
            image: self.name.clone(),
        };
        let known = self.layers.get(layer).ok_or_else(lost)?;
        let (part, total) = match &known.blob {
            Some(blob) => (blob.digest.short(), Some(blob.size)),
            None => (known.diff_id.short(), None),
        };
        let report = Box::new(move |bytes: u64| task.progress(&part, bytes, total));
        let inner: Box<dyn Read + Send> = match (&self.blobs, &known.blob) {
            (Blobs::Registry(..), Some(blob)) if store.blob_fault(&blob.digest)?.is_none() => {
                Box::new(store.open_blob(&blob.digest)?)
            }
            (Blobs::Registry(registry, reference), Some(blob)) => {
                Box::new(registry.blob_reader(reference, blob, report)?)
            }
            (Blobs::Files(files, names), _) => files.must_open(names.get(layer).ok_or_else(lost)?)?.reader,
            _ => return Err(lost()),
        };
        Ok(Watched { inner, cancel })
    }

    /// Compares the digest of a layer's tar with what the config says.
    pub(super) fn check_layer(&self, layer: usize, found: Digest) -> StepResult<()> {
        if self.layers.get(layer).map(|layer| layer.diff_id) == Some(found) {
            return Ok(());
        }
        Err(StepError::Invalid(format!(
            "{} unpacks to {found}, which is not what its config says: the image is damaged or lies",
            self.layer_name(layer)
        )))
    }
}

/// A reader that digests what passes.
struct Hashed<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
