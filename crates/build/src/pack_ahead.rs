//! Compressing layers of the images while later steps run.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, Scope};

use kiln_plan::{Plan, StepId};
use kiln_store::LayerId;
use rustix::process::nice;

use crate::assemble;
use crate::images::Images;
use crate::request::{LayerOptions, Request};
use crate::results;

/// How much nicer (`nice(2)`) it is than the programs of steps, which are what the build waits for.
const NICER: i32 = 10;

/// A thread that compresses what the results will need; it ends when this is dropped. See `docs/decisions/beside-the-step.md`.
pub(crate) struct PackAhead {
    layers: Sender<LayerId>,
    /// Steps that end a target: when they are done its results are made, by whoever waits for them.
    last: BTreeSet<StepId>,
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
        let options = results::compression(request, request.epoch.or(plan.epoch))?;
        let (layers, received) = channel();
        let thread = Builder::new().name("pack ahead".to_owned());
        thread
            .spawn_scoped(scope, move || work(images, options, &received))
            .ok()?;
        Some(Self {
            layers,
            last: plan.targets.iter().filter_map(|target| target.root).collect(),
        })
    }

    /// A step of an image is done that made this layer.
    pub(crate) fn done(&self, step: StepId, layer: &LayerId) {
        if !self.last.contains(&step) {
            let _ended = self.layers.send(layer.clone());
        }
    }
}

fn work(images: &Images<'_>, options: LayerOptions, layers: &Receiver<LayerId>) {
    // The threads that it starts are as nice.
    let _as_it_is = nice(NICER);
    for layer in layers {
        if images.is_over() {
            return;
        }
        // What fails here fails again when the results are made, and is told then.
        let _told_then = assemble::compress_new(images, &layer, options);
    }
}
