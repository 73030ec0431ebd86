//! A live view: finished steps scroll away as one line each, what runs stays at the bottom with its last output.

mod line;
mod screen;
mod view;

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kiln_build::event::{Event, Sink};

use super::Renderer;
use crate::settings::Settings;
use crate::terminal;
use screen::Screen;
use view::View;

/// How often the view is drawn.
const PERIOD: Duration = Duration::from_millis(100);

/// What the terminal can show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// Colours and bold.
    pub(crate) colours: bool,
    /// More than ASCII.
    pub(crate) unicode: bool,
}

impl Style {
    /// What the user's terminal can.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            colours: settings.colours(true),
            unicode: settings.unicode(),
        }
    }
}

/// The renderer.
#[derive(Debug)]
pub(crate) struct Tty {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    begin: Instant,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    view: View,
    screen: Screen<io::Stderr>,
    over: bool,
}

impl Tty {
    /// Begins to draw on standard error.
    pub(crate) fn start(style: Style) -> Self {
        let shared = Arc::new(Shared {
            begin: Instant::now(),
            state: Mutex::new(State {
                view: View::new(style),
                screen: Screen::new(io::stderr(), style.colours),
                over: false,
            }),
            wake: Condvar::new(),
        });
        let drawing = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || drawing.run());
        Self {
            shared,
            // Without the thread only the final state is shown.
            thread: Mutex::new(thread.ok()),
        }
    }
}

impl Shared {
    fn run(&self) {
        let mut state = self.lock();
        // What is over within a moment is shown once, in its final state.
        while !state.over {
            let (guard, _) = self
                .wake
                .wait_timeout(state, PERIOD)
                .unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if !state.over {
                self.draw(&mut state);
            }
        }
    }

    fn draw(&self, state: &mut State) {
        let size = terminal::size();
        let frame = state.view.frame(self.begin.elapsed(), size);
        state.screen.draw(&frame, size.0);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Tty {
    fn event(&self, event: Event) {
        let now = self.shared.begin.elapsed();
        self.shared.lock().view.apply(event, now);
    }
}

impl Renderer for Tty {
    fn finish(&self) {
        let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        let mut state = self.shared.lock();
        state.over = true;
        state.view.end(self.shared.begin.elapsed());
        self.shared.draw(&mut state);
        state.screen.end();
        drop(state);
        self.shared.wake.notify_all();
        let _drawn_already = thread.join();
    }
}
