//! `kiln logout`

use kiln_registry::DockerConfig;

use super::login::server_name;
use crate::failure::{Failure, Outcome};
use crate::settings::Settings;
use crate::terminal;

/// Arguments of `kiln logout`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The registry
    #[arg(default_value = "docker.io")]
    server: String,
}

/// Forgets the credentials for a registry.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let server = server_name(&args.server);
    let known = DockerConfig::new(settings.credential_files())
        .erase(server)
        .map_err(Failure::failed)?;
    let said = if known {
        "removed the credentials for"
    } else {
        "there were no credentials for"
    };
    terminal::say(format!("{said} {server}\n"));
    Ok(())
}
