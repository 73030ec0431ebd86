//! Work of which several threads may think, and one is to do it, and not too many at once.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What somebody works on.
pub(crate) struct Turns<T> {
    most: usize,
    taken: Mutex<HashSet<T>>,
    ended: Condvar,
}

/// Whoever has it is the only one.
pub(crate) struct Turn<'a, T: Eq + Hash> {
    turns: &'a Turns<T>,
    what: T,
}

impl<T> Turns<T> {
    /// At most so many work at once, each on something else.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            taken: Mutex::default(),
            ended: Condvar::new(),
        }
    }
}

impl<T: Eq + Hash + Clone> Turns<T> {
    /// Waits until nobody else works on that, and few on anything. Who waited looks whether anything is left to do.
    pub(crate) fn wait(&self, what: &T) -> Turn<'_, T> {
        let mut taken = self.taken();
        while taken.len() >= self.most || !taken.insert(what.clone()) {
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

    /// How many worked at once, at most, where each of eight threads works on `things` in turn.
    fn most_at_once(turns: &Turns<usize>, things: usize) -> usize {
        let (working, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for round in 0..200 {
                        let _turn = turns.wait(&(round % things));
                        most.fetch_max(working.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        working.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(working.into_inner(), 0);
        most.into_inner()
    }

    #[test]
    fn one_works_on_a_thing_and_few_on_anything() {
        assert_eq!(most_at_once(&Turns::new(9), 1), 1);
        assert!(most_at_once(&Turns::new(2), 100) <= 2);
        let turns = Turns::new(2);
        let (_one, _another) = (turns.wait(&1), turns.wait(&2));
    }
}
