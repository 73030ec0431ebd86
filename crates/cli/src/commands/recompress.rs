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
        Kind::Gzip => (Compression::Gzip, 0..=9),
        Kind::Zstd => (Compression::Zstd, 1..=22),
        Kind::Uncompressed => (Compression::None, 1..=0),
    };
    if let Some(level) = args.level
        && !levels.contains(&level)
    {
        return Err(Failure::usage(match args.compression {
            Kind::Uncompressed => "--level: what is not compressed has none".to_owned(),
            _ => format!("--level {level}: wanted {} to {}", levels.start(), levels.end()),
        }));
    }
    args.edit.make(&args.image, settings, |builder, edit, sink, cancel| {
        builder.recompress(edit, kind, args.level, sink, cancel)
    })
}
