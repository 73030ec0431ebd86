//! `kiln unpack`

use std::path::PathBuf;

use crate::failure::Outcome;
use crate::making::{PlatformArgs, ProgressArgs};
use crate::settings::Settings;

/// Arguments of `kiln unpack`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The directory is a bundle of the OCI runtime specification: rootfs has the files, config.json says how a \
                  container of the image runs, kiln.json where they come from. `kiln repack` makes an image of it again. \
                  Without root the files of other users than root belong to ids of /etc/subuid, as with podman: \
                  `unshare --map-auto --map-root-user rm -r DIR` removes them."
)]
pub(crate) struct Args {
    /// The image: of the store, or of a registry
    image: String,
    /// The directory, which is made or is empty
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    platform: PlatformArgs,
    #[command(flatten)]
    progress: ProgressArgs,
}

/// Writes the files of an image into a directory.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let platform = args.platform.read(settings)?;
    args.progress.work(settings, |builder, sink, cancel| {
        builder.unpack(&args.image, platform.as_ref(), &args.directory, sink, cancel)
    })
}
