//! `kiln du`

use std::collections::BTreeMap;

use kiln_store::{Contents, Item, Kind, Need};
use serde_json::json;

use crate::engine::Engine;
use crate::failure::Outcome;
use crate::format::{Format, rows};
use crate::pieces::{self, Filters};
use crate::settings::Settings;
use crate::values::size;
use crate::{table, terminal, time};

/// Arguments of `kiln du`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to add up
    #[arg(long, value_enum, default_value_t, conflicts_with = "verbose")]
    by: By,
    /// Only pieces that match: until=SPAN, id, type, description, inuse, shared, private, mutable, immutable
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Show each piece, largest first
    #[arg(short, long)]
    verbose: bool,
    /// `table`, `json`, or a template like `{{.Type}}`
    #[arg(long)]
    format: Option<String>,
}

/// What pieces of the store are told apart by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum By {
    /// Images, layers, blobs, cache mounts, logs, records.
    #[default]
    Kind,
    /// The names of the builds that made the layers.
    Project,
    /// The stages that made the layers.
    Stage,
    /// The `id` of cache mounts.
    Mount,
}

/// What is added up.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    count: u64,
    bytes: u64,
    reclaimable: u64,
}

impl Sum {
    fn add(&mut self, item: &Item) {
        self.count += 1;
        self.bytes += item.disk;
        if pieces::is_reclaimable(item) {
            self.reclaimable += item.disk;
        }
    }
}

/// Shows what the store uses.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let format = Format::parse(args.format.as_deref())?;
    let filters = Filters::read(&args.filter)?;
    let mut contents = Engine::open(settings)?.contents()?;
    let now = time::now();
    contents.items.retain(|item| filters.want(item, now * 1000));
    if args.verbose {
        contents.items.sort_by_key(|item| std::cmp::Reverse(item.disk));
        return terminal::print(match format {
            Format::Table => for_people(&contents, now),
            format => rows(&format, &contents.items.iter().map(pieces::json).collect::<Vec<_>>())?,
        });
    }
    let sums = match args.by {
        By::Kind => by_kind(&contents, filters.is_empty()),
        By::Project => by(&contents, Kind::Layer, |item| item.project.as_deref()),
        By::Stage => by(&contents, Kind::Layer, pieces::stage),
        By::Mount => by(&contents, Kind::CacheMount, |item| item.description.as_deref()),
    };
    terminal::print(match format {
        Format::Table => as_table(args.by, &sums),
        format => rows(&format, &as_json(args.by, &sums))?,
    })
}

/// What images have counts as theirs, not as what it is.
fn by_kind(contents: &Contents, whole: bool) -> Vec<(String, Sum)> {
    let kinds = ["images", "layers", "blobs", "cache mounts", "logs", "records"];
    let mut sums = kinds.map(|kind| (kind.to_owned(), Sum::default()));
    for item in &contents.items {
        let at = match (item.need, item.kind) {
            (Need::Image | Need::NamedImage, _) => 0,
            (_, Kind::Layer) => 1,
            (_, Kind::Blob) => 2,
            (_, Kind::CacheMount) => 3,
            (_, Kind::Log) => 4,
        };
        sums[at].1.add(item);
    }
    // Images and records are not pieces: filters say nothing of them.
    if whole {
        sums[0].1.count = contents.images;
        sums[5].1.count = contents.records;
        sums[5].1.bytes = contents.database;
    }
    sums.into()
}

/// The largest first.
fn by<'a>(contents: &'a Contents, kind: Kind, name: impl Fn(&'a Item) -> Option<&'a str>) -> Vec<(String, Sum)> {
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    for item in contents.items.iter().filter(|item| item.kind == kind) {
        let name = name(item).unwrap_or("<unknown>").to_owned();
        sums.entry(name).or_default().add(item);
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.bytes));
    sums
}

fn as_table(by: By, sums: &[(String, Sum)]) -> String {
    let cells = |(name, sum): &(String, Sum)| {
        [
            name.clone(),
            sum.count.to_string(),
            size::show(sum.bytes),
            size::show(sum.reclaimable),
        ]
    };
    let name = match by {
        By::Kind => "TYPE",
        By::Project => "PROJECT",
        By::Stage => "STAGE",
        By::Mount => "MOUNT",
    };
    table::render(
        [name, "COUNT", "SIZE", "RECLAIMABLE"],
        &sums.iter().map(cells).collect::<Vec<_>>(),
    )
}

fn as_json(by: By, sums: &[(String, Sum)]) -> Vec<serde_json::Value> {
    let name = match by {
        By::Kind => "Type",
        By::Project => "Project",
        By::Stage => "Stage",
        By::Mount => "Mount",
    };
    let value = |(text, sum): &(String, Sum)| json!({name: text, "Count": sum.count, "Size": sum.bytes, "Reclaimable": sum.reclaimable});
    sums.iter().map(value).collect()
}

fn for_people(contents: &Contents, now: i64) -> String {
    let mut text: String = contents.items.iter().map(|item| pieces::lines(item, now)).collect();
    let mut sum = Sum::default();
    contents.items.iter().for_each(|item| sum.add(item));
    text.push_str(&table::render(
        ["Reclaimable:", &size::show(sum.reclaimable)],
        &[["Total:".to_owned(), size::show(sum.bytes)]],
    ));
    text
}
