//! Namespaces for the next program, made while one runs.

use std::sync::{Mutex, PoisonError};

use kiln_plan::{Exec, Op, StepId};
use kiln_sandbox::{Kind, Prepared};

use super::Solver;
use super::exec::network;
use crate::error::StepResult;

/// What is ready for the next program.
#[derive(Default)]
pub(super) struct Ahead(Mutex<Option<Prepared>>);

impl Ahead {
    /// Namespaces for a program: those that are ready, or else new ones.
    pub(super) fn take(&self, exec: &Exec) -> StepResult<Prepared> {
        let kind = kind(exec);
        let ready = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match ready.filter(|ready| ready.kind() == kind) {
            Some(ready) => Ok(ready),
            None => Ok(Prepared::new(kind)?),
        }
    }
}

impl Solver<'_> {
    /// Makes those of the program that comes after `step` in the plan. If there is one it will most likely run too.
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
            // Without a thread for it the program itself will say so.
            *ready = Prepared::new(kind(exec)).ok();
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
