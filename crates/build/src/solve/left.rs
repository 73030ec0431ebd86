//! What a step left that failed, and where all of them ran.

use std::sync::{Mutex, PoisonError};

use kiln_plan::{MountKind, Op, StepId};
use kiln_store::{LayerDir, LayerId};

use super::caches::End;
use super::exec::environment;
use super::{Done, Solver, schedule};
use crate::cancel::Cancel;
use crate::error::{StepError, StepResult};
use crate::event::TaskId;
use crate::images::Images;
use crate::measure::layer_info;
use crate::places::{Around, Noted, Places};
use crate::shell::{Opener, Place, shell_of};

/// What the first step left that failed, if it is wanted.
#[derive(Default)]
pub(super) struct Left {
    wanted: bool,
    by: Mutex<Option<LeftBy>>,
}

/// What a step left that failed.
pub(crate) struct LeftBy {
    step: StepId,
    directory: LayerDir,
}

impl Left {
    /// The same, with nothing in it yet.
    pub(super) fn anew(&self) -> Self {
        Self {
            wanted: self.wanted,
            by: Mutex::default(),
        }
    }

    pub(super) fn put(&self, step: StepId, directory: LayerDir) {
        if self.wanted {
            let mut left = self.by.lock().unwrap_or_else(PoisonError::into_inner);
            left.get_or_insert(LeftBy { step, directory });
        }
    }
}

impl<'a> Solver<'a> {
    /// The same, which holds on to what a step left that failed.
    pub(crate) fn leaving(mut self, wanted: bool) -> Self {
        self.left.wanted = wanted;
        self
    }

    /// What the first step left that failed, once.
    pub(crate) fn take_left(&self) -> Option<LeftBy> {
        self.left.by.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps it for a later shell.
    pub(crate) fn keep_left(&self, left: &LeftBy) -> StepResult<()> {
        let info = layer_info(&left.directory, None)?;
        self.session
            .store
            .keep_failed(self.session.build, left.step.0, &left.directory, &info)?;
        Ok(())
    }

    /// The same, when it was cancelled, for a shell: by other means of being stopped.
    pub(crate) fn for_shell(&self, images: &'a Images<'a>, cancel: &'a Cancel) -> Self {
        let results = schedule::Results::new(self.plan.steps.len());
        for id in (0..self.plan.steps.len()).map(StepId) {
            if self.results.has(id) {
                results.set(id, self.results.get(id));
            }
        }
        Self {
            images,
            cancel,
            unannounced: Vec::new(),
            results,
            quiet: super::Quiet::default(),
            ahead: super::Ahead::default(),
            parts: super::Parts::default(),
            bound: super::Bound::default(),
            left: Left::default(),
            ..*self
        }
    }

    /// Opens a shell where the step failed, with all that it had around it.
    pub(crate) fn shell(&self, left: &LeftBy, opener: &Opener<'_>) -> StepResult<u8> {
        let step = &self.plan.steps[left.step.0];
        let (Op::Exec(exec), task) = (&step.op, TaskId(left.step.0)) else {
            return Err(StepError::Invalid("a step without program has no shell".to_owned()));
        };
        let base = self.tree(exec.root);
        let mut lower = vec![left.directory.fs()];
        lower.extend(self.images.directories(&self.images.mountable(base.layers())?));
        let (mounted, mut caches) = self.mounts(task, exec)?;
        self.enter_caches(task, exec, &mut caches)?;
        let make_mounts = || mounted.mounts();
        let place = Place {
            lower,
            platform: exec.platform.clone(),
            shell: shell_of(exec.args.first()),
            // HOME is that of whoever it is.
            env: environment(exec, None, &mounted),
            cwd: exec.cwd.clone(),
            user: exec.user.clone(),
            groups: mounted.groups.clone(),
            network: exec.network,
            hostname: exec.hostname.clone(),
            hosts: exec.extra_hosts.clone(),
            shm_size: exec.shm_size,
            ulimits: exec.ulimits.iter().map(super::exec::ulimit).collect(),
            insecure: exec.insecure,
            make_mounts: Some(&make_mounts),
            notes: Vec::new(),
        };
        let code = opener.open(&place);
        self.leave_caches(task, caches, End::Failed);
        code
    }

    /// Notes where the steps ran. What the build comes to does not depend on it.
    pub(crate) fn note_places(&self) -> StepResult<()> {
        let noted = (0..self.plan.steps.len()).map(StepId).filter_map(|id| self.noted(id));
        let places = Places(noted.collect()).to_bytes();
        let places = places.map_err(StepError::io("compress", "where steps ran"))?;
        Ok(self.session.store.put_places(self.session.build, &places)?)
    }

    /// `None` for what is no step over a file tree whose inputs are there.
    fn noted(&self, id: StepId) -> Option<Noted> {
        let step = &self.plan.steps[id.0];
        let root = step.root();
        if root.is_some_and(|root| !self.results.has(root)) {
            return None;
        }
        let result = self.results.has(id).then(|| self.results.get(id));
        let names = |layers: &[LayerId]| layers.iter().map(ToString::to_string).collect();
        let (root, layers) = match &result {
            Some(Done::Local(_)) => return None,
            Some(Done::Tree(layers)) => match self.tree(root) {
                Done::Tree(below) if layers.starts_with(&below) => (root, Some(names(&layers[below.len()..]))),
                _ => (None, Some(names(layers))),
            },
            None => (root, None),
        };
        let name = |exec, kind: &MountKind| Some(self.cache_id(exec, kind).ok()??.name);
        let around = match &step.op {
            // The key of a cache mount may depend on steps that are not done.
            Op::Exec(exec) if step.waits_for().iter().all(|input| self.results.has(*input)) => {
                Some(Around::of(exec, &|kind| name(exec, kind), &|kind| {
                    self.noted_local(kind)
                }))
            }
            _ => None,
        };
        (result.is_some() || around.is_some()).then_some(Noted {
            step: id.0,
            root: root.map(|StepId(root)| root),
            layers,
            around,
        })
    }
}
