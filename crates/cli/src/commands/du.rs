//! `kiln du`

use serde_json::json;

use crate::engine::Engine;
use crate::failure::Outcome;
use crate::format::{Format, rows};
use crate::settings::Settings;
use crate::values::size;
use crate::{table, terminal};

/// Arguments of `kiln du`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// `table`, `json`, or a template like `{{.Type}}`
    #[arg(long)]
    format: Option<String>,
}

/// Shows what the store uses, by kind.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let format = Format::parse(args.format.as_deref())?;
    let usage = Engine::open(settings)?.usage()?;
    let text = if format == Format::Table {
        let cells = usage
            .iter()
            .map(|row| [row.kind.to_owned(), row.count.to_string(), size::show(row.bytes)]);
        table::render(["TYPE", "COUNT", "SIZE"], &cells.collect::<Vec<_>>())
    } else {
        let value = |row: &crate::engine::UsageRow| json!({"Type": row.kind, "Count": row.count, "Size": row.bytes});
        rows(&format, &usage.iter().map(value).collect::<Vec<_>>())?
    };
    terminal::print(text)
}
