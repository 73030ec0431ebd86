//! A terminal's window into an image, in the manner of dive.
//!
//! [`model`] is the state and what inputs make of it, [`view`] draws it into memory, [`tty`] is the terminal. Only what is on
//! the screen is computed; searches go on between keys.

mod canvas;
mod keys;
pub(crate) mod model;
mod pattern;
pub(crate) mod preview;
pub(crate) mod tree;
mod tty;
mod view;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use canvas::Canvas;
use keys::Decoder;
use model::{Explorer, Next, Outside, Wasted};
use tty::Tty;

use crate::failure::{Failure, Outcome};
use crate::progress::Style;
use crate::signals::Interrupt;

/// How long searches go on before somebody who types is heard.
const SLICE: Duration = Duration::from_millis(8);
/// How often a search shows what it found so far.
const REDRAW: Duration = Duration::from_millis(60);

/// Whether there is a terminal to explore on, before anything is done for it.
pub(crate) use tty::check;

/// How often it is asked whether something was found out.
const ASK: Duration = Duration::from_millis(30);

/// Shows the explorer until the user leaves or a signal ends it. What is found out meanwhile of a subject comes out of `late`.
pub(crate) fn run(
    mut explorer: Explorer<'_>,
    style: Style,
    outside: &mut dyn Outside,
    interrupt: &Interrupt,
    late: &Receiver<(usize, Wasted)>,
) -> Outcome {
    let mut is_waiting = true;
    let mut tty = Tty::take(Arc::clone(&interrupt.cancel))?;
    let mut decoder = Decoder::default();
    let mut shown: Option<Canvas> = None;
    let mut drawn = Instant::now();
    loop {
        if shown.is_none() || !explorer.has_work() || drawn.elapsed() >= REDRAW {
            draw(&mut explorer, style, &mut shown)?;
            drawn = Instant::now();
        }
        let wait = match (explorer.has_work(), is_waiting) {
            (true, _) => Some(Duration::ZERO),
            (false, true) => Some(ASK),
            (false, false) => None,
        };
        let ready = tty.wait(wait, decoder.is_waiting())?;
        if ready.ended {
            return Err(Failure::silent(interrupt.exit_code()));
        }
        if ready.resized {
            shown = None;
        }
        match late.try_recv() {
            Ok((subject, wasted)) => explorer.subjects[subject].learn(wasted),
            Err(error) => is_waiting = error == TryRecvError::Empty,
        }
        let timed_out = ready.typed.is_empty() && !ready.resized && decoder.is_waiting();
        let mut inputs = decoder.push(&ready.typed);
        if timed_out {
            inputs.extend(decoder.time_out());
        }
        let any = !inputs.is_empty();
        for input in inputs {
            if explorer.update(input, outside) == Next::Quit {
                return Ok(());
            }
        }
        if any {
            draw(&mut explorer, style, &mut shown)?;
            drawn = Instant::now();
        }
        let began = Instant::now();
        while explorer.has_work() && began.elapsed() < SLICE {
            explorer.work();
        }
    }
}

fn draw(explorer: &mut Explorer<'_>, style: Style, shown: &mut Option<Canvas>) -> Outcome {
    let (columns, rows) = Tty::size();
    let canvas = view::draw(explorer, columns, rows, style);
    Tty::write(&canvas.since(shown.as_ref()))?;
    *shown = Some(canvas);
    Ok(())
}
