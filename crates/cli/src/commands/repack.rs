//! `kiln repack`

use std::path::PathBuf;

use crate::failure::Outcome;
use crate::making::{self, ProgressArgs};
use crate::settings::Settings;

/// Arguments of `kiln repack`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A directory that `kiln unpack` wrote
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The name of the image that is made
    #[arg(value_name = "NAME[:TAG]")]
    image: String,
    #[command(flatten)]
    progress: ProgressArgs,
}

/// Makes an image of an unpacked one that was changed: one layer more, of the differences.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let name = making::name(&args.image)?;
    let epoch = making::epoch(settings)?;
    let made = args.progress.work(settings, |builder, sink, cancel| {
        builder.repack(&args.directory, std::slice::from_ref(&name), epoch, sink, cancel)
    })?;
    making::show(&made)
}
