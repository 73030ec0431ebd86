//! What is known of a layer when it is made.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use kiln_image::Digest;
use kiln_layer::Shared;
use kiln_store::{LayerDir, LayerId, LayerInfo};

use crate::error::StepResult;

/// Files of a layer that are another's too.
#[derive(Debug)]
pub(crate) struct Common {
    /// The other layer.
    pub(crate) with: LayerId,
    /// Where they are in both.
    pub(crate) place: PathBuf,
    /// Which.
    pub(crate) files: Shared,
}

impl Common {
    /// Whether there is one of them at the path.
    fn has(&self, path: &Path) -> bool {
        let below = path.strip_prefix(&self.place);
        below.is_ok_and(|below| self.files.paths.contains(below.as_os_str().as_bytes()))
    }
}

/// Measures a layer that a step made.
pub(crate) fn step_layer_info(directory: &LayerDir, common: Option<&Common>) -> StepResult<LayerInfo> {
    let Some(common) = common else {
        return layer_info(directory, None);
    };
    let usage = kiln_layer::disk_usage_without(&directory.fs(), &|path| common.has(path))?;
    Ok(LayerInfo {
        size: usage.bytes + common.files.bytes,
        disk: usage.disk,
        shares_with: Some(common.with.clone()),
        ..LayerInfo::default()
    })
}

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
