//! `kiln recompress`

use clap::ValueEnum;
use kiln_image::media_type::Compression;

use crate::failure::{Failure, Outcome};
use crate::making::EditArgs;
use crate::settings::Settings;

/// Arguments of `kiln recompress`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The layers' tars stay what they are, and with them the image's ID: it has another manifest, under all of its names."
)]
pub(crate) struct Args {
    /// The image: of the store, or of a registry
    image: String,
    /// How
    #[arg(long, value_enum)]
    compression: Kind,
    /// How hard: gzip 0 to 9, zstd 1 to 22
    #[arg(long, value_name = "NUMBER", alias = "compression-level")]
    level: Option<i32>,
    #[command(flatten)]
    edit: EditArgs,
}

/// Ways to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Gzip,
    Zstd,
    Uncompressed,
}

/// Makes the same image with layers that are compressed otherwise.
pub(crate) fn run(args: &Args, settings: &Settings) -> Outcome {
    let (kind, levels) = match args.compression {
        Kind::Gzip => (Compression::Gzip, Some(0..=9)),
        Kind::Zstd => (Compression::Zstd, Some(1..=22)),
        Kind::Uncompressed => (Compression::None, None),
    };
    match (args.level, levels) {
        (Some(level), Some(levels)) if !levels.contains(&level) => {
            let message = format!("--level {level}: wanted {} to {}", levels.start(), levels.end());
            return Err(Failure::usage(message));
        }
        (Some(_), None) => return Err(Failure::usage("--level: what is not compressed has none")),
        _ => {}
    }
    args.edit.make(&args.image, settings, |builder, edit, sink, cancel| {
        builder.recompress(edit, kind, args.level, sink, cancel)
    })
}
