//! Images that files are copied from: no more of their layers is fetched than says all of these files.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use kiln_dockerfile::glob;
use kiln_layer::{UnpackOptions, Unpacked};
use kiln_plan::{CopyAction, FileAction, Op, Step, StepId};
use kiln_store::LayerId;

use super::Solver;
use super::clock::Clock;
use super::sources::{Tree, clean};
use crate::error::{StepError, StepResult};
use crate::fetch;
use crate::images::Images;
use crate::part::{Goal, Layers, Part};
use crate::session::Task;

/// Of more layers some must become one before they are mounted, for which all must be there.
const MOST_LAYERS: usize = 500;

/// What was read of trees. None of those that all is wanted of.
#[derive(Default)]
pub(super) struct Parts(Mutex<HashMap<Selection, Option<Arc<Part>>>>);

/// What a copy reads.
#[derive(PartialEq, Eq, Hash)]
struct Selection {
    /// The step that the tree comes from.
    from: StepId,
    goals: Vec<Goal>,
}

impl Solver<'_> {
    /// Makes sure that what the step copies from `input` is there, if not all of that must be; whether it is.
    pub(super) fn wait_for_part(&self, step: &Step, input: StepId, clock: &Clock<'_>) -> StepResult<bool> {
        let Op::File(file) = &step.op else { return Ok(false) };
        let mut is_there = true;
        for action in &file.actions {
            if let FileAction::Copy(copy) = action
                && copy.from.step() == Some(input)
            {
                is_there &= match self.selection(copy)? {
                    Some(selection) => clock.wait_for_image(|| self.part(selection))?.is_some(),
                    None => false,
                };
            }
        }
        Ok(is_there)
    }

    /// Calls `read` with the tree that a copy reads, or what there is of it.
    pub(super) fn with_source<T>(&self, copy: &CopyAction, read: impl Fn(&Tree<'_>) -> StepResult<T>) -> StepResult<T> {
        let from = copy.from.step();
        let part = match self.selection(copy)? {
            Some(selection) => self.part(selection)?,
            None => None,
        };
        let Some(part) = part else {
            return self.with_tree(from, read);
        };
        let root = part.tree(self.session.empty()?)?;
        let found = read(&Tree {
            root: root.as_fd(),
            context: None,
            known: None,
            place: self.place(from),
            cancel: self.cancel,
        });
        match found {
            // All of the tree says what was meant.
            Err(StepError::Missing(_)) => self.with_tree(from, read),
            found => found,
        }
    }

    /// What a copy reads, where that may be known without all of the tree.
    fn selection(&self, copy: &CopyAction) -> StepResult<Option<Selection>> {
        let Some(from) = copy.from.step() else {
            return Ok(None);
        };
        let goal = |word: &String| {
            let path = clean(word);
            (!path.is_empty() && !glob::is_pattern(&path)).then(|| Goal {
                path: PathBuf::from(path),
                follow: true,
            })
        };
        let goals: Option<Vec<Goal>> = copy.sources.iter().map(goal).collect();
        let Some(goals) = goals.filter(|_| !copy.parents && !self.is_wanted_whole(from)) else {
            return Ok(None);
        };
        let tree = self.result(from);
        if tree.layers().len() > MOST_LAYERS || self.images.are_in_store(tree.layers())? {
            return Ok(None);
        }
        for layer in tree.layers() {
            if self.images.base(layer).is_none() && self.session.store.layer(layer)?.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(Selection { from, goals }))
    }

    /// Whether other steps run in the tree, or write to it.
    fn is_wanted_whole(&self, tree: StepId) -> bool {
        self.plan.steps.iter().any(|step| match &step.op {
            Op::Exec(_) => step.inputs().contains(&tree),
            Op::File(file) => file.root == Some(tree),
            Op::Source(_) | Op::Merge(_) => false,
        })
    }

    fn part(&self, selection: Selection) -> StepResult<Option<Arc<Part>>> {
        let known = || self.parts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(part) = known().get(&selection) {
            return Ok(part.clone());
        }
        let tree = self.result(selection.from);
        let layers = OfTree {
            images: self.images,
            layers: tree.layers(),
            place: self.place(Some(selection.from)),
            task: OnceCell::new(),
        };
        let part = Part::read_files(self.session.store, &layers, &selection.goals);
        let part = match layers.task.into_inner() {
            Some(task) => task.end(part)?,
            None => part?,
        };
        let part = part.map(Arc::new);
        known().insert(selection, part.clone());
        Ok(part)
    }
}

/// The layers of a tree, as a build knows them. What is fetched stays in the store: the layer, if it takes nothing of those
/// below it, else its blob.
struct OfTree<'a> {
    images: &'a Images<'a>,
    layers: &'a [LayerId],
    place: String,
    /// Once something is fetched.
    task: OnceCell<Task<'a>>,
}

impl<'a> OfTree<'a> {
    fn task(&self) -> &Task<'a> {
        let name = || format!("pull what is copied from {}", self.place);
        self.task.get_or_init(|| self.images.tasks.start(name()))
    }
}

impl Layers for OfTree<'_> {
    fn count(&self) -> usize {
        self.layers.len()
    }

    fn directory(&self, number: usize) -> StepResult<Option<PathBuf>> {
        let (store, layer) = (self.images.store, &self.layers[number]);
        let is_there =
            store.layer(layer)?.is_some() || fetch::fetch_alone(self.images, self.layers, number, self.task())?;
        Ok(is_there.then(|| store.layer_path(layer)))
    }

    fn unpack(&self, number: usize, into: &Path, options: &UnpackOptions) -> StepResult<Unpacked> {
        let origin = fetch::origin(self.images, &self.layers[number])?;
        fetch::unpack(self.images, &origin, self.task(), into, options)
    }
}
