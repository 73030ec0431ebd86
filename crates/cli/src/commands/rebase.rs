//! `kiln rebase`

use kiln_build::surgery::{Bases, Override};

use crate::failure::{Failure, Outcome};
use crate::layers;
use crate::making::{self, EditArgs};
use crate::progress::text::{cut, one_line};
use crate::settings::Settings;
use crate::terminal;

/// How many overrides are shown.
const MOST: usize = 20;

/// How much of a layer's instruction is.
const WIDEST: usize = 60;

/// Arguments of `kiln rebase`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The layers above the old base stay what they are; what the config has from the old base, variable by variable \
                  and label by label, it gets from the new one. Where these layers bring a file that the new base has otherwise than the \
                  old one, a warning says so: the image goes on having its own."
)]
pub(crate) struct Args {
    /// The image: of the store, or of a registry
    image: String,
    /// What it is based on [default: what its annotations org.opencontainers.image.base.name and .digest say]
    #[arg(long, value_name = "IMAGE")]
    old_base: Option<String>,
    /// What it is to be based on [default: the same name, as it is now]
    #[arg(long, value_name = "IMAGE")]
    new_base: Option<String>,
    /// Make no image whose layers override what the new base has otherwise
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    edit: EditArgs,
}

/// Makes an image on another base.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let bases = Bases {
        old: args.old_base.as_deref(),
        new: args.new_base.as_deref(),
    };
    let rebased = args.edit.work(&args.image, settings, |builder, edit, sink, cancel| {
        builder.rebase(edit, bases, args.strict, sink, cancel)
    })?;
    for each in rebased.overrides.iter().take(MOST) {
        warn(each);
    }
    if let Some(more @ 1..) = rebased.overrides.len().checked_sub(MOST) {
        terminal::warn(format_args!("and {more} more"));
    }
    match &rebased.made {
        Some(made) => making::show(made),
        None => Err(Failure::failed(anyhow::anyhow!(
            "{} is not rebased: its layers override what the new base has otherwise, and --strict forbids it",
            args.image
        ))),
    }
}

fn warn(each: &Override) {
    let made = match &each.created_by[..] {
        "" => String::new(),
        text => format!(" ({})", cut(&one_line(text), WIDEST, '…')),
    };
    terminal::warn(format_args!(
        "layer {}{made} overrides {}, which the new base has otherwise",
        each.layer,
        layers::path(&each.path)
    ));
}
