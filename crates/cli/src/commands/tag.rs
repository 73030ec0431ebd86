//! `kiln tag`

use kiln_image::Reference;

use crate::engine::Engine;
use crate::failure::{Failure, Outcome};
use crate::settings::Settings;

/// Arguments of `kiln tag`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The image
    source: String,
    /// Its new name
    target: String,
}

/// Gives an image another name.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let target: Reference = args.target.parse().map_err(Failure::usage)?;
    if target.digest().is_some() {
        return Err(Failure::usage(format!(
            "{}: an image cannot be given a digest",
            args.target
        )));
    }
    let engine = Engine::open(settings)?;
    let image = engine.find(&args.source, None)?;
    engine.tag(&image, &target)
}
