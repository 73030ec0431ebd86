//! Images whose layers are to be looked into.

use kiln_image::{ImageConfig, Platform};
use kiln_store::LayerId;

use crate::builder::{Builder, FIRST_TASK};
use crate::cancel::Cancel;
use crate::error::{Error, StepResult};
use crate::event::Sink;
use crate::images::Images;
use crate::run::find;
use crate::session::Tasks;

/// An image all of whose layers are unpacked in the store.
#[derive(Debug, Clone)]
pub struct UnpackedImage {
    /// Its config.
    pub config: ImageConfig,
    /// Its layers, lowest first.
    pub layers: Vec<LayerId>,
}

impl Builder {
    /// Finds an image by its ID or name, in the store, else in its registry, and fetches the layers that the store does not
    /// have. Who wants to keep them has the store [in use](kiln_store::Store::in_use) meanwhile.
    pub fn unpack_image(
        &self,
        image: &str,
        platform: Option<&Platform>,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<UnpackedImage, Error> {
        let tasks = Tasks::new(sink, FIRST_TASK);
        let images = Images::new(&self.store, &self.registry, &tasks, cancel);
        Ok(unpack(&images, image, platform)?)
    }
}

fn unpack(images: &Images<'_>, image: &str, platform: Option<&Platform>) -> StepResult<UnpackedImage> {
    let resolved = find(images, image, platform)?;
    let layers = images.layers(&resolved.manifest);
    images.materialize(&layers)?;
    Ok(UnpackedImage {
        config: resolved.config,
        layers: layers.to_vec(),
    })
}
