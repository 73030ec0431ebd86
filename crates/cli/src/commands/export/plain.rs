//! The plain Dockerfile.

use kiln_dockerfile::diagnostic::Severity;

use super::super::build::definition::is_behind_ssh;
use super::super::build::results;
use super::Args;
use crate::context::Wanted;
use crate::engine::{Bringer, Engine};
use crate::failure::{FAILED, Failure, Outcome, Report};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::terminal;

/// Writes the plain Dockerfile, if the Dockerfile has no errors.
pub(super) fn run(args: &Args, settings: &Settings) -> Outcome {
    let access = args.access.read(is_behind_ssh(&args.source), settings)?;
    let engine = Engine::open(settings)?;
    let interrupt = Interrupt::watch()?;
    let progress = Progress::start(None, false, settings)?;
    let bringer = Bringer {
        engine: &engine,
        access: &access,
        sink: progress.sink(),
        interrupt: &interrupt,
    };
    let found = bringer.find(&Wanted {
        path: &args.source,
        file: args.file.as_deref(),
        keep_git_dir: false,
    });
    progress.finish();
    let source = found?.dockerfile;
    let (dockerfile, mut diagnostics) = kiln_dockerfile::parse(source.text());
    diagnostics.retain(|found| found.severity == Severity::Error);
    if !diagnostics.is_empty() {
        return Err(Failure {
            code: FAILED,
            report: Report::Dockerfile { source, diagnostics },
        });
    }
    let plain = dockerfile.to_plain();
    match &args.output {
        Some(path) => results::write(path, plain.as_bytes()),
        None => terminal::print(plain),
    }
}
