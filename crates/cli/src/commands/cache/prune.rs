//! `kiln cache prune`

use std::time::Duration;

use kiln_build::request::CachePlace;
use kiln_build::{CacheFile, CachePruning, Error, prune_directory};

use super::source;
use crate::engine;
use crate::failure::{Failure, Outcome};
use crate::progress::text::one_line;
use crate::settings::Settings;
use crate::values::{duration, size};
use crate::{table, terminal, time};

/// Arguments of `kiln cache prune`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The directory, or `type=local,src=DIR`
    #[arg(value_name = "DIR")]
    directory: String,
    /// Also remove layers and cache mounts that no build wrote or relied on for so long
    #[arg(long, value_name = "SPAN", value_parser = duration::parse)]
    until: Option<Duration>,
    /// Also remove those that were used least recently, until all of it has no more bytes
    #[arg(long, value_name = "SIZE", visible_alias = "keep-storage", value_parser = size::parse)]
    max_used_space: Option<u64>,
    /// Only show what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Show what is removed
    #[arg(long)]
    verbose: bool,
}

/// Removes what may go.
pub(super) fn run(args: &Args, settings: &Settings) -> Outcome {
    let CachePlace::Local { directory, .. } = source(&args.directory, &settings.environment)? else {
        return Err(Failure::usage(format!("`{}` is no directory", args.directory))
            .hint("registries and object storage remove what is old by rules of their own"));
    };
    let pruning = CachePruning {
        unused_for: args.until,
        most: args.max_used_space,
        dry_run: args.dry_run,
    };
    let gone = prune_directory(&directory, &pruning).map_err(|error| engine::uncanceled(Error::Other(error)))?;
    if args.dry_run || args.verbose {
        let now = time::now();
        let cells = |file: &CacheFile| {
            let used = time::ago(file.used, now);
            [
                file.name.clone(),
                size::show(file.size),
                used,
                one_line(&file.description),
            ]
        };
        let rows: Vec<_> = gone.iter().map(cells).collect();
        terminal::print(table::render(["FILE", "SIZE", "LAST USED", "DESCRIPTION"], &rows))?;
    }
    let what = if args.dry_run {
        "Total reclaimable space"
    } else {
        "Total reclaimed space"
    };
    let bytes = gone.iter().map(|file| file.size).sum();
    terminal::print_line(format_args!("{what}: {}", size::show(bytes)))
}
