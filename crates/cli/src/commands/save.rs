//! `kiln save`

use std::path::PathBuf;

use kiln_build::request::Destination;
use kiln_image::Platform;

use crate::engine::{self, Engine};
use crate::failure::{Failure, Outcome};
use crate::progress::{Mode, Progress};
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::terminal;

/// Arguments of `kiln save`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The images
    #[arg(required = true)]
    images: Vec<String>,
    /// Save only what is for these platforms [default: all of an image for several]
    #[arg(long, value_name = "OS/ARCH", value_delimiter = ',')]
    platform: Vec<Platform>,
    /// The archive to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How to show progress
    #[arg(long, value_enum)]
    progress: Option<Mode>,
}

/// Writes images to an archive that docker loads and that is an OCI layout too.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let destination = match &args.output {
        Some(path) => Destination::File(path.clone()),
        None if terminal::stdout_is_terminal() => {
            return Err(
                Failure::usage("standard output is a terminal, which cannot take an archive")
                    .hint("redirect it, or name a file with -o"),
            );
        }
        None => Destination::Stdout,
    };
    let engine = Engine::open(settings)?;
    let interrupt = Interrupt::watch()?;
    let progress = Progress::start(args.progress, false, settings)?;
    let result = engine.builder().save(
        &args.images,
        &args.platform,
        &destination,
        progress.sink(),
        &interrupt.cancel,
    );
    progress.finish();
    result.map_err(|error| engine::failure(error, &interrupt))
}
