//! `kiln copy`

use kiln_build::surgery::Which;

use crate::failure::Outcome;
use crate::making::{PlatformArgs, ProgressArgs};
use crate::settings::Settings;
use crate::terminal;

/// Arguments of `kiln copy`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Places are named as skopeo does:\n  \
                  NAME                        an image of the store\n  \
                  docker://NAME               in a registry\n  \
                  oci:DIRECTORY[:TAG]         in an OCI layout; others that it has stay\n  \
                  oci-archive:FILE[:TAG]      in a tar of an OCI layout\n  \
                  docker-archive:FILE[:NAME]  in a tar that docker loads\n\n\
                  Manifests, configs and layers go as they are, byte for byte, so digests stay. Only docker's archives have no \
                  manifests: an image gets one when it leaves them. Blobs that are there are not sent again, and registries take those \
                  of their other repositories from there.")]
pub(crate) struct Args {
    /// The image
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Where it is to be
    #[arg(value_name = "DESTINATION")]
    destination: String,
    /// Copy all images of several, with the index that names them
    #[arg(long, conflicts_with = "platform")]
    all: bool,
    #[command(flatten)]
    platform: PlatformArgs,
    #[command(flatten)]
    progress: ProgressArgs,
}

/// Copies an image, and prints the digest of its manifest or index.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let platform = args.platform.read(settings)?;
    let which = if args.all {
        Which::All
    } else {
        Which::One(platform.as_ref())
    };
    let copied = args.progress.work(settings, |builder, sink, cancel| {
        let from = builder.locate(&args.source)?;
        builder.copy_image(&from, &args.destination, which, sink, cancel)
    })?;
    terminal::print_line(copied.digest)
}
