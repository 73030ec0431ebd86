//! `kiln doctor`

use kiln_build::processors::{self, NotRunnable, Way};
use kiln_sandbox::{Probe, probe};
use kiln_store::{Damage, Fault, Need};

use crate::engine::Engine;
use crate::failure::{FAILED, Failure, Outcome};
use crate::format::{Format, rows};
use crate::progress::text::one_line;
use crate::settings::Settings;
use crate::{pieces, table, terminal};

/// Arguments of `kiln doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Look for damage in the store instead; fails if there is any
    #[arg(long)]
    store: bool,
    /// Drop what is damaged: what images or caches lose is built or fetched again
    #[arg(long, requires = "store")]
    repair: bool,
    /// `json`, or a template like `{{.Rung}}`
    #[arg(short, long)]
    format: Option<String>,
}

/// Looks at the machine, or at the store.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let format = Format::parse(args.format.as_deref())?;
    if args.store {
        return look_at_store(args.repair, &format, settings);
    }
    look_at_machine(&format)
}

/// Says what is damaged. Fails if something is, and stays so.
fn look_at_store(repair: bool, format: &Format, settings: &Settings) -> Outcome {
    // The files of layers have owners of their own.
    kiln_sandbox::enter().map_err(Failure::internal)?;
    let engine = Engine::open(settings)?;
    let damages = engine.check()?;
    let text = match format {
        Format::Table if damages.is_empty() => "the store is whole\n".to_owned(),
        Format::Table => damages.iter().map(damage_for_people).collect(),
        format => rows(format, &damages.iter().map(damage_as_json).collect::<Vec<_>>())?,
    };
    terminal::print(text)?;
    if !repair {
        return match damages[..] {
            [] => Ok(()),
            [..] => Err(Failure::failed(anyhow::Error::msg("the store is damaged"))
                .hint("`kiln doctor --store --repair` drops what is")),
        };
    }
    engine.repair(&damages)?;
    let items = engine.contents()?.items;
    let stays = |damage: &&Damage| items.iter().any(|item| damage.is_of(item));
    match damages.iter().filter(stays).count() {
        0 => Ok(()),
        left => Err(
            Failure::failed(anyhow::anyhow!("{left} of it stay, since builds use them"))
                .hint("try again when they are over"),
        ),
    }
}

fn damage_for_people(damage: &Damage) -> String {
    let what = match damage.fault {
        Fault::Missing => "is missing",
        Fault::Changed => "has other bytes than were written",
    };
    let description = one_line(&pieces::description(&damage.item));
    let of = match description.as_str() {
        "" => String::new(),
        text => format!(" ({text})"),
    };
    let need = match damage.item.need {
        Need::Image | Need::NamedImage => "; an image has it",
        _ => "",
    };
    format!("{}{of} {what}{need}\n", damage.path.display())
}

fn damage_as_json(damage: &Damage) -> serde_json::Value {
    let fault = match damage.fault {
        Fault::Missing => "missing",
        Fault::Changed => "changed",
    };
    serde_json::json!({"Fault": fault, "Path": damage.path, "Piece": pieces::json(&damage.item)})
}

/// Says which rung of the privilege ladder works here, and for which processors steps can be. Fails if none does.
fn look_at_machine(format: &Format) -> Outcome {
    let probe = probe();
    let processors = match probe.rung {
        Some(_) => {
            // What steps can run shows where they run.
            kiln_sandbox::enter().map_err(Failure::internal)?;
            processors::survey()
        }
        None => Vec::new(),
    };
    let text = if *format == Format::Table {
        for_people(&probe, &processors)
    } else {
        let row = serde_json::json!({
            "Rung": probe.rung.map(|rung| rung.to_string()),
            "Findings": probe.findings,
            "Processors": processors.iter().map(json).collect::<Vec<_>>(),
        });
        rows(format, &[row])?
    };
    terminal::print(text)?;
    match probe.rung {
        Some(_) => Ok(()),
        None => Err(Failure::silent(FAILED)),
    }
}

/// An architecture, and how its steps run.
type Processor = (&'static str, Result<Way, NotRunnable>);

fn for_people(probe: &Probe, processors: &[Processor]) -> String {
    let mut text = match probe.rung {
        Some(rung) => format!("isolation: {rung}\n"),
        None => "isolation: none; steps cannot run\n".to_owned(),
    };
    for finding in &probe.findings {
        text.extend(["  - ", finding, "\n"]);
    }
    if processors.is_empty() {
        return text;
    }
    let rows = processors
        .iter()
        .map(|(architecture, way)| [(*architecture).to_owned(), how(way)]);
    text + &table::render(["PROCESSOR", "STEPS RUN"], &rows.collect::<Vec<_>>())
}

fn how(way: &Result<Way, NotRunnable>) -> String {
    match way {
        Ok(way) => way.to_string(),
        Err(reason) => format!("no: {reason}"),
    }
}

fn json((architecture, way): &Processor) -> serde_json::Value {
    serde_json::json!({"Architecture": architecture, "Runs": way.is_ok(), "How": how(way)})
}
