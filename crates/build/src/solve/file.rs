//! COPY, ADD and WORKDIR: file operations on a file tree.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use kiln_layer::CopyOptions;
use kiln_plan::{CopyAction, CopyFrom, FileAction, FileOp, MkdirAction, Op, Source, StepId};
use rustix::fs::{Mode, OFlags};

use super::cached::Made;
use super::copy::{Target, context_filter};
use super::share::Donor;
use super::sources::Tree;
use super::{Done, Solver};
use crate::cancel::Cancel;
use crate::context::Context;
use crate::error::{StepError, StepResult};
use crate::known_files::KnownLayers;
use crate::measure::Common;

impl Solver<'_> {
    pub(super) fn file(&self, file: &FileOp, donor: Option<&Donor<'_>>) -> StepResult<Made> {
        let base = self.tree(file.root);
        self.images.materialize(base.layers())?;
        let work = self.work("prepare");
        let directory = self.session.store.new_layer()?;
        let common = match donor {
            Some(donor) => self.share(base.layers(), &directory, donor)?,
            None => None,
        };
        let root = self.writable(base.layers(), &directory, &directory)?;
        drop(work);
        let work = self.work("copy");
        for action in &file.actions {
            if self.cancel.is_canceled() {
                return Err(StepError::Canceled);
            }
            match action {
                FileAction::Mkdir(mkdir) => make_directory(root.as_fd(), mkdir)?,
                FileAction::Copy(copy) => self.copy(root.as_fd(), copy, common.as_ref())?,
            }
        }
        drop(work);
        let _work = self.work("tear down");
        drop(root);
        Ok(Made {
            directory,
            peak_memory: None,
            common,
        })
    }

    fn copy(&self, root: BorrowedFd<'_>, copy: &CopyAction, common: Option<&Common>) -> StepResult<()> {
        let local = match &copy.from {
            CopyFrom::Step(Some(step)) => matches!(self.result(*step), Done::Local(_)),
            CopyFrom::Step(None) => false,
            CopyFrom::Inline(_) => true,
        };
        let target = Target::new(root, copy, local)?.beside(common.map(|common| &common.files));
        match &copy.from {
            CopyFrom::Inline(content) => target.inline(content),
            CopyFrom::Step(_) => self.with_source(copy, |tree| {
                copy.sources.iter().try_for_each(|word| target.word(tree, word))
            }),
        }
    }

    /// Calls `read` with the tree of a step's result; `None` is scratch.
    pub(super) fn with_tree<T>(
        &self,
        step: Option<StepId>,
        read: impl FnOnce(&Tree<'_>) -> StepResult<T>,
    ) -> StepResult<T> {
        match self.tree(step) {
            Done::Local(context) => read(&context_tree(&context, self.cancel)),
            done @ Done::Tree(_) => {
                let root = self.read_only(&done)?;
                let directories = self.layer_paths(done.layers())?;
                read(&Tree {
                    root: root.as_fd(),
                    context: None,
                    known: KnownLayers::open(self.session.known_files, &directories)?,
                    place: self.place(step),
                    cancel: self.cancel,
                })
            }
        }
    }

    /// The source of a tree, for messages.
    pub(super) fn place(&self, step: Option<StepId>) -> String {
        let Some(id) = step else {
            return "scratch, which is empty".to_owned();
        };
        let step = &self.plan.steps[id.0];
        match (&step.op, step.stage) {
            (Op::Source(Source::Image { reference, .. }), _) => format!("image {}", reference.familiar()),
            (_, Some(stage)) => format!("stage \"{}\"", self.plan.stages[stage].name),
            _ => format!("`{}`", step.name),
        }
    }

    /// Fills a new cache mount with what it starts as.
    pub(super) fn seed(&self, path: &Path, from: StepId, source: &str) -> StepResult<()> {
        let root = rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(StepError::errno("open", path))?;
        self.with_tree(Some(from), |tree| {
            let filter = |path: &Path, directory: bool| context_filter(tree.context, path, directory);
            let options = CopyOptions {
                filter: Some(&filter),
                ..CopyOptions::default()
            };
            for found in tree.find(source)? {
                kiln_layer::copy_tree(tree.root, &found.real, root.as_fd(), Path::new("/"), &options)?;
            }
            Ok(())
        })
    }
}

pub(super) fn context_tree<'a>(context: &'a Context, cancel: &'a Cancel) -> Tree<'a> {
    Tree {
        root: context.root.as_fd(),
        context: Some(context),
        known: None,
        place: context.describe(),
        cancel,
    }
}

/// WORKDIR. Its user need not exist until something runs as it, so that what `--chown` does holds here too.
fn make_directory(root: BorrowedFd<'_>, mkdir: &MkdirAction) -> StepResult<()> {
    let owner = kiln_sandbox::resolve_owner(root, &mkdir.owner)?;
    let mode = Mode::from_raw_mode(mkdir.mode);
    kiln_sandbox::mkdir_all_in_root(root, &mkdir.path, mode, Some(owner), mkdir.time)
        .map_err(StepError::errno("create", &mkdir.path))?;
    Ok(())
}
