//! `kiln pull`

use kiln_image::{Platform, Reference};

use crate::engine::{self, Engine};
use crate::failure::{Failure, Outcome};
use crate::progress::{Mode, Progress};
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::terminal;

/// Arguments of `kiln pull`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The image
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    image: String,
    /// For which platform [default: $DOCKER_DEFAULT_PLATFORM, else this machine]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// How to show progress
    #[arg(long, value_enum)]
    progress: Option<Mode>,
    /// Show nothing but the name
    #[arg(short, long)]
    quiet: bool,
}

/// Gets an image from a registry.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let reference: Reference = args.image.parse().map_err(Failure::usage)?;
    let platform = match &args.platform {
        Some(platform) => platform.clone(),
        None => settings.default_platform()?.unwrap_or_else(Platform::host),
    };
    let engine = Engine::open(settings)?;
    let interrupt = Interrupt::watch()?;
    let progress = Progress::start(args.progress, args.quiet, settings)?;
    let result = engine
        .builder()
        .pull(&reference, &platform, progress.sink(), &interrupt.cancel);
    progress.finish();
    result.map_err(|error| engine::failure(error, &interrupt))?;
    terminal::print_line(&reference)
}
