//! `kiln append`

use std::path::PathBuf;

use crate::failure::Outcome;
use crate::making::EditArgs;
use crate::settings::Settings;

/// Arguments of `kiln append`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "An archive becomes a layer as it is: names that begin with .wh. delete files of the layers below. What is in a \
                  directory keeps its times and permissions and belongs to root; with SOURCE_DATE_EPOCH younger files are dated back. \
                  `scratch` is an image without layers."
)]
pub(crate) struct Args {
    /// The image: of the store, or of a registry; or `scratch`
    image: String,
    /// Tars, compressed or not, and directories: a layer each, lowest first
    #[arg(value_name = "TAR | DIR", required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    edit: EditArgs,
}

/// Makes an image with more layers.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    args.edit.make(&args.image, settings, |builder, edit, sink, cancel| {
        builder.append(edit, &args.paths, sink, cancel)
    })
}
