//! `kiln plan`

mod show;

use clap::ValueEnum;

use super::build::definition::DefinitionArgs;
use crate::engine::{self, Engine};
use crate::failure::Outcome;
use crate::progress::{Mode, Progress};
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::terminal;

/// Arguments of `kiln plan`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    definition: DefinitionArgs,
    /// How to print the graph
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// How to show progress while images are looked up
    #[arg(long, value_enum)]
    progress: Option<Mode>,
}

/// How the graph is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// For graphviz
    Dot,
}

/// Prints the steps that the target needs.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let mut request = args.definition.request(settings)?;
    let engine = Engine::open(settings)?;
    let interrupt = Interrupt::watch()?;
    let progress = Progress::start(args.progress, false, settings)?;
    let sink = progress.sink();
    let inputs = args.definition.load(&mut request, &engine, sink, &interrupt)?;
    let result = engine.builder().plan(&request, sink, &interrupt.cancel);
    progress.finish();
    let plan = result.map_err(|error| engine::build_failure(error, &inputs.dockerfile, &interrupt))?;
    terminal::print(match args.format {
        Format::Text => show::text(&plan),
        Format::Json => show::json(&plan),
        Format::Dot => show::dot(&plan),
    })
}
