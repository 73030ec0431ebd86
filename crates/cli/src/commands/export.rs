//! `kiln export`

use std::path::PathBuf;

use kiln_dockerfile::diagnostic::Severity;

use super::build::access::AccessArgs;
use super::build::definition::is_behind_ssh;
use super::build::results;
use crate::context::Wanted;
use crate::engine::{Bringer, Engine};
use crate::failure::{FAILED, Failure, Outcome, Report};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::terminal;

/// Arguments of `kiln export`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What is included is read in, COPY --if-exists becomes patterns, key= of cache mounts goes, and all \
                  else stays byte for byte: any builder builds the same from it. A Dockerfile without extensions comes out as it is."
)]
pub(crate) struct Args {
    /// The context that the Dockerfile is in: a directory, a git repository, a URL, or `-` for standard input
    #[arg(value_name = "PATH | URL | -", default_value = ".")]
    path: String,
    /// The Dockerfile, `-` for standard input, or a URL [default: PATH/Dockerfile]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Where to write it [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    access: AccessArgs,
}

/// Writes the plain Dockerfile, if the Dockerfile has no errors.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let access = args.access.read(is_behind_ssh(&args.path), settings)?;
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
        path: &args.path,
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
