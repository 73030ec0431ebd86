//! Compressing one piece.

use std::io;

use kiln_image::media_type::Compression;

/// About what gzip's own level 6 gives, in half the time.
const GZIP_LEVEL: i32 = 5;
/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;

/// How pieces are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip(i32),
    Zstd(i32),
}

impl Codec {
    /// `None` where nothing is compressed. Fails if the format has no such level.
    pub(super) fn new(compression: Compression, level: Option<i32>) -> io::Result<Option<Self>> {
        let within = |range: std::ops::RangeInclusive<i32>, name: &str, default: i32| match level.unwrap_or(default) {
            level if range.contains(&level) => Ok(level),
            level => {
                let message = format!("{name} has no level {level}, only {} to {}", range.start(), range.end());
                Err(io::Error::new(io::ErrorKind::InvalidInput, message))
            }
        };
        Ok(match compression {
            Compression::None => None,
            Compression::Gzip => Some(Self::Gzip(within(0..=9, "gzip", GZIP_LEVEL)?)),
            Compression::Zstd => Some(Self::Zstd(within(1..=22, "zstd", ZSTD_LEVEL)?)),
        })
    }

    /// Which it is, in two numbers.
    pub(super) fn tag(self) -> [u8; 2] {
        // Levels are small and positive, see `new`.
        let level = |level: i32| level.to_le_bytes()[0];
        match self {
            Self::Gzip(at) => [1, level(at)],
            Self::Zstd(at) => [2, level(at)],
        }
    }

    /// Something that compresses one piece after the other.
    pub(super) fn encoder(self) -> io::Result<Encoder> {
        let format = match self {
            Self::Gzip(level) => {
                let level = libdeflater::CompressionLvl::new(level);
                let level = level.map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
                Format::Gzip(libdeflater::Compressor::new(level))
            }
            Self::Zstd(level) => Format::Zstd(zstd::bulk::Compressor::new(level)?),
        };
        Ok(Encoder {
            format,
            room: Vec::new(),
        })
    }
}

/// The working memory of a thread that compresses. What it gives depends on the piece alone.
pub(super) struct Encoder {
    format: Format,
    /// For the largest result that there may be.
    room: Vec<u8>,
}

enum Format {
    Gzip(libdeflater::Compressor),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Encoder {
    /// A gzip member (without time, file name or operating system: facts of this machine), or a zstd frame.
    pub(super) fn compress(&mut self, piece: &[u8]) -> io::Result<Vec<u8>> {
        let most = match &mut self.format {
            Format::Gzip(compressor) => compressor.gzip_compress_bound(piece.len()),
            Format::Zstd(_) => zstd::zstd_safe::compress_bound(piece.len()),
        };
        if self.room.len() < most {
            self.room.resize(most, 0);
        }
        let size = match &mut self.format {
            Format::Gzip(compressor) => compressor
                .gzip_compress(piece, &mut self.room)
                .map_err(io::Error::other)?,
            Format::Zstd(compressor) => compressor.compress_to_buffer(piece, &mut self.room[..])?,
        };
        Ok(self.room[..size].to_vec())
    }
}
