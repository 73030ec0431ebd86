//! Compressed archives: which format it is, and reading it.

use std::io::{self, BufRead, Read};

use kiln_image::media_type::Compression;

/// The formats of archives that are recognised by their content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArchiveKind {
    /// A tar that is not compressed.
    Tar,
    /// gzip, RFC 1952.
    Gzip,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// zstd, RFC 8878.
    Zstd,
}

impl From<Compression> for ArchiveKind {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::Tar,
            Compression::Gzip => Self::Gzip,
            Compression::Zstd => Self::Zstd,
        }
    }
}

/// How much memory an xz archive may demand, in bytes; `xz -9` takes 65 MiB.
const XZ_MEMORY: u64 = 256 << 20;

/// What the first bytes of a file look like; give 512 or more for a bare tar to be recognised.
pub fn sniff(prefix: &[u8]) -> Option<ArchiveKind> {
    match prefix {
        [0x1f, 0x8b, 0x08, ..] => Some(ArchiveKind::Gzip),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(ArchiveKind::Bzip2),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(ArchiveKind::Xz),
        // A frame, or one of the frames that are to be skipped (zstd:chunked and others begin with one).
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(ArchiveKind::Zstd),
        _ => crate::tar::is_header(prefix).then_some(ArchiveKind::Tar),
    }
}

/// A reader of what `input` holds. Several members or frames one after the other are one file.
pub(crate) fn decoder<'a>(kind: ArchiveKind, input: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match kind {
        ArchiveKind::Tar => Box::new(input),
        ArchiveKind::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        ArchiveKind::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(input)),
        ArchiveKind::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
        }
        ArchiveKind::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(input)?),
    })
}
