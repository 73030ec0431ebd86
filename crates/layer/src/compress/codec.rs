//! Compressing one block.

use std::io;

use kiln_image::media_type::Compression;

/// About what gzip's own level 6 gives, in half the time.
const GZIP_LEVEL: i32 = 5;
/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;

/// How blocks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    None,
    Gzip(i32),
    Zstd(i32),
}

impl Codec {
    pub(super) fn new(compression: Compression, level: Option<i32>) -> io::Result<Self> {
        let within = |range: std::ops::RangeInclusive<i32>, name: &str, default: i32| match level.unwrap_or(default) {
            level if range.contains(&level) => Ok(level),
            level => {
                let message = format!("{name} has no level {level}, only {} to {}", range.start(), range.end());
                Err(io::Error::new(io::ErrorKind::InvalidInput, message))
            }
        };
        Ok(match compression {
            Compression::None => Self::None,
            Compression::Gzip => Self::Gzip(within(0..=9, "gzip", GZIP_LEVEL)?),
            Compression::Zstd => Self::Zstd(within(1..=22, "zstd", ZSTD_LEVEL)?),
        })
    }

    /// Something that compresses one block after the other.
    pub(super) fn encoder(self) -> io::Result<Encoder> {
        Ok(match self {
            Self::None => Encoder::None,
            Self::Gzip(level) => {
                let level = libdeflater::CompressionLvl::new(level);
                let level = level.map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
                Encoder::Gzip(libdeflater::Compressor::new(level))
            }
            Self::Zstd(level) => Encoder::Zstd(zstd::bulk::Compressor::new(level)?),
        })
    }
}

/// The working memory of a thread that compresses. What it gives depends on the block alone.
pub(super) enum Encoder {
    None,
    Gzip(libdeflater::Compressor),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encoder")
    }
}

impl Encoder {
    /// A gzip member (without time, file name or operating system: facts of this machine), or a zstd frame.
    pub(super) fn compress(&mut self, block: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(block.to_vec()),
            Self::Gzip(compressor) => {
                let mut out = vec![0; compressor.gzip_compress_bound(block.len())];
                let size = compressor.gzip_compress(block, &mut out).map_err(io::Error::other)?;
                out.truncate(size);
                Ok(out)
            }
            Self::Zstd(compressor) => compressor.compress(block),
        }
    }
}
