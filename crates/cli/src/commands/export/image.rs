//! The files of an image as a tar.

use kiln_build::request::Destination;

use super::Args;
use crate::failure::{Failure, Outcome};
use crate::settings::Settings;
use crate::terminal;

/// Writes the tar.
pub(super) fn run(args: &Args, settings: &Settings) -> Outcome {
    let destination = match &args.output {
        Some(path) if path.as_os_str() != "-" => Destination::File(path.clone()),
        None if terminal::stdout_is_terminal() => {
            return Err(
                Failure::usage("standard output is a terminal, which cannot take an archive")
                    .hint("redirect it, or name a file with -o"),
            );
        }
        _ => Destination::Stdout,
    };
    let platform = args.platform.read(settings)?;
    args.progress.work(settings, |builder, sink, cancel| {
        builder.export_files(&args.source, platform.as_ref(), &destination, sink, cancel)
    })
}
