//! `kiln rmi`

use crate::engine::Engine;
use crate::failure::{Failure, Outcome};
use crate::settings::Settings;
use crate::terminal;

/// Arguments of `kiln rmi`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The images
    #[arg(required = true)]
    images: Vec<String>,
    /// Remove an image that has several names, and say nothing of those that are not there
    #[arg(short, long)]
    force: bool,
    /// Taken and ignored: there are no untagged parents
    #[arg(long, hide = true)]
    no_prune: bool,
}

/// Removes names, and images that have none left.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let engine = Engine::open(settings)?;
    let mut failed: Option<Failure> = None;
    for name in &args.images {
        match engine.remove(name, args.force) {
            Ok(lines) => terminal::print(lines.into_iter().map(|line| line + "\n").collect::<String>())?,
            Err(failure) => failed = failed.or(Some(failure)),
        }
    }
    failed.map_or(Ok(()), Err)
}
