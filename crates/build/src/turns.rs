//! Work of which several threads may think, and one at a time is to do it.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What somebody works on.
pub(crate) struct Turns<T> {
    taken: Mutex<HashSet<T>>,
    ended: Condvar,
}

/// Whoever has it is the only one.
pub(crate) struct Turn<'a, T: Eq + Hash> {
    turns: &'a Turns<T>,
    what: T,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self {
            taken: Mutex::default(),
            ended: Condvar::new(),
        }
    }
}

impl<T: Eq + Hash + Clone> Turns<T> {
    /// Waits until nobody else works on that. Who waited looks whether anything is left to do.
    pub(crate) fn wait(&self, what: &T) -> Turn<'_, T> {
        let mut taken = self.taken();
        while !taken.insert(what.clone()) {
            taken = self.ended.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        Turn {
            turns: self,
            what: what.clone(),
        }
    }
}

impl<T: Eq + Hash> Turns<T> {
    fn taken(&self) -> MutexGuard<'_, HashSet<T>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Eq + Hash> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        self.turns.taken().remove(&self.what);
        self.turns.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn one_at_a_time_works_on_a_thing() {
        let turns = Turns::default();
        let (working, most, done) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _turn = turns.wait(&1);
                        most.fetch_max(working.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        working.fetch_sub(1, Ordering::SeqCst);
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!((most.into_inner(), done.into_inner()), (1, 1600));
        let (_one, _another) = (turns.wait(&1), turns.wait(&2));
    }
}
