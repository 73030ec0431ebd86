//! Compressing layers of the images while later steps run.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, Scope};

use kiln_plan::{Plan, StepId};
use kiln_store::LayerId;

use crate::assemble;
use crate::images::Images;
use crate::request::{LayerOptions, Request};

/// A thread that compresses what the results will need; it ends when this is dropped. See `docs/decisions/beside-the-step.md`.
pub(crate) struct PackAhead {
    layers: Sender<LayerId>,
    in_images: BTreeSet<StepId>,
}

impl PackAhead {
    /// `None` where results need no compressed layers as they are, or there is no thread to be had: they are
    /// compressed at the end.
    pub(crate) fn start<'s, 'e>(
        scope: &'s Scope<'s, 'e>,
        images: &'e Images<'e>,
        plan: &Plan,
        request: &Request,
    ) -> Option<Self> {
        let options = request.kept_compression(plan)?;
        let (layers, received) = channel();
        let thread = Builder::new().name("pack ahead".to_owned());
        thread
            .spawn_scoped(scope, move || work(images, options, &received))
            .ok()?;
        Some(Self {
            layers,
            in_images: plan.steps_of_images(),
        })
    }

    /// A step is done that made this layer.
    pub(crate) fn done(&self, step: StepId, layer: &LayerId) {
        if self.in_images.contains(&step) {
            let _ended = self.layers.send(layer.clone());
        }
    }
}

fn work(images: &Images<'_>, options: LayerOptions, layers: &Receiver<LayerId>) {
    for layer in layers {
        // A step that failed has cancelled the rest.
        if images.cancel.is_canceled() {
            return;
        }
        // What fails here fails again when the results are made, and is told then.
        if let Ok(Some(_)) = images.store.layer(&layer) {
            let _told_then = assemble::blob(images, &layer, options);
        }
    }
}
