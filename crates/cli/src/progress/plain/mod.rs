//! Line after line, as `BuildKit` writes for CI: `#5 [build 2/5] RUN make`, `#5 0.123 output`, `#5 DONE 0.3s`.
//!
//! Of several steps that run at the same time one has the stage; what the others write waits until it ends, or for
//! a few seconds, so that logs stay readable.

mod state;

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use kiln_build::event::{Event, Sink};

use super::Renderer;
use state::{PATIENCE, State};

/// The renderer.
#[derive(Debug)]
pub(crate) struct Plain {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    begin: Instant,
    state: Mutex<State<io::Stderr>>,
    over: Condvar,
}

impl Plain {
    /// Writes to standard error.
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared {
            begin: Instant::now(),
            state: Mutex::new(State::new(io::stderr())),
            over: Condvar::new(),
        });
        let ticking = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || ticking.tick());
        Self {
            shared,
            // Without the thread lines wait until something happens.
            thread: Mutex::new(thread.ok()),
        }
    }
}

impl Shared {
    /// Lets those who waited long enough come forward even while nothing happens.
    fn tick(&self) {
        let mut state = self.lock();
        while !state.over {
            let waited = self.over.wait_timeout(state, PATIENCE / 5);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.look_round(self.begin.elapsed());
            state.flush();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<io::Stderr>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Plain {
    fn event(&self, event: Event) {
        let mut state = self.shared.lock();
        state.apply(event, self.shared.begin.elapsed());
        state.flush();
    }
}

impl Renderer for Plain {
    fn finish(&self) {
        let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        let mut state = self.shared.lock();
        state.finish(self.shared.begin.elapsed());
        state.flush();
        drop(state);
        self.shared.over.notify_all();
        let _nothing_to_tell = thread.join();
    }
}
