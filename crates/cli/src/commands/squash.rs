//! `kiln squash`

use crate::failure::Outcome;
use crate::making::EditArgs;
use crate::settings::Settings;

/// Arguments of `kiln squash`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What the layers above delete or replace of one another is gone from the result, and what they store again \
                  without a change. The history keeps what was done, as steps without layers."
)]
pub(crate) struct Args {
    /// The image: of the store, or of a registry
    image: String,
    /// The layer that stays as it is, with those below it: its number, from 0 for the lowest, or the beginning of its digest
    #[arg(long, value_name = "LAYER")]
    from: String,
    #[command(flatten)]
    edit: EditArgs,
}

/// Makes one layer of those above another.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    args.edit.make(&args.image, settings, |builder, edit, sink, cancel| {
        builder.squash(edit, Some(&args.from), sink, cancel)
    })
}
