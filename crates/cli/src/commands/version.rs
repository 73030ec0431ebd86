//! `kiln version`

use crate::failure::{Failure, Outcome};
use crate::format::{Format, rows};
use crate::terminal;

/// Arguments of `kiln version`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// `json`, or a template like `{{.Version}}`
    #[arg(short, long)]
    format: Option<String>,
}

/// Prints the version.
pub(crate) fn run(args: &Args) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    let Some(format) = &args.format else {
        return terminal::print_line(format_args!("kiln {version}"));
    };
    let value = serde_json::json!({
        "Version": version,
        "Os": std::env::consts::OS,
        "Arch": kiln_image::Platform::host().architecture,
    });
    match Format::parse(Some(format))? {
        Format::Table => Err(Failure::usage("--format table: the version is no table")),
        format => terminal::print(rows(&format, &[value])?),
    }
}
