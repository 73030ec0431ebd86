//! `kiln doctor`

use kiln_sandbox::probe;

use crate::failure::{FAILED, Failure, Outcome};
use crate::format::{Format, rows};
use crate::terminal;

/// Arguments of `kiln doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// `json`, or a template like `{{.Rung}}`
    #[arg(short, long)]
    format: Option<String>,
}

/// Says which rung of the privilege ladder works here. Fails if none does.
pub(crate) fn run(args: &Args) -> Outcome {
    let probe = probe();
    let format = Format::parse(args.format.as_deref())?;
    let text = if format == Format::Table {
        let mut text = match probe.rung {
            Some(rung) => format!("isolation: {rung}\n"),
            None => "isolation: none; steps cannot run\n".to_owned(),
        };
        for finding in &probe.findings {
            text.extend(["  - ", finding, "\n"]);
        }
        text
    } else {
        let rung = probe.rung.map(|rung| rung.to_string());
        rows(
            &format,
            &[serde_json::json!({"Rung": rung, "Findings": probe.findings})],
        )?
    };
    terminal::print(text)?;
    match probe.rung {
        Some(_) => Ok(()),
        None => Err(Failure::silent(FAILED)),
    }
}
