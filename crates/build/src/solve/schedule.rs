//! Which step runs when: a pool of threads over the graph.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use kiln_plan::{Plan, StepId};

use super::Done;
use crate::error::Error;

/// The results of the steps that are done.
pub(super) struct Results(Vec<OnceLock<Done>>);

impl Results {
    pub(super) fn new(steps: usize) -> Self {
        Self((0..steps).map(|_| OnceLock::new()).collect())
    }

    pub(super) fn set(&self, id: StepId, done: Done) {
        let first = self.0[id.0].set(done).is_ok();
        debug_assert!(first, "a step runs once");
    }

    pub(super) fn has(&self, id: StepId) -> bool {
        self.0[id.0].get().is_some()
    }

    pub(super) fn get(&self, id: StepId) -> Done {
        self.0[id.0].get().expect("a step runs after its inputs").clone()
    }
}

struct State {
    /// For each step, how many of its inputs are not done.
    missing: Vec<usize>,
    ready: VecDeque<StepId>,
    /// Steps that are neither done nor given up.
    open: usize,
    failure: Option<Error>,
}

/// Ends the work of all threads if one of them panics: the others would wait for its step for ever.
struct StopOnPanic<'s> {
    state: &'s Mutex<State>,
    changed: &'s Condvar,
}

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.failure.get_or_insert(Error::Canceled);
            drop(state);
            self.changed.notify_all();
        }
    }
}

struct Pool<'a, F> {
    dependents: Vec<Vec<StepId>>,
    state: Mutex<State>,
    changed: Condvar,
    work: &'a F,
}

/// Calls `work` for each step after the calls for those that it waits for returned, on at most `jobs` threads, and stops at the first
/// failure. Steps are started in the plan's order where there is a choice.
pub(super) fn run<F>(plan: &Plan, jobs: usize, work: F) -> Result<(), Error>
where
    F: Fn(StepId) -> Result<(), Error> + Sync,
{
    let pool = Pool::new(plan, &work);
    let threads = jobs.clamp(1, plan.steps.len().max(1));
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| pool.worker());
        }
        pool.worker();
    });
    let state = pool.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    state.failure.map_or(Ok(()), Err)
}

impl<'a, F: Fn(StepId) -> Result<(), Error> + Sync> Pool<'a, F> {
    fn new(plan: &Plan, work: &'a F) -> Self {
        let steps = plan.steps.len();
        let mut dependents = vec![Vec::new(); steps];
        let mut missing = vec![0; steps];
        for (index, step) in plan.steps.iter().enumerate() {
            let mut inputs = step.waits_for();
            inputs.sort_unstable();
            inputs.dedup();
            missing[index] = inputs.len();
            for input in inputs {
                dependents[input.0].push(StepId(index));
            }
        }
        let ready = (0..steps).filter(|&index| missing[index] == 0).map(StepId).collect();
        let state = State {
            missing,
            ready,
            open: steps,
            failure: None,
        };
        Self {
            dependents,
            state: Mutex::new(state),
            changed: Condvar::new(),
            work,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn worker(&self) {
        let _stop = StopOnPanic {
            state: &self.state,
            changed: &self.changed,
        };
        while let Some(id) = self.next() {
            let result = (self.work)(id);
            self.done(id, result);
        }
    }

    fn next(&self) -> Option<StepId> {
        let mut state = self.lock();
        loop {
            if state.open == 0 || state.failure.is_some() {
                return None;
            }
            if let Some(id) = state.ready.pop_front() {
                return Some(id);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self, id: StepId, result: Result<(), Error>) {
        let mut state = self.lock();
        state.open -= 1;
        match result {
            Ok(()) => {
                for &dependent in &self.dependents[id.0] {
                    state.missing[dependent.0] -= 1;
                    if state.missing[dependent.0] == 0 {
                        state.ready.push_back(dependent);
                    }
                }
            }
            // Of several failures the first is the cause; that the others were canceled follows from it.
            Err(error) => match &state.failure {
                None | Some(Error::Canceled) => state.failure = Some(error),
                Some(_) => {}
            },
        }
        drop(state);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use kiln_plan::{Images, Options, Outcome};

    use super::*;

    #[test]
    fn a_panic_ends_the_others_too() {
        let (dockerfile, _) = kiln_dockerfile::parse("FROM scratch\nWORKDIR /a\nWORKDIR /b\n");
        let Outcome::Plan(plan, _) = kiln_plan::plan(&dockerfile, &Options::default(), &Images::default()) else {
            panic!("the file can be planned");
        };
        // The second step waits for the first, which never ends: without an end of all this would not return.
        let work = |_| panic!("the first step");
        assert!(catch_unwind(AssertUnwindSafe(|| run(&plan, 4, work))).is_err());
    }
}
