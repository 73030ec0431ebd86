//! Damage of the store that a build meets: what was lost is made or fetched anew, and the build begins again where it must.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kiln_image::Digest;
use kiln_store::{Fault, LayerId};

use crate::error::{StepError, StepResult};
use crate::images::Images;

/// A disk that loses more than this during one build cannot be built on.
const MOST: usize = 100;

/// What was met.
#[derive(Debug, Default)]
pub(crate) struct Damages {
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    /// Layers that are to be forgotten before the build begins again.
    layers: BTreeSet<LayerId>,
    /// Whether blobs were dropped since it began.
    blobs: bool,
    /// How much it was in all.
    count: usize,
}

impl Damages {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Images<'_> {
    /// Whether the store has a blob, for whoever will copy it. One that is damaged is dropped, and people are told.
    pub(crate) fn has_whole_blob(&self, digest: &Digest) -> StepResult<bool> {
        let fault = self.store.blob_fault(digest)?;
        if fault == Some(Fault::Changed) {
            let mut found = self.damages.found();
            found.blobs = true;
            found.count += 1;
            self.tasks
                .notice(notice(&format!("the store's blob {}", digest.short())));
        }
        Ok(fault.is_none())
    }

    /// The error that ends an attempt: the layer's files are not those that were written. It is forgotten before the next.
    pub(crate) fn damaged_layer(&self, layer: &LayerId) -> StepError {
        self.damages.found().layers.insert(layer.clone());
        StepError::DamagedLayer { layer: layer.clone() }
    }

    /// Forgets damaged layers. Whether there is a point in another attempt: after one that succeeded if it relied on such a
    /// layer, after one that failed if damage may have been the reason.
    pub(crate) fn forget_damaged(&self, failed: bool) -> StepResult<bool> {
        let (layers, blobs, count) = {
            let mut found = self.damages.found();
            let layers = std::mem::take(&mut found.layers);
            found.count += layers.len();
            (layers, std::mem::take(&mut found.blobs), found.count)
        };
        for layer in &layers {
            let records = self.store.records_of(layer)?;
            let step = records.first().map(|(_, record)| format!(" ({})", record.name));
            self.store.forget_layer(layer)?;
            self.tasks.notice(notice(&format!(
                "the store's layer {layer}{}",
                step.unwrap_or_default()
            )));
        }
        self.forget_unpacked();
        Ok((!layers.is_empty() || failed && blobs) && count <= MOST)
    }

    /// Does something, and again while damage was in its way.
    pub(crate) fn despite_damage<T>(&self, attempt: impl Fn() -> StepResult<T>) -> StepResult<T> {
        loop {
            let result = attempt();
            if !self.forget_damaged(result.is_err())? || self.cancel.is_canceled() {
                return result;
            }
        }
    }
}

fn notice(what: &str) -> String {
    format!(
        "{what} was damaged, so it is dropped, and made or fetched anew where it is needed: `kiln doctor --store` looks at all \
         the rest"
    )
}
