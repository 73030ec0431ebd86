//! Layers whose files must stay as they are while programs read them, down to how many names they have: a link changes a
//! file's `ctime`, at which programs stumble that are just reading it (tar does).

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use kiln_store::LayerId;

/// Which layers programs of this build read, and of which files are being linked. No layer is both.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    read: HashMap<LayerId, usize>,
    linked: HashMap<LayerId, usize>,
}

/// A program runs over these layers.
#[derive(Debug)]
pub(super) struct Reading<'a>(&'a Quiet, Vec<LayerId>);

/// Files of this layer are being linked.
#[derive(Debug)]
pub(super) struct Linking<'a>(&'a Quiet, LayerId);

impl Quiet {
    /// Before a program runs over layers: waits until no more files of them are being linked.
    pub(super) fn read(&self, layers: Vec<LayerId>) -> Reading<'_> {
        let mut state = self.state();
        while layers.iter().any(|layer| state.linked.contains_key(layer)) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        for layer in &layers {
            *state.read.entry(layer.clone()).or_default() += 1;
        }
        Reading(self, layers)
    }

    /// Before files of a layer are linked. Nobody waits for programs: `None` while one runs over it.
    pub(super) fn link(&self, layer: &LayerId) -> Option<Linking<'_>> {
        let mut state = self.state();
        if state.read.contains_key(layer) {
            return None;
        }
        *state.linked.entry(layer.clone()).or_default() += 1;
        Some(Linking(self, layer.clone()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        self.1.iter().for_each(|layer| one_less(&mut state.read, layer));
    }
}

impl Drop for Linking<'_> {
    fn drop(&mut self) {
        one_less(&mut self.0.state().linked, &self.1);
        self.0.changed.notify_all();
    }
}

fn one_less(counts: &mut HashMap<LayerId, usize>, layer: &LayerId) {
    if let Some(count) = counts.get_mut(layer) {
        *count -= 1;
        if *count == 0 {
            counts.remove(layer);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_layer_is_not_linked_while_it_is_read() {
        let (quiet, layer, other) = (Quiet::default(), LayerId::random().unwrap(), LayerId::random().unwrap());
        let (first, second) = (quiet.read(vec![layer.clone()]), quiet.read(vec![layer.clone()]));
        drop(first);
        assert!(quiet.link(&layer).is_none() && quiet.link(&other).is_some());
        drop(second);
        assert!(quiet.link(&layer).is_some());
    }

    #[test]
    fn who_reads_waits_for_who_links() {
        let (quiet, layer) = (Quiet::default(), LayerId::random().unwrap());
        let linking = quiet.link(&layer).unwrap();
        let (sender, receiver) = channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _reading = quiet.read(vec![layer.clone()]);
                sender.send(()).unwrap();
            });
            std::thread::yield_now();
            assert!(receiver.try_recv().is_err());
            drop(linking);
            receiver.recv().unwrap();
        });
    }
}
