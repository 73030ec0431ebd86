//! `kiln load`

use std::fs::File;
use std::io::{BufReader, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use crate::engine::{self, Engine};
use crate::failure::{Context as _, Failure, Outcome};
use crate::progress::{Mode, Progress};
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::terminal;

/// Arguments of `kiln load`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The archive: docker's or an OCI layout, compressed or not [default: standard input]
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// How to show progress
    #[arg(long, value_enum)]
    progress: Option<Mode>,
    /// Show nothing but names
    #[arg(short, long)]
    quiet: bool,
}

/// Reads images from an archive.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let file = match &args.input {
        Some(path) => File::open(path).or_failed(|| format!("cannot read {}", path.display()))?,
        None if std::io::stdin().is_terminal() => {
            return Err(Failure::usage("standard input is a terminal").hint("name an archive with -i, or pipe one"));
        }
        None => std::io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .or_internal(|| "cannot read standard input".to_owned())?
            .into(),
    };
    let engine = Engine::open(settings)?;
    let interrupt = Interrupt::watch()?;
    let progress = Progress::start(args.progress, args.quiet, settings)?;
    let mut reader = BufReader::new(interrupt.cancel.reading(file));
    let result = engine.builder().load(&mut reader, progress.sink(), &interrupt.cancel);
    progress.finish();
    for name in result.map_err(|error| engine::failure(error, &interrupt))? {
        terminal::print_line(format_args!("Loaded image: {name}"))?;
    }
    Ok(())
}
