//! `--on-fail`: what becomes of what a step leaves that fails.

use clap::ValueEnum;
use kiln_build::shell::{Attach, ShellSpec};
use kiln_build::{Cancel, Error, Watcher};
use kiln_dockerfile::source::Source;

use crate::attach::{self, Console};
use crate::engine;
use crate::failure::{Failure, Outcome, Report};
use crate::progress::Progress;
use crate::report::Reporter;
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::terminal;

/// What becomes of what a step leaves that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnFailMode {
    /// Open a shell where it failed; the build ends when that does
    Shell,
    /// Keep it for `kiln shell --failed`
    Keep,
}

impl OnFailMode {
    /// A shell needs somebody to talk to.
    pub(super) fn check(self) -> Outcome {
        if self == Self::Shell && !attach::is_terminal() {
            return Err(
                Failure::usage("--on-fail=shell: standard input or output is no terminal")
                    .hint("--on-fail=keep keeps what the step left, and `kiln shell --failed` opens a shell there"),
            );
        }
        Ok(())
    }
}

/// Says where what a step left can be seen, if it was kept.
pub(super) fn tell(mut failure: Failure, mode: Option<OnFailMode>) -> Failure {
    if let (Some(OnFailMode::Keep), Report::Step(step)) = (mode, &mut failure.report)
        && step.left_files
    {
        let more = "`kiln shell --failed` opens a shell in what it left";
        let hint = step.hint.take();
        step.hint = Some(hint.map_or_else(|| more.to_owned(), |hint| format!("{hint}\n{more}")));
    }
    failure
}

/// Opens a shell where a step failed.
pub(super) struct Shells<'a> {
    progress: &'a Progress,
    source: &'a Source,
    settings: &'a Settings,
    /// The build's own token is cancelled when a step fails.
    interrupt: Interrupt,
}

impl<'a> Shells<'a> {
    pub(super) fn new(progress: &'a Progress, source: &'a Source, settings: &'a Settings) -> Result<Self, Failure> {
        Ok(Self {
            progress,
            source,
            settings,
            interrupt: Interrupt::watch()?,
        })
    }
}

impl Watcher for Shells<'_> {
    fn stop(&self) -> &Cancel {
        &self.interrupt.cancel
    }

    fn failed(&self, error: &Error, open: &dyn Fn(&ShellSpec, &dyn Attach) -> Result<u8, Error>) {
        let reporter = Reporter::new(self.settings);
        self.progress.finish();
        if let Some(failure) = engine::step_failure(error, self.source) {
            terminal::say(reporter.failure(&failure));
        }
        terminal::say("note: a shell in what the step left, with its mounts; the build ends when you leave it\n");
        let term = self.settings.environment.filled("TERM");
        let spec = ShellSpec {
            env: term.map(|term| ("TERM".to_owned(), term)).into_iter().collect(),
            ..ShellSpec::default()
        };
        if let Err(error) = open(&spec, &Console::new(self.progress, true)) {
            terminal::say(reporter.failure(&engine::run_failure(error, &self.interrupt)));
        }
    }
}
