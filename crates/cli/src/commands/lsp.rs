//! `kiln lsp`

use std::io;

use crate::failure::{Context as _, FAILED, Failure, Outcome};
use crate::lsp;
use crate::settings::Settings;

/// Arguments of `kiln lsp`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Speak over standard input and output, as it always does: what some editors give to every server
    #[arg(long, hide = true)]
    stdio: bool,
}

/// Serves an editor.
pub(crate) fn run(_: &Args, settings: &Settings) -> Outcome {
    let reader = io::BufReader::new(io::stdin());
    let ended = lsp::serve(reader, &mut io::stdout().lock(), settings);
    match ended {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::silent(FAILED)),
        // The editor is gone.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::silent(FAILED)),
        Err(error) => Err(error).or_internal(|| "cannot speak with the editor".to_owned()),
    }
}
