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
use std::time::{Duration, Instant};

use canvas::Canvas;
use keys::Decoder;
use model::{Explorer, Next, Outside};
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

/// Shows the explorer until the user leaves or a signal ends it.
pub(crate) fn run(
    mut explorer: Explorer<'_>,
    style: Style,
    outside: &mut dyn Outside,
    interrupt: &Interrupt,
) -> Outcome {
    let mut tty = Tty::take(Arc::clone(&interrupt.cancel))?;
    let mut decoder = Decoder::default();
    let mut shown: Option<Canvas> = None;
    let mut drawn = Instant::now();
    loop {
        if shown.is_none() || !explorer.has_work() || drawn.elapsed() >= REDRAW {
            draw(&mut explorer, style, &mut shown)?;
            drawn = Instant::now();
        }
        let wait = explorer.has_work().then_some(Duration::ZERO);
        let ready = tty.wait(wait, decoder.is_waiting())?;
        if ready.ended {
            return Err(Failure::silent(interrupt.exit_code()));
        }
        if ready.resized {
            shown = None;
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
