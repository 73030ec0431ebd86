//! `kiln cp`

use std::io::Write as _;
use std::path::{Path, PathBuf};

use kiln_build::{CopyOut, CopyTo};
use kiln_image::Platform;

use crate::engine::{self, Engine};
use crate::failure::{Failure, Outcome};
use crate::progress::{Mode, Progress};
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::terminal;

/// Arguments of `kiln cp`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
As with docker cp: into a directory that is there, else under that name. `IMAGE:DIR/.` is what is in the directory without \
itself. A symbolic link is copied as one, unless -L says otherwise or a slash follows it. What is copied belongs to whoever \
copies it, unless -a says otherwise.

Examples:
  kiln cp app:/etc/nginx/nginx.conf .
  kiln cp app:/usr/share/doc/. docs
  kiln cp app:/var/lib - | tar -t
  kiln cp docker://debian:12:/etc/debian_version .")]
pub(crate) struct Args {
    /// The image, wherever it is (as for `kiln inspect`), and a path in it
    #[arg(value_name = "IMAGE:PATH")]
    source: String,
    /// A path of this machine, or `-` for a tar on standard output
    #[arg(value_name = "DEST")]
    destination: PathBuf,
    /// Keep owners and groups as they are in the image
    #[arg(short, long)]
    archive: bool,
    /// Copy what a symbolic link leads to, if the path is one
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// For which platform [default: this machine's, where there are several]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Show nothing but errors
    #[arg(short, long)]
    quiet: bool,
}

/// Copies files out of an image.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let (image, path) = split(&args.source).map_err(Failure::usage)?;
    let to_stdout = args.destination == Path::new("-");
    if to_stdout && terminal::stdout_is_terminal() {
        return Err(
            Failure::usage("standard output is a terminal, which cannot take an archive")
                .hint("redirect it, or pipe it to `tar -x`"),
        );
    }
    let what = CopyOut {
        image: image.to_owned(),
        platform: args.platform.clone().or(settings.default_platform()?),
        path: path.into(),
        follow: args.follow_link,
    };
    let engine = Engine::open(settings)?;
    let interrupt = Interrupt::watch()?;
    let progress = Progress::start(args.quiet.then_some(Mode::Quiet), args.quiet, settings)?;
    let mut stdout = std::io::stdout().lock();
    let to = if to_stdout {
        CopyTo::Tar(&mut stdout)
    } else {
        CopyTo::Path {
            path: &args.destination,
            keep_owner: args.archive,
        }
    };
    let result = engine.builder().copy_out(&what, to, progress.sink(), &interrupt.cancel);
    progress.finish();
    result.map_err(|error| engine::failure(error, &interrupt))?;
    stdout.flush().map_err(Failure::output)
}

/// What comes before a colon that ends no image.
const TRANSPORTS: [&str; 4] = ["docker://", "oci:", "oci-archive:", "docker-archive:"];

/// Image and path of `IMAGE:PATH`. Images have colons of their own: the path begins at the first `:/` behind the transport,
/// if there is one, and where there is none behind the last colon.
fn split(text: &str) -> Result<(&str, &str), String> {
    let transport = TRANSPORTS.iter().find(|transport| text.starts_with(**transport));
    let start = transport.map_or(0, |transport| transport.len());
    let rest = &text[start..];
    let at = rest.find(":/").or_else(|| rest.rfind(':')).map(|at| start + at);
    let parts = at.map(|at| (&text[..at], &text[at + 1..]));
    match parts {
        Some((image, path)) if image.len() > start && !path.is_empty() => Ok((image, path)),
        _ => Err(format!(
            "`{text}`: wanted IMAGE:PATH; files are copied out of images, never into one (COPY of a Dockerfile does that)"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_colons_of_their_own() {
        for (text, image, path) in [
            ("app:/etc/x", "app", "/etc/x"),
            ("app:1.0:/etc/x", "app:1.0", "/etc/x"),
            (
                "r.example:5000/a/app:1.0:/etc/a:/b",
                "r.example:5000/a/app:1.0",
                "/etc/a:/b",
            ),
            ("app:etc/x", "app", "etc/x"),
            ("app:1.0:x", "app:1.0", "x"),
            ("docker://app:1.0:/x", "docker://app:1.0", "/x"),
            ("docker://app:x", "docker://app", "x"),
            ("oci:dir:/x", "oci:dir", "/x"),
            ("oci:/a/dir:v1:/x", "oci:/a/dir:v1", "/x"),
            ("docker-archive:/a/f.tar:@0:x", "docker-archive:/a/f.tar:@0", "x"),
            ("./f.tar:/x", "./f.tar", "/x"),
        ] {
            assert_eq!(split(text), Ok((image, path)));
        }
        for text in ["app", "/etc/x", ":/x", "app:", "oci:/x", "docker://app"] {
            assert!(split(text).is_err(), "{text}");
        }
    }
}
