//! The same layers, compressed otherwise.

use kiln_image::media_type::Compression;

use super::{Edit, Made, Subject};
use crate::assemble;
use crate::builder::Builder;
use crate::cancel::Cancel;
use crate::error::Error;
use crate::event::Sink;
use crate::request::LayerOptions;

impl Builder {
    /// Compresses all layers of an image in another way, at the level given or the format's own. Its config, and so its ID,
    /// stays: the tars are the same.
    pub fn recompress(
        &self,
        edit: &Edit<'_>,
        kind: Compression,
        level: Option<i32>,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<Made, Error> {
        self.work(format!("recompress {}", edit.image), sink, cancel, |images| {
            let mut draft = Subject::open(images, edit.image, edit.platform)?.draft(edit.epoch);
            let types = draft.family.unwrap_or_default();
            let options = LayerOptions {
                kind,
                level,
                force: true,
                types,
                ..LayerOptions::DEFAULT
            };
            let blobs = assemble::layer_blobs(images, &draft.layers, options)?;
            draft.descriptors = draft.layers.iter().cloned().zip(blobs).collect();
            draft.family = Some(types);
            draft.keep(images, edit.names)
        })
    }
}
