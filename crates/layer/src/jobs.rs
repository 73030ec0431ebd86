//! Work that several threads take from one queue.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// The end at which work comes out, for whoever is free. It ends when the other end is dropped.
#[derive(Debug)]
pub(crate) struct Jobs<J>(Arc<Mutex<Receiver<J>>>);

/// A queue with room for so many that nobody works on yet.
pub(crate) fn queue<J>(room: usize) -> (SyncSender<J>, Jobs<J>) {
    let (jobs, queue) = sync_channel(room);
    (jobs, Jobs(Arc::new(Mutex::new(queue))))
}

impl<J> Clone for Jobs<J> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<J> Iterator for Jobs<J> {
    type Item = J;

    fn next(&mut self) -> Option<J> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
    }
}
