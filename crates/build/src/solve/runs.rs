//! Notes what a step is made of when it runs.

use kiln_plan::{Step, StepId};
use kiln_store::Run;

use super::Solver;
use super::content::Content;
use crate::error::{StepError, StepResult};
use crate::event::{Event, TaskId};
use crate::inputs::{BASE, Input, Inputs};
use crate::key::tree_digest;
use crate::why;

impl Solver<'_> {
    /// Notes that a step begins to run, and tells why, where that was asked for. Gives the run's number.
    pub(super) fn begin_run(&self, id: StepId, step: &Step, inputs: &Inputs, content: &Content) -> StepResult<i64> {
        let _work = self.work("note the run");
        let store = self.session.store;
        let run = Run {
            build: self.session.build,
            step: id.0,
            definition: step.definition,
            place: self.place_of(id, step),
            title: title(step),
            inputs: inputs.to_bytes(),
        };
        let number = store.begin_run(&run)?;
        for (digest, seen) in &content.files {
            let listing = seen.listing().compressed();
            let listing = listing.map_err(StepError::io("compress", "a list of files"))?;
            store.put_listing(number, digest, &listing)?;
        }
        if self.session.request.explain
            && let Some(why) = why::of_run(store, number, &run)?
        {
            let id = TaskId(id.0);
            self.sink.event(Event::Explained { id, why });
        }
        Ok(number)
    }

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
