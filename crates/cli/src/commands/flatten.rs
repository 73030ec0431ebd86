//! `kiln flatten`

use crate::failure::Outcome;
use crate::making::EditArgs;
use crate::settings::Settings;

/// Arguments of `kiln flatten`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What layers delete or replace of one another is gone from the result. The config stays, and the history \
                  keeps what was done, as steps without layers."
)]
pub(crate) struct Args {
    /// The image: of the store, or of a registry
    image: String,
    #[command(flatten)]
    edit: EditArgs,
}

/// Makes an image of one layer.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    args.edit.make(&args.image, settings, |builder, edit, sink, cancel| {
        builder.squash(edit, None, sink, cancel)
    })
}
