//! What is known of a layer when it is made.

use kiln_image::Digest;
use kiln_store::{LayerDir, LayerInfo};

use crate::error::StepResult;

/// Measures the layer that is in the directory.
pub(crate) fn layer_info(directory: &LayerDir, diff_id: Option<Digest>) -> StepResult<LayerInfo> {
    let usage = kiln_layer::disk_usage(&directory.fs())?;
    Ok(LayerInfo {
        size: usage.bytes,
        disk: usage.disk,
        diff_id,
        ..LayerInfo::default()
    })
}
