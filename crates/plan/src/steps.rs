//! The steps of a plan while it is made.

use std::collections::HashMap;

use crate::definition;
use crate::size::{self, Size};
use crate::step::{Op, Source, Step, StepId};

/// The steps so far. Sources are there once each.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    all: Vec<Step>,
    sources: HashMap<[u8; 32], StepId>,
    /// How much text the plan holds: here and in what it says of the image.
    pub(crate) size: Size,
}

/// What is said about a step besides what it does.
#[derive(Debug, Clone)]
pub(crate) struct Label {
    /// As shown to people.
    pub(crate) name: String,
    /// Its stage's place in the plan.
    pub(crate) stage: Option<usize>,
    /// Its lines.
    pub(crate) lines: Option<(u32, u32)>,
    /// Never looked up in the cache.
    pub(crate) no_cache: bool,
}

impl Steps {
    /// Adds a step.
    pub(crate) fn push(&mut self, op: Op, label: Label) -> StepId {
        let definition = definition::digest(&op);
        self.size.add(size::op(&op) + size::text(&label.name));
        let id = StepId(self.all.len());
        self.all.push(Step {
            op,
            name: label.name,
            stage: label.stage,
            lines: label.lines,
            no_cache: label.no_cache,
            definition,
        });
        id
    }

    /// The step of a source, made where it is not there yet. `lines` are those of the instruction that names it alone.
    pub(crate) fn source(
        &mut self,
        source: Source,
        lines: Option<(u32, u32)>,
        name: impl FnOnce() -> String,
    ) -> StepId {
        let op = Op::Source(source);
        let definition = definition::digest(&op);
        if let Some(known) = self.sources.get(&definition) {
            return *known;
        }
        let label = Label {
            name: name(),
            stage: None,
            lines,
            no_cache: false,
        };
        let id = self.push(op, label);
        self.sources.insert(definition, id);
        id
    }

    /// All of them.
    pub(crate) fn into_vec(self) -> Vec<Step> {
        self.all
    }
}
