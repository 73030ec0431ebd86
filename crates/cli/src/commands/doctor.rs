//! `kiln doctor`

use kiln_build::processors::{self, NotRunnable, Way};
use kiln_sandbox::{Probe, probe};

use crate::failure::{FAILED, Failure, Outcome};
use crate::format::{Format, rows};
use crate::{table, terminal};

/// Arguments of `kiln doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// `json`, or a template like `{{.Rung}}`
    #[arg(short, long)]
    format: Option<String>,
}

/// Says which rung of the privilege ladder works here, and for which processors steps can be. Fails if none does.
pub(crate) fn run(args: &Args) -> Outcome {
    let format = Format::parse(args.format.as_deref())?;
    let probe = probe();
    let processors = match probe.rung {
        Some(_) => {
            // What steps can run shows where they run.
            kiln_sandbox::enter().map_err(Failure::internal)?;
            processors::survey()
        }
        None => Vec::new(),
    };
    let text = if format == Format::Table {
        for_people(&probe, &processors)
    } else {
        let row = serde_json::json!({
            "Rung": probe.rung.map(|rung| rung.to_string()),
            "Findings": probe.findings,
            "Processors": processors.iter().map(json).collect::<Vec<_>>(),
        });
        rows(&format, &[row])?
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
