//! `kiln prune`

use std::io::{BufRead as _, IsTerminal as _};

use kiln_store::{Item, Kind, Need, Pruned, Pruning};

use crate::engine::Engine;
use crate::failure::{Context as _, Failure, Outcome};
use crate::pieces::{self, Filters};
use crate::settings::Settings;
use crate::values::size;
use crate::{table, terminal, time};

/// Arguments of `kiln prune`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "every flag is one")]
pub(crate) struct Args {
    /// Also remove what later builds could use: images without a name, cached steps, cache mounts
    #[arg(short, long)]
    all: bool,
    /// Remove of what later builds could use what matches: until=24h (not used for that long), id, type, description,
    /// inuse, shared, private, mutable, immutable; with several, what matches each
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Remove of what later builds could use, least recently used first, until the store holds no more than that
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    max_used_space: Option<u64>,
    /// … until so much of the disk is free
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    min_free_space: Option<u64>,
    /// Let the store hold that much in any case
    #[arg(long, value_name = "SIZE", visible_alias = "keep-storage", value_parser = size::parse)]
    reserved_space: Option<u64>,
    /// Only show what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Show what is removed
    #[arg(long)]
    verbose: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

/// Removes what no image needs.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let filters = Filters::read(&args.filter)?;
    if !args.force && !args.dry_run && !args.confirmed()? {
        return Ok(());
    }
    let engine = Engine::open(settings)?;
    let pruning = Pruning {
        keep: args.keep(&engine)?,
        unnamed_images: args.all && args.takes_all(),
        dry_run: args.dry_run,
    };
    let now = time::now();
    let pruned = engine.prune(pruning, |item| {
        // Logs are remembered as long as their builds are; only who asks for them removes them.
        let logs = item.kind != Kind::Log || filters.name_types();
        logs && args.may_go(item) && filters.want(item, now * 1000)
    })?;
    if args.dry_run || args.verbose {
        terminal::print(list(&pruned, now))?;
    }
    let what = if args.dry_run {
        "Total reclaimable space"
    } else {
        "Total reclaimed space"
    };
    terminal::print_line(format_args!("{what}: {}", size::show(pruned.freed)))
}

impl Args {
    /// Whether nothing says that some of it is to stay.
    fn takes_all(&self) -> bool {
        let limits = [self.max_used_space, self.min_free_space, self.reserved_space];
        self.filter.is_empty() && limits.iter().all(Option::is_none)
    }

    /// Without any word only what nobody could find goes.
    fn may_go(&self, item: &Item) -> bool {
        match item.need {
            Need::Nothing => true,
            Need::Cache => self.all || !self.takes_all(),
            Need::Image => self.all,
            Need::NamedImage | Need::InUse => false,
        }
    }

    /// How much the store may go on holding (buildkitd's `maxUsedSpace`, `minFreeSpace`, `reservedSpace`).
    fn keep(&self, engine: &Engine) -> Result<Option<u64>, Failure> {
        let mut keep = self.max_used_space;
        if let Some(wanted) = self.min_free_space {
            let (held, free) = (engine.contents()?.held(), engine.disk()?.1);
            let for_free = held.saturating_sub(wanted.saturating_sub(free));
            keep = Some(keep.unwrap_or(u64::MAX).min(for_free));
        }
        Ok(match (keep, self.reserved_space) {
            (Some(keep), Some(reserved)) => Some(keep.max(reserved)),
            (keep, reserved) => keep.or(reserved),
        })
    }

    fn confirmed(&self) -> Result<bool, Failure> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Err(Failure::usage("standard input is no terminal to ask on").hint("use --force"));
        }
        let what = match (self.all, self.takes_all()) {
            (true, true) => "everything that no named image needs, caches too",
            (false, true) => "everything that nothing needs",
            (_, false) => "what matches and no named image needs, caches too",
        };
        terminal::say(format!("This removes {what}. Go on? [y/N] "));
        let mut line = String::new();
        stdin
            .lock()
            .read_line(&mut line)
            .or_failed(|| "cannot read standard input".to_owned())?;
        Ok(line.trim().eq_ignore_ascii_case("y"))
    }
}

fn list(pruned: &Pruned, now: i64) -> String {
    let cells = |item: &Item| {
        [
            item.id.clone(),
            pieces::type_of(item.kind).to_owned(),
            size::show(item.disk),
            time::ago(item.used / 1000, now),
            pieces::description(item).into_owned(),
        ]
    };
    table::render(
        ["ID", "TYPE", "SIZE", "LAST USED", "DESCRIPTION"],
        &pruned.items.iter().map(cells).collect::<Vec<_>>(),
    )
}
