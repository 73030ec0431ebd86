//! A tar to a compressed blob, on several threads.
//!
//! The input is cut into blocks of fixed size, each of which becomes a gzip member (RFC 1952, 2.2) or a zstd frame
//! (RFC 8878, 3) of its own; both formats say that a file may be several of these. So the bytes do not depend on how
//! many threads there are.

mod codec;
mod pool;

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use kiln_image::media_type::Compression;
use kiln_image::{Digest, Hasher};

use self::codec::{Codec, Encoder};
use self::pool::{HashThread, Pool};
use crate::Error;
use crate::archive::uncompressed;
use crate::pack::{PackOptions, pack};

/// How much is compressed at a time. Part of the output's definition.
const BLOCK: usize = 1 << 20;

/// What a layer's blob is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobInfo {
    /// Digest of the tar.
    pub diff_id: Digest,
    /// Digest of the blob.
    pub digest: Digest,
    /// Length of the blob in bytes.
    pub size: u64,
    /// Length of the tar in bytes.
    pub tar_size: u64,
}

/// Packs a layer directory, as [`pack`] does, and compresses it in the same pass.
///
/// `level` is that of the format (gzip 0 to 9, zstd 1 to 22); `None` for its default. The blob does not depend on
/// `threads`, which is how many threads compress besides the calling one.
pub fn pack_compressed<W: Write>(
    dir: &Path,
    options: &PackOptions,
    compression: Compression,
    level: Option<i32>,
    threads: usize,
    out: W,
) -> Result<BlobInfo, Error> {
    let mut compressor = Compressor::new(compression, level, threads, out).map_err(Error::Write)?;
    compressor.hash_input().map_err(Error::Write)?;
    let stats = pack(dir, options, &mut compressor)?;
    compressor.end_blob(stats.tar_size)
}

/// Compresses what is written to it, and hashes the result on its way out.
///
/// [`finish`](Self::finish) must be called; without it the output is cut off.
#[derive(Debug)]
pub struct Compressor<W: Write> {
    out: Hashed<W>,
    /// For when there are no other threads.
    encoder: Encoder,
    block: Vec<u8>,
    started: bool,
    pool: Option<Pool>,
    input: InputHash,
}

/// Whether and where the digest of the input is computed.
#[derive(Debug)]
enum InputHash {
    /// Nobody wants it, or it is that of the output.
    No,
    Here(Hasher),
    /// On a thread of its own: where several threads compress, hashing would be what they wait for.
    Thread(HashThread),
}

/// What came of it all.
#[derive(Debug)]
struct Ends {
    input: Option<Digest>,
    digest: Digest,
    size: u64,
}

impl<W: Write> Compressor<W> {
    /// Compresses on `threads` threads; with 0 or 1 on the calling one. Fails if the format has no such level.
    pub fn new(compression: Compression, level: Option<i32>, threads: usize, out: W) -> io::Result<Self> {
        let codec = Codec::new(compression, level)?;
        let pool = if threads > 1 && codec != Codec::None {
            Some(Pool::start(codec, threads)?)
        } else {
            None
        };
        let encoder = if pool.is_some() { Codec::None } else { codec }.encoder()?;
        let block = if codec == Codec::None {
            Vec::new()
        } else {
            Vec::with_capacity(BLOCK)
        };
        let out = Hashed {
            out,
            hasher: Hasher::new(),
            size: 0,
        };
        Ok(Self {
            out,
            encoder,
            block,
            started: false,
            pool,
            input: InputHash::No,
        })
    }

    /// Compresses a tar that is compressed already, or not at all, in another way. The tar stays what it is, whoever made it.
    ///
    /// All else is as with [`pack_compressed`].
    pub fn recompress(
        blob: impl Read,
        compression: Compression,
        level: Option<i32>,
        threads: usize,
        out: W,
    ) -> Result<BlobInfo, Error> {
        let mut compressor = Self::new(compression, level, threads, out).map_err(Error::Write)?;
        compressor.hash_input().map_err(Error::Write)?;
        let mut tar = uncompressed(blob)?;
        let mut buffer = vec![0; 128 * 1024];
        let mut tar_size = 0;
        loop {
            let count = match tar.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::Read(error)),
            };
            compressor.write_all(&buffer[..count]).map_err(Error::Write)?;
            tar_size += count as u64;
        }
        compressor.end_blob(tar_size)
    }

    /// Whether the output is the input.
    fn is_plain(&self) -> bool {
        self.pool.is_none() && matches!(self.encoder, Encoder::None)
    }

    /// Asks for the digest of the input as well; without compression it is that of the output.
    fn hash_input(&mut self) -> io::Result<()> {
        self.input = match (&self.pool, &self.encoder) {
            (None, Encoder::None) => InputHash::No,
            (None, _) => InputHash::Here(Hasher::new()),
            (Some(_), _) => InputHash::Thread(HashThread::start()?),
        };
        Ok(())
    }

    /// Compresses what is left, flushes, and gives digest and length of the output.
    pub fn finish(self) -> io::Result<(Digest, u64)> {
        self.end().map(|ends| (ends.digest, ends.size))
    }

    fn end_blob(self, tar_size: u64) -> Result<BlobInfo, Error> {
        let ends = self.end().map_err(Error::Write)?;
        Ok(BlobInfo {
            diff_id: ends.input.unwrap_or(ends.digest),
            digest: ends.digest,
            size: ends.size,
            tar_size,
        })
    }

    fn end(mut self) -> io::Result<Ends> {
        // Nothing at all is a member as well.
        if !self.block.is_empty() || (!self.started && !self.is_plain()) {
            self.submit()?;
        }
        if let Some(mut pool) = self.pool.take() {
            while let Some(compressed) = pool.next() {
                self.out.put(&compressed?)?;
            }
        }
        self.out.out.flush()?;
        let input = match self.input {
            InputHash::No => None,
            InputHash::Here(hasher) => Some(hasher.finish()),
            InputHash::Thread(thread) => Some(thread.finish()?),
        };
        Ok(Ends {
            input,
            digest: self.out.hasher.finish(),
            size: self.out.size,
        })
    }

    fn submit(&mut self) -> io::Result<()> {
        self.started = true;
        let Some(pool) = &mut self.pool else {
            if let InputHash::Here(hasher) = &mut self.input {
                hasher.update(&self.block);
            }
            let compressed = self.encoder.compress(&self.block)?;
            self.block.clear();
            return self.out.put(&compressed);
        };
        while pool.is_full() {
            if let Some(compressed) = pool.next() {
                self.out.put(&compressed?)?;
            }
        }
        let block = Arc::new(std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK)));
        if let InputHash::Thread(thread) = &self.input {
            thread.add(Arc::clone(&block))?;
        }
        pool.submit(block)
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_plain() {
            self.out.put(bytes)?;
            return Ok(bytes.len());
        }
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == BLOCK {
            self.submit()?;
        }
        Ok(taken)
    }

    /// Does nothing: a block is compressed when it is full, whenever somebody asks.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct Hashed<W> {
    out: W,
    hasher: Hasher,
    size: u64,
}

impl<W: Write> Hashed<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compress(compression: Compression, threads: usize, input: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut compressor = Compressor::new(compression, None, threads, &mut out).unwrap();
        compressor.write_all(input).unwrap();
        let (digest, size) = compressor.finish().unwrap();
        assert_eq!((digest, size), (Digest::of(&out), out.len() as u64));
        out
    }

    #[test]
    fn same_bytes_whatever_the_threads() {
        let noise =
            (0..3 * BLOCK as u64 + 17).map(|i| i.wrapping_mul(i).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[6]);
        let input: Vec<u8> = noise.collect();
        for size in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, input.len()] {
            for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
                let one = compress(compression, 1, &input[..size]);
                for threads in [0, 2, 7] {
                    assert!(
                        one == compress(compression, threads, &input[..size]),
                        "{compression:?} {threads} {size}"
                    );
                }
                let mut back = Vec::new();
                let mut decoder = crate::decompress::decoder(compression.into(), one.as_slice()).unwrap();
                io::Read::read_to_end(&mut decoder, &mut back).unwrap();
                assert!(back == input[..size], "{compression:?} {size}");
            }
        }
    }

    #[test]
    fn refuses_levels_that_are_none() {
        for (compression, level) in [
            (Compression::Gzip, 10),
            (Compression::Gzip, -1),
            (Compression::Zstd, 23),
            (Compression::Zstd, 0),
        ] {
            assert!(Compressor::new(compression, Some(level), 1, Vec::new()).is_err());
        }
    }

    #[test]
    fn a_full_disk_is_an_error_and_no_hang() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut compressor = Compressor::new(Compression::Gzip, None, 3, Full).unwrap();
        let failed = (0..40).any(|_| compressor.write_all(&vec![7; BLOCK]).is_err());
        assert!(failed);
        assert!(compressor.finish().is_err());
    }
}
