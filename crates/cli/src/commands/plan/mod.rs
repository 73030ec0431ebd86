//! `kiln plan`

mod show;

use std::collections::BTreeMap;

use clap::ValueEnum;
use kiln_build::request::{Annotations, Limits, Request};

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
    let mut definition = args
        .definition
        .read(settings, &|reader| engine::unpack_archive(reader, settings))?;
    let source = definition.inputs.dockerfile.clone();
    let request = Request {
        dockerfile: source.text.clone(),
        dockerfile_name: source.name.clone(),
        context: definition.inputs.context.clone(),
        ignore: definition.inputs.ignore.take(),
        named_contexts: definition.directories.clone(),
        options: definition.options.clone(),
        secrets: BTreeMap::new(),
        agents: BTreeMap::new(),
        device_directories: Vec::new(),
        pull: args.definition.pull,
        jobs: 1,
        epoch: None,
        ca_bundle: None,
        limits: Limits::default(),
        step_timeout: None,
        tags: Vec::new(),
        outputs: Vec::new(),
        annotations: Annotations::default(),
    };
    let engine = Engine::open(settings)?;
    let interrupt = Interrupt::watch()?;
    let progress = Progress::start(args.progress, false, settings)?;
    let result = engine.builder().plan(&request, progress.sink(), &interrupt.cancel);
    progress.finish();
    let plan = result.map_err(|error| engine::build_failure(error, &source, &interrupt))?;
    terminal::print(match args.format {
        Format::Text => show::text(&plan),
        Format::Json => show::json(&plan),
        Format::Dot => show::dot(&plan),
    })
}
