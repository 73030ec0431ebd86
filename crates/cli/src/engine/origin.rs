//! Where an image comes from: what it was built from, and what had its name before.

use kiln_build::event::Silent;
use kiln_image::{Digest, Platform, Reference};
use kiln_store::{BuildResult, Entry};

use super::{Engine, Looked};
use crate::check::base::Sources;
use crate::signals::Interrupt;

impl Engine {
    /// What is known of the images that an image was built from.
    pub(crate) fn sources_of(&self, looked: &Looked) -> Sources {
        let noted = self.store.image_sources(&looked.id).ok().flatten();
        Sources::new(noted, &looked.annotations, &looked.image.config.config.labels)
    }

    /// The digests of the layers of an image, wherever it is; else why they are not known. Of a registry no layer is fetched.
    pub(crate) fn layers_of(
        &self,
        name: &str,
        platform: &Platform,
        interrupt: &Interrupt,
    ) -> Result<Vec<Digest>, String> {
        let found = self.builder.locate(name).and_then(|location| {
            self.builder
                .open_image(&location, Some(platform), &Silent, &interrupt.cancel)
        });
        found
            .map(|source| source.config.rootfs.diff_ids)
            .map_err(|error| error.to_string())
    }

    /// Unpacked bytes of the last other image that a build gave a name, as far as builds are remembered.
    pub(crate) fn size_before(&self, name: &Reference, looked: &Looked) -> Option<u64> {
        let results = self.store.build_results(name).ok()?;
        let is_of_several = matches!(self.store.by_reference(name), Ok(Some(Entry::Index(_))));
        let platform = looked.image.config.platform();
        let size = |result: &BuildResult| {
            let built = result.image?;
            match self.store.index(&built).ok()? {
                Some(index) if index.images.iter().any(|image| image.id == looked.id) => None,
                Some(index) => Some(index.select(&platform)?.size),
                // The size that is noted is that of all platforms together.
                None if is_of_several => None,
                None => (built != looked.id).then_some(result.size),
            }
        };
        results.iter().rev().find_map(size)
    }
}
