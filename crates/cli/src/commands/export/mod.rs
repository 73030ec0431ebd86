//! `kiln export`: the files of an image, or the plain Dockerfile of one that uses Kiln's extensions.

mod image;
mod plain;

use std::path::PathBuf;

use kiln_plan::Remote;

use super::build::access::AccessArgs;
use crate::failure::{Failure, Outcome};
use crate::making::{PlatformArgs, ProgressArgs};
use crate::settings::Settings;

/// Arguments of `kiln export`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Of an image come its files, as they are in a container of it, as one tar.\n\n\
                  Of a context, a directory that is written with a dot or a slash first, a URL, or `-`, and with -f, comes \
                  the Dockerfile without Kiln's extensions: what is included is read in, COPY --if-exists becomes patterns, \
                  key= of cache mounts goes, and all else stays byte for byte: any builder builds the same from it."
)]
pub(crate) struct Args {
    /// The image: of the store, or of a registry; or a context with a Dockerfile
    #[arg(value_name = "IMAGE | PATH | URL | -", default_value = ".")]
    source: String,
    /// The Dockerfile, `-` for standard input, or a URL [default: PATH/Dockerfile]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Where to write it [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    platform: PlatformArgs,
    #[command(flatten)]
    progress: ProgressArgs,
}

/// Writes what is asked for.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    if args.file.is_some() || is_context(&args.source) {
        return plain::run(args, settings);
    }
    let done = image::run(args, settings);
    if std::path::Path::new(&args.source).is_dir() {
        return done.map_err(|failure| hint(failure, &args.source));
    }
    done
}

/// Whether that can be no image's name: `.`, `./dir`, `/dir`, `-`, and what git and URLs look like.
fn is_context(source: &str) -> bool {
    source == "-" || source.starts_with(['.', '/']) || source.is_empty() || !matches!(Remote::parse(source), Ok(None))
}

fn hint(failure: Failure, source: &str) -> Failure {
    failure.hint(format!(
        "{source} is a directory as well: `kiln export ./{source}` writes the plain Dockerfile in it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_and_contexts() {
        for context in [
            ".",
            "./a",
            "../a",
            "/a",
            "-",
            "https://example.test/a.git",
            "git@example.test:a/b.git",
        ] {
            assert!(is_context(context), "{context}");
        }
        for image in ["a", "a:1", "example.test/a/b:1", "localhost:5000/a", "0123456789ab"] {
            assert!(!is_context(image), "{image}");
        }
    }
}
