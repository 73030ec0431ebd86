//! A cache within an image (`type=inline`): its config says which steps made its layers.

use kiln_image::{ImageConfig, Manifest};
use kiln_store::LayerId;
use serde::{Deserialize, Serialize};

use super::document::{Document, Entry, WrittenStep, plain};
use crate::error::{StepError, StepResult};
use crate::images::Images;

/// The field of the config.
const FIELD: &str = "io.kiln.cache.v1";

#[derive(Serialize, Deserialize)]
struct InlineLayer {
    /// Its place among the image's layers, from 0.
    layer: usize,
    #[serde(flatten)]
    step: WrittenStep,
}

/// Notes in the config which steps made the image's layers.
pub(crate) fn embed(images: &Images<'_>, layers: &[LayerId], config: &mut ImageConfig) -> StepResult<()> {
    let mut written = Vec::new();
    for (layer, id) in layers.iter().enumerate() {
        if let Some(step) = images.step_facts(id)? {
            let step = WrittenStep::new(id, &step);
            written.push(InlineLayer { layer, step });
        }
    }
    let value = serde_json::to_value(written)
        .map_err(|error| StepError::Invalid(format!("cannot encode the inline cache: {error}")))?;
    config.other.insert(FIELD.to_owned(), value);
    Ok(())
}

/// Removes what the base's config notes: it is not about the image that is made from it.
pub(crate) fn forget(config: &mut ImageConfig) {
    config.other.remove(FIELD);
}

/// What an image carries; nothing where it carries none.
pub(super) fn extract(manifest: &Manifest, mut config: ImageConfig) -> StepResult<Document> {
    let mut document = Document {
        inline: true,
        ..Document::default()
    };
    let Some(value) = config.other.remove(FIELD) else {
        return Ok(document);
    };
    let written: Vec<InlineLayer> = serde_json::from_value(value)
        .map_err(|error| StepError::Invalid(format!("its inline cache is no cache of Kiln: {error}")))?;
    for InlineLayer { layer, step } in written {
        let (Some(blob), Some(diff_id)) = (manifest.layers.get(layer), config.rootfs.diff_ids.get(layer)) else {
            return Err(StepError::Invalid(format!(
                "its inline cache names layer {layer}, and there is none"
            )));
        };
        let (id, step) = step.read()?;
        let entry = Entry {
            step,
            blob: plain(blob),
            diff_id: *diff_id,
        };
        document.layers.insert(id, entry);
    }
    Ok(document)
}
