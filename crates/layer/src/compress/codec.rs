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
                Format::Gzip(Gzip {
                    compressor: libdeflater::Compressor::new(level),
                    store: libdeflater::Compressor::new(libdeflater::CompressionLvl::fastest()),
                    probe: Probe(zstd::bulk::Compressor::new(1)?),
                })
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
    Gzip(Gzip),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Encoder {
    /// A gzip member (without time, file name or operating system: facts of this machine), or a zstd frame.
    pub(super) fn compress(&mut self, piece: &[u8]) -> io::Result<Vec<u8>> {
        let most = match &mut self.format {
            Format::Gzip(gzip) => gzip.bound(piece.len()),
            Format::Zstd(_) => zstd::zstd_safe::compress_bound(piece.len()),
        };
        if self.room.len() < most {
            self.room.resize(most, 0);
        }
        let size = match &mut self.format {
            Format::Gzip(gzip) => gzip.compress(piece, &mut self.room)?,
            Format::Zstd(compressor) => compressor.compress_to_buffer(piece, &mut self.room[..])?,
        };
        Ok(self.room[..size].to_vec())
    }
}

/// Archives, pictures and media are in layers already compressed, and libdeflate is as slow with them as with what it
/// makes smaller: such pieces are stored, a hundred times as fast.
struct Gzip {
    compressor: libdeflater::Compressor,
    store: libdeflater::Compressor,
    probe: Probe,
}

impl Gzip {
    fn bound(&mut self, length: usize) -> usize {
        let stored = self.store.gzip_compress_bound(length);
        self.compressor.gzip_compress_bound(length).max(stored)
    }

    fn compress(&mut self, piece: &[u8], room: &mut [u8]) -> io::Result<usize> {
        // The room is enough for what zstd makes of it too: it adds less.
        let stored = self.probe.finds_nothing(piece, room);
        let compressor = if stored { &mut self.store } else { &mut self.compressor };
        compressor.gzip_compress(piece, room).map_err(io::Error::other)
    }
}

/// Tells what can be compressed: zstd gives up quickly where there is nothing to find.
struct Probe(zstd::bulk::Compressor<'static>);

impl Probe {
    /// Bytes of a sample.
    const SAMPLE: usize = 8 << 10;

    /// Whether compressing would take away less than a two hundredth.
    fn finds_nothing(&mut self, piece: &[u8], room: &mut [u8]) -> bool {
        let samples = [0, piece.len() / 2, piece.len().saturating_sub(Self::SAMPLE)];
        let mut all = samples.iter().map(|&at| &piece[at..piece.len().min(at + Self::SAMPLE)]);
        all.all(|sample| self.is_hard(sample, 50, room)) && self.is_hard(piece, 200, room)
    }

    /// Whether less than one part of so many goes.
    fn is_hard(&mut self, bytes: &[u8], parts: usize, room: &mut [u8]) -> bool {
        // What does not fit into the room has not become smaller.
        let size = self.0.compress_to_buffer(bytes, room).unwrap_or(bytes.len());
        bytes.len().saturating_sub(size) * parts < bytes.len()
    }
}
