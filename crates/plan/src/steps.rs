//! The steps of a plan while it is made.

use std::collections::HashMap;

use crate::definition;
use crate::size::{self, Size};
use crate::step::{Op, Source, Step, StepId};

/// The steps so far. Sources are there once each, and so is what several platforms do.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    all: Vec<Step>,
    sources: HashMap<[u8; 32], StepId>,
    /// How much text the plan holds: here and in what it says of the image.
    pub(crate) size: Size,
    /// The steps of the platforms before the present one.
    earlier: HashMap<Identity, StepId>,
    /// The first step of the present platform.
    first: usize,
}

/// Definition, inputs and whether the cache is left alone: steps that have the same are the same work.
type Identity = ([u8; 32], Vec<StepId>, bool);

fn identity(step: &Step) -> Identity {
    (step.definition, step.inputs(), step.no_cache)
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
    /// Adds a step, unless an earlier platform has it already.
    pub(crate) fn push(&mut self, op: Op, label: Label) -> StepId {
        let step = Step {
            definition: definition::digest(&op),
            op,
            name: label.name,
            stage: label.stage,
            lines: label.lines,
            no_cache: label.no_cache,
        };
        if let Some(known) = self.earlier.get(&identity(&step)) {
            return *known;
        }
        self.size.add(size::op(&step.op) + size::text(&step.name));
        self.all.push(step);
        StepId(self.all.len() - 1)
    }

    /// What comes now is for another platform.
    pub(crate) fn next_platform(&mut self) {
        for (index, step) in self.all.iter().enumerate().skip(self.first) {
            self.earlier.entry(identity(step)).or_insert(StepId(index));
        }
        self.first = self.all.len();
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
