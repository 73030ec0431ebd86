//! `kiln push`

use kiln_image::{Platform, Reference};

use crate::engine::{self, Engine};
use crate::failure::{Failure, Outcome};
use crate::progress::{Mode, Progress};
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::terminal;

/// Arguments of `kiln push`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The image
    #[arg(value_name = "NAME[:TAG]")]
    image: String,
    /// Push only the image for this platform, without the index of several
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// How to show progress
    #[arg(long, value_enum)]
    progress: Option<Mode>,
    /// Show nothing but the name
    #[arg(short, long)]
    quiet: bool,
}

/// Sends an image to the registry of its name.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let reference: Reference = args.image.parse().map_err(Failure::usage)?;
    let engine = Engine::open(settings)?;
    let interrupt = Interrupt::watch()?;
    let progress = Progress::start(args.progress, args.quiet, settings)?;
    let builder = engine.builder();
    let result = builder.push(&reference, args.platform.as_ref(), progress.sink(), &interrupt.cancel);
    progress.finish();
    let digest = result.map_err(|error| engine::failure(error, &interrupt))?;
    if args.quiet {
        return terminal::print_line(&reference);
    }
    terminal::print_line(format_args!("{}: digest: {digest}", reference.selector()))
}
