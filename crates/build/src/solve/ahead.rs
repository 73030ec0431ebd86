//! What the next program needs, made while one runs.

use std::sync::{Mutex, PoisonError};

use kiln_plan::{Exec, Op, StepId};
use kiln_sandbox::{Kind, Prepared};
use kiln_store::{LayerDir, Store};

use super::Solver;
use super::exec::network;
use crate::error::StepResult;

/// What is ready for the next program.
#[derive(Default)]
pub(super) struct Ahead(Mutex<Option<Ready>>);

/// Namespaces, and the directory that takes what a program writes.
pub(super) struct Ready {
    pub(super) namespaces: Prepared,
    pub(super) directory: LayerDir,
}

impl Ready {
    fn new(store: &Store, kind: Kind) -> StepResult<Self> {
        Ok(Self {
            namespaces: Prepared::new(kind)?,
            directory: store.new_layer()?,
        })
    }
}

impl Ahead {
    /// What a program needs: what is ready, or else made now.
    pub(super) fn take(&self, store: &Store, exec: &Exec) -> StepResult<Ready> {
        let kind = kind(exec);
        let ready = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match ready {
            Some(ready) if ready.namespaces.kind() == kind => Ok(ready),
            Some(ready) => Ok(Ready {
                namespaces: Prepared::new(kind)?,
                ..ready
            }),
            None => Ready::new(store, kind),
        }
    }
}

impl Solver<'_> {
    /// Makes it for the program that comes after `step` in the plan. If there is one it will most likely run too.
    pub(super) fn prepare_next(&self, step: StepId) {
        let later = self.plan.steps.iter().enumerate().skip(step.0 + 1);
        let next = later
            .filter(|(id, _)| !self.results.has(StepId(*id)))
            .find_map(|(_, step)| match &step.op {
                Op::Exec(exec) => Some(exec),
                _ => None,
            });
        let mut ready = self.ahead.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(exec), None) = (next, ready.as_ref()) {
            // What goes wrong the program itself will say, when it is its turn.
            *ready = Ready::new(self.session.store, kind(exec)).ok();
        }
    }
}

fn kind(exec: &Exec) -> Kind {
    Kind {
        network: network(exec.network),
        privileged: exec.insecure,
        shm_size: exec.shm_size,
    }
}
