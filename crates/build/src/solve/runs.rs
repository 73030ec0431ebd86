//! Notes what a step is made of when it runs.

use std::cell::OnceCell;

use kiln_plan::{Step, StepId};
use kiln_store::Run;

use super::Solver;
use super::content::Content;
use crate::error::{StepError, StepResult};
use crate::event::{Event, TaskId};
use crate::inputs::{BASE, Input, Inputs};
use crate::key::tree_digest;
use crate::why;

/// A step that is to run.
pub(super) struct NewRun<'a> {
    solver: &'a Solver<'a>,
    pub(super) id: StepId,
    pub(super) step: &'a Step,
    inputs: &'a Inputs,
    content: &'a Content,
    number: OnceCell<i64>,
}

impl<'a> NewRun<'a> {
    pub(super) fn new(
        solver: &'a Solver<'a>,
        id: StepId,
        step: &'a Step,
        (inputs, content): (&'a Inputs, &'a Content),
    ) -> Self {
        Self {
            solver,
            id,
            step,
            inputs,
            content,
            number: OnceCell::new(),
        }
    }

    /// Notes that it runs, unless that was noted, and tells why, where that was asked for. Gives the run's number.
    pub(super) fn begin(&self) -> StepResult<i64> {
        if let Some(&number) = self.number.get() {
            return Ok(number);
        }
        let number = self.note()?;
        Ok(*self.number.get_or_init(|| number))
    }

    fn note(&self) -> StepResult<i64> {
        let _work = self.solver.work("note the run");
        let session = self.solver.session;
        let run = Run {
            build: session.build,
            step: self.id.0,
            definition: self.step.definition,
            place: self.solver.place_of(self.id, self.step),
            title: title(self.step),
            inputs: self.inputs.to_bytes(),
        };
        let listings = self.content.files.iter().map(|(digest, seen)| {
            let listing = seen.compressed();
            Ok((*digest, listing.map_err(StepError::io("compress", "a list of files"))?))
        });
        let number = session
            .store
            .begin_run(&run, &listings.collect::<StepResult<Vec<_>>>()?)?;
        if session.request.explain
            && let Some(why) = why::of_run(session.store, number, &run)?
        {
            let id = TaskId(self.id.0);
            self.solver.sink.event(Event::Explained { id, why, layer: None });
        }
        Ok(number)
    }
}

impl Solver<'_> {
    /// All that a step is made of.
    pub(super) fn inputs(&self, step: &Step, content: &Content) -> Inputs {
        let base = tree_digest(self.tree(step.root()).layers());
        let mut inputs = Inputs::of(step);
        if let Some(root) = step.root() {
            let root = &self.plan.steps[root.0];
            inputs.all.push(Input::tree(BASE, "", &base, root));
        }
        inputs.all.extend(content.inputs.iter().cloned());
        inputs
    }

    /// What the same step of another build of the same Dockerfile has too, whatever it does there.
    fn place_of(&self, id: StepId, step: &Step) -> [u8; 32] {
        let request = self.session.request;
        let mut hasher = blake3::Hasher::new();
        let mut add = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        add(request.dockerfile.name().as_bytes());
        add(request
            .context
            .as_deref()
            .map_or(&[], |path| path.as_os_str().as_encoded_bytes()));
        if let Some(stage) = step.stage.map(|stage| &self.plan.stages[stage]) {
            add(stage.name.as_bytes());
            add(stage.platform.to_string().as_bytes());
        }
        let before = self.plan.steps[..id.0].iter().filter(|other| other.stage == step.stage);
        add(&before.count().to_le_bytes());
        *hasher.finalize().as_bytes()
    }
}

/// The words of the instruction, without the place that stands before them.
fn title(step: &Step) -> [u8; 32] {
    let words = step
        .name
        .split_once("] ")
        .map_or(step.name.as_str(), |(_, words)| words);
    *blake3::hash(words.as_bytes()).as_bytes()
}
