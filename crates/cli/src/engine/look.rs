//! Looking into an image.

use kiln_image::Platform;
use kiln_inspect::Image;
use kiln_store::InUse;

use super::{Engine, canceled, failure};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::signals::Interrupt;

/// An image that is looked into, and stays as long as this does.
#[derive(Debug)]
pub(crate) struct Looked {
    /// The image.
    pub(crate) image: Image,
    _in_use: InUse,
}

impl Engine {
    /// Looks into an image of the store or, where that has none of the name, of a registry.
    pub(crate) fn look_into(
        &self,
        text: &str,
        platform: Option<&Platform>,
        settings: &Settings,
        interrupt: &Interrupt,
    ) -> Result<Looked, Failure> {
        let platform = platform
            .cloned()
            .map_or_else(|| settings.default_platform(), |asked| Ok(Some(asked)))?;
        let in_use = self.store.in_use().map_err(Failure::internal)?;
        let progress = Progress::start(None, false, settings)?;
        let unpacked = self
            .builder()
            .unpack_image(text, platform.as_ref(), progress.sink(), &interrupt.cancel);
        progress.finish();
        let unpacked = unpacked.map_err(|error| failure(error, interrupt))?;
        let image = Image::open(&self.store, unpacked.config, &unpacked.layers).map_err(Failure::internal)?;
        if interrupt.came() {
            return Err(canceled(interrupt));
        }
        Ok(Looked { image, _in_use: in_use })
    }
}
