//! Renderers of what a build, a pull or a push reports.

mod json;
mod plain;
mod rawjson;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod text;
mod tty;

use std::io;
use std::sync::Arc;

use clap::ValueEnum;
use kiln_build::event::{Event, Sink};

use crate::failure::Failure;
use crate::settings::Settings;
use crate::terminal;
pub(crate) use tty::Style;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// `tty` on a terminal, else `plain`
    Auto,
    /// A live view
    Tty,
    /// Line after line
    Plain,
    /// One JSON object per line
    Json,
    /// Nothing
    Quiet,
    /// Nothing
    None,
    /// `BuildKit`'s own JSON
    #[value(name = "rawjson")]
    RawJson,
}

/// A sink that has an end.
pub(crate) trait Renderer: Sink {
    /// Nothing will come any more; what is on the screen stays there. May be called more than once.
    fn finish(&self);
}

/// What shows progress, and what keeps it tidy.
pub(crate) struct Progress {
    renderer: Arc<dyn Renderer>,
    mode: Mode,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress")
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl Progress {
    /// Decides on the mode (argument, `BUILDKIT_PROGRESS`, what standard error is) and begins.
    pub(crate) fn start(said: Option<Mode>, quiet: bool, settings: &Settings) -> Result<Self, Failure> {
        let mode = if quiet { Mode::Quiet } else { choose(said, settings)? };
        let renderer: Arc<dyn Renderer> = match mode {
            Mode::Tty => Arc::new(tty::Tty::start(tty::Style::new(settings))),
            Mode::Json => Arc::new(json::Json::new(io::stderr())),
            Mode::Quiet | Mode::None => Arc::new(Quiet),
            Mode::RawJson => Arc::new(rawjson::RawJson::new(io::stderr())),
            Mode::Plain | Mode::Auto => Arc::new(plain::Plain::start()),
        };
        Ok(Self { renderer, mode })
    }

    /// Where events go.
    pub(crate) fn sink(&self) -> &dyn Sink {
        &*self.renderer
    }

    /// Ends the display. Afterwards standard error belongs to the caller again.
    pub(crate) fn finish(&self) {
        self.renderer.finish();
    }

    /// Whether people are told what is going on.
    pub(crate) const fn for_people(&self) -> bool {
        matches!(self.mode, Mode::Tty | Mode::Plain)
    }

    /// Whether what was on the screen is not there any more.
    pub(crate) const fn is_live(&self) -> bool {
        matches!(self.mode, Mode::Tty)
    }

    /// Whether a program reads standard error.
    pub(crate) const fn is_json(&self) -> bool {
        matches!(self.mode, Mode::Json | Mode::RawJson)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.renderer.finish();
    }
}

fn choose(said: Option<Mode>, settings: &Settings) -> Result<Mode, Failure> {
    let mode = match (said, settings.progress()) {
        (Some(mode), _) => mode,
        (None, Some(text)) => Mode::from_str(&text, true).map_err(|_| {
            Failure::usage(format!(
                "BUILDKIT_PROGRESS is `{text}`: wanted auto, plain, tty, json, rawjson or quiet"
            ))
        })?,
        (None, None) => Mode::Auto,
    };
    let live = || terminal::stderr_is_terminal() && settings.cursor();
    match mode {
        Mode::Auto if live() => Ok(Mode::Tty),
        Mode::Auto => Ok(Mode::Plain),
        // As with docker: a live view needs a terminal to live on.
        Mode::Tty if !live() => Err(Failure::usage("--progress=tty: standard error is no terminal")),
        other => Ok(other),
    }
}

/// Shows nothing.
#[derive(Debug)]
struct Quiet;

impl Sink for Quiet {
    fn event(&self, _: Event) {}
}

impl Renderer for Quiet {
    fn finish(&self) {}
}
