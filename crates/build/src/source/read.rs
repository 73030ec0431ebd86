//! Reading the layers of an image as tars, whatever they are compressed with: in bounded memory, several at a time.

use std::io::{self, Read};

use kiln_image::Hasher;

use super::SourceImage;
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
        if cancel.is_canceled() {
            return Err(StepError::Canceled);
        }
        let diff_id = image.layers.get(layer).map(|layer| layer.diff_id);
        let what = format!("layer {layer} of {}", image.name);
        let (part, total) = match image.layers.get(layer).and_then(|layer| layer.blob.as_ref()) {
            Some(blob) => (blob.digest.short(), Some(blob.size)),
            None => (diff_id.map_or_else(String::new, |diff_id| diff_id.short()), None),
        };
        let report = |bytes: u64| task.progress(&part, bytes, total);
        let inner = image.blob_reader(layer, &self.store, Box::new(report))?;
        let failed = |source| StepError::Unpack {
            what: what.clone(),
            source,
        };
        let tar = kiln_layer::uncompressed(Watched { inner, cancel }).map_err(failed)?;
        let mut hashed = Hashed {
            inner: tar,
            hasher: Hasher::new(),
        };
        take(layer, &mut hashed);
        io::copy(&mut hashed, &mut io::sink()).map_err(|source| failed(kiln_layer::Error::Read(source)))?;
        let found = hashed.hasher.finish();
        if diff_id == Some(found) {
            return Ok(());
        }
        Err(StepError::Invalid(format!(
            "{what} unpacks to {found}, which is not what its config says: the image is damaged or lies"
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
