//! `kiln prune`

use std::io::{BufRead as _, IsTerminal as _};

use crate::engine::Engine;
use crate::failure::{Context as _, Failure, Outcome};
use crate::settings::Settings;
use crate::terminal;
use crate::values::size;

/// Arguments of `kiln prune`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also remove what later builds could use: images without a name, cached steps, cache mounts
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

/// Removes what no image needs.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    if !args.force && !confirmed(args.all)? {
        return Ok(());
    }
    let engine = Engine::open(settings)?;
    let freed = engine.prune(args.all)?;
    terminal::print_line(format_args!("Total reclaimed space: {}", size::show(freed)))
}

fn confirmed(all: bool) -> Result<bool, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::usage("standard input is no terminal to ask on").hint("use --force"));
    }
    let what = if all {
        "everything that no named image needs, caches too"
    } else {
        "everything that nothing needs"
    };
    terminal::say(format!("This removes {what}. Go on? [y/N] "));
    let mut line = String::new();
    stdin
        .lock()
        .read_line(&mut line)
        .or_failed(|| "cannot read standard input".to_owned())?;
    Ok(line.trim().eq_ignore_ascii_case("y"))
}
