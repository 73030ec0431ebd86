//! What becomes of what a step leaves that fails.

use crate::cancel::Cancel;
use crate::error::{Error, StepError};
use crate::images::Images;
use crate::shell::{Attach, Opener, ShellSpec};
use crate::solve::{LeftBy, Solver};

/// What becomes of what a step leaves that fails.
#[derive(Clone, Copy, Default)]
pub enum OnFail<'a> {
    /// It is removed.
    #[default]
    Forget,
    /// It is kept for a later shell ([`Builder::shell_in_step`](crate::Builder::shell_in_step)).
    Keep,
    /// Somebody looks at it before the build ends.
    Show(&'a dyn Watcher),
}

/// Who looks at what a step left that failed.
pub trait Watcher: Sync {
    /// What stops a shell: the build's own token is cancelled when a step fails.
    fn stop(&self) -> &Cancel;

    /// A step failed, and all others are over. `open` opens a shell where it failed, with all that it had around it, and gives
    /// the shell's exit code.
    fn failed(&self, error: &Error, open: &dyn Fn(&ShellSpec, &dyn Attach) -> Result<u8, Error>);
}

impl std::fmt::Debug for OnFail<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Forget => "Forget",
            Self::Keep => "Keep",
            Self::Show(_) => "Show",
        })
    }
}

impl<'a> OnFail<'a> {
    pub(crate) const fn wants_left(&self) -> bool {
        !matches!(self, Self::Forget)
    }

    pub(crate) fn stop(&self) -> Option<&'a Cancel> {
        match self {
            Self::Show(watcher) => Some(watcher.stop()),
            Self::Forget | Self::Keep => None,
        }
    }

    /// Does with it as is wanted, if a program of a step failed.
    pub(crate) fn failed(&self, error: &Error, solver: &Solver<'a>, images: Option<&'a Images<'a>>) {
        let Some(left) = solver.take_left().filter(|_| matches!(error, Error::Step { .. })) else {
            return;
        };
        match (self, images) {
            (Self::Show(watcher), Some(images)) => {
                let solver = solver.for_shell(images, watcher.stop());
                watcher.failed(error, &|spec, attach| Ok(open(&solver, &left, spec, attach)?));
            }
            (Self::Keep, _) => {
                if let Err(error) = solver.keep_left(&left) {
                    let notice = format!("what the step left could not be kept: {error}");
                    solver.images.tasks.notice(notice);
                }
            }
            _ => {}
        }
    }
}

fn open(solver: &Solver<'_>, left: &LeftBy, spec: &ShellSpec, attach: &dyn Attach) -> Result<u8, StepError> {
    let opener = Opener {
        images: solver.images,
        processors: &solver.session.processors,
        stop: solver.cancel,
        spec,
        attach,
    };
    solver.shell(left, &opener)
}
