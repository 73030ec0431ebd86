//! `kiln dockerfile`

use std::path::PathBuf;

use kiln_build::SourceImage;
use kiln_image::{Platform, Reference};
use kiln_plan::{Base, reconstruct};

use super::build::results;
use crate::engine::Engine;
use crate::failure::{Failure, Outcome};
use crate::settings::Settings;
use crate::signals::Interrupt;
use crate::terminal;

/// Arguments of `kiln dockerfile`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "An image's history tells what its instructions were, not which files came from a context, and not everything \
                  of other tools: lines that begin with `# UNKNOWN:` say what it does not tell."
)]
pub(crate) struct Args {
    /// The image, wherever it is: a name, or docker://…, oci:…, oci-archive:…, docker-archive:…
    image: String,
    /// What it is based on: FROM names it, and its own instructions are left out [default: what the image's annotations
    /// org.opencontainers.image.base.name and .digest say]
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,
    /// Which image of several [default: $DOCKER_DEFAULT_PLATFORM, else this machine's]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Where to write it [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes a Dockerfile of an image's history.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let engine = Engine::open(settings)?;
    let interrupt = Interrupt::watch()?;
    let find = |text: &str, platform: Option<&Platform>| {
        engine.find_source(&engine.locate(text)?, platform, settings, &interrupt)
    };
    let image = find(&args.image, args.platform.as_ref())?;
    let platform = image.config.platform();
    let base = match &args.base {
        Some(name) => {
            let base = find(name, Some(&platform))?;
            if !is_below(&base, &image) {
                let message = anyhow::anyhow!(
                    "{} is not based on {name}: it does not begin with its layers",
                    args.image
                );
                return Err(Failure::failed(message));
            }
            Some((name.clone(), base))
        }
        // What an image says of itself may be wrong, and its base gone.
        None => noted_base(&image).and_then(|name| {
            let base = find(&name, Some(&platform)).ok().filter(|base| is_below(base, &image));
            if base.is_none() {
                terminal::warn(format_args!(
                    "the base {name}, which its annotations name, is not to be had"
                ));
            }
            Some((name, base?))
        }),
    };
    let base = base.as_ref().map(|(name, base)| Base {
        name,
        config: &base.config,
    });
    let text = reconstruct(&image.config, base);
    match &args.output {
        Some(path) => results::write(path, text.as_bytes()),
        None => terminal::print(text),
    }
}

fn is_below(base: &SourceImage, image: &SourceImage) -> bool {
    image.config.rootfs.diff_ids.starts_with(&base.config.rootfs.diff_ids)
}

fn noted_base(image: &SourceImage) -> Option<String> {
    let note = |key: &str| {
        image
            .annotations()?
            .get(&format!("org.opencontainers.image.base.{key}"))
    };
    let name: Reference = note("name")?.parse().ok()?;
    Some(name.pinned(note("digest")?.parse().ok()?).to_string())
}
