//! `kiln inspect`

use kiln_build::Location;
use kiln_image::Platform;
use serde_json::Value;

use crate::engine::Engine;
use crate::failure::{Failure, Outcome};
use crate::format::{Format, rows};
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::terminal;

/// Arguments of `kiln inspect`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The images: names of the store, docker://NAME, oci:DIRECTORY[:TAG], oci-archive: or docker-archive:FILE[:TAG], or
    /// paths
    #[arg(required = true)]
    images: Vec<String>,
    /// `json`, or a template like `{{.Config.Entrypoint}}`
    #[arg(short, long)]
    format: Option<String>,
    /// Which image of several [default: all, and what this machine's is like]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Taken and ignored: Kiln has nothing but images
    #[arg(long, hide = true)]
    r#type: Option<String>,
}

/// Prints all that is known of images: a JSON array with docker's names.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let engine = Engine::open(settings)?;
    let interrupt = Interrupt::watch()?;
    let mut found: Vec<Value> = Vec::new();
    let mut missing: Option<Failure> = None;
    for name in &args.images {
        match inspect(&engine, name, args.platform.as_ref(), settings, &interrupt) {
            Ok(value) => found.push(value),
            Err(failure) => missing = missing.or(Some(failure)),
        }
    }
    let text = match Format::parse(args.format.as_deref())? {
        Format::Table => serde_json::to_string_pretty(&found).map_err(Failure::internal)? + "\n",
        format => rows(&format, &found)?,
    };
    terminal::print(text)?;
    missing.map_or(Ok(()), Err)
}

/// Names are those of the store, as with docker; what is elsewhere says so.
fn inspect(
    engine: &Engine,
    name: &str,
    platform: Option<&Platform>,
    settings: &Settings,
    interrupt: &Interrupt,
) -> Result<Value, Failure> {
    match engine.locate(name)? {
        Location::Name(name) => engine.inspect(&engine.find(&name, platform)?),
        elsewhere => engine.inspect_source(&engine.find_source(&elsewhere, platform, settings, interrupt)?),
    }
}
