//! `kiln logs`

use crate::engine::Engine;
use crate::failure::{Failure, Outcome};
use crate::settings::Settings;
use crate::{table, terminal, time};

/// Arguments of `kiln logs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The build: its number or the beginning of its ID [default: the last one]
    build: Option<String>,
    /// Only steps whose name contains this, or the step of this number
    step: Option<String>,
    /// List builds instead
    #[arg(short, long)]
    list: bool,
}

/// Prints the full output of a build's steps.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let engine = Engine::open(settings)?;
    let builds = engine.builds()?;
    if args.list {
        let now = time::now();
        let cells = |build: &crate::engine::BuildRow| {
            [
                build.id.clone(),
                time::ago(build.started, now),
                build.outcome.clone(),
                build.what.clone(),
            ]
        };
        let cells: Vec<_> = builds.iter().map(cells).collect();
        return terminal::print(table::render(["BUILD", "STARTED", "RESULT", "DOCKERFILE"], &cells));
    }
    let build = match &args.build {
        None => builds
            .first()
            .ok_or_else(|| Failure::failed(anyhow::anyhow!("there was no build yet")))?,
        Some(wanted) => builds
            .iter()
            .find(|build| build.id.starts_with(wanted.as_str()))
            .ok_or_else(|| {
                Failure::failed(anyhow::anyhow!("there is no build `{wanted}`")).hint("`kiln logs --list` shows them")
            })?,
    };
    let steps = engine.steps(build)?;
    let wanted = |number: usize, name: &str| match &args.step {
        None => true,
        Some(text) => text.parse() == Ok(number) || name.contains(text.as_str()),
    };
    let mut found = false;
    for step in &steps {
        if !wanted(step.number, &step.name) {
            continue;
        }
        found = true;
        terminal::print_line(format_args!("==> {} {} ({})", step.number, step.name, step.outcome))?;
        engine.copy_log(build, step, &mut std::io::stdout().lock())?;
    }
    if found {
        return Ok(());
    }
    let what = args
        .step
        .as_ref()
        .map_or_else(|| "no step".to_owned(), |step| format!("no step `{step}`"));
    Err(Failure::failed(anyhow::anyhow!("build {} has {what}", build.id)).hint("`kiln logs BUILD` shows all of them"))
}
