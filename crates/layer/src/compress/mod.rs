//! A tar to a compressed blob, on several threads.
//!
//! The tar is cut into pieces at places that its entries choose, and each piece becomes a gzip member (RFC 1952, 2.2) or
//! a zstd frame (RFC 8878, 3) of its own; both formats say that a file may be several of these. So the bytes do not
//! depend on how many threads there are, and a member is the same in every blob that has the same piece.

mod codec;
mod cut;
mod pool;
mod press;

use std::io::{self, Read, Write};
use std::path::Path;
use std::thread::Scope;

use kiln_image::media_type::Compression;
use kiln_image::{Digest, Hasher};

use self::codec::Codec;
use self::cut::{Cutter, LONGEST};
use self::pool::Pool;
pub use self::press::{MemberKey, Members};
use self::press::{Press, Pressed};
use crate::Error;
use crate::archive::uncompressed;
use crate::pack::{PackOptions, pack};

/// How a blob is made of a tar. Only the first two say what it is.
#[derive(Clone, Copy)]
pub struct BlobOptions<'a> {
    /// The format.
    pub compression: Compression,
    /// The format's level (gzip 0 to 9, zstd 1 to 22); `None` for its default.
    pub level: Option<i32>,
    /// How many threads compress besides the calling one.
    pub threads: usize,
    /// Members that need not be compressed again. Where there are none, none of the new ones are described either.
    pub members: Option<&'a dyn Members>,
}

impl BlobOptions<'_> {
    /// At the format's default level, on so many threads.
    pub fn new(compression: Compression, threads: usize) -> Self {
        Self {
            compression,
            level: None,
            threads,
            members: None,
        }
    }
}

impl std::fmt::Debug for BlobOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobOptions")
            .field("compression", &self.compression)
            .field("level", &self.level)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

/// What is known of a blob besides its own digest, which is for who keeps it to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobInfo {
    /// Digest of the tar.
    pub diff_id: Digest,
    /// Length of the tar in bytes.
    pub tar_size: u64,
    /// Members that are worth finding again.
    pub members: Vec<Member>,
}

/// A part of a blob that depends on a piece of the tar alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// What it is found by.
    pub key: MemberKey,
    /// Where it begins in the blob, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub size: u64,
    /// Its BLAKE3.
    pub check: [u8; 32],
}

/// Packs a layer directory, as [`pack`] does, and compresses it in the same pass.
pub fn pack_compressed<W: Write + Send>(
    dir: &Path,
    options: &PackOptions,
    how: &BlobOptions<'_>,
    out: W,
) -> Result<BlobInfo, Error> {
    compressed(how, out, |out| pack(dir, options, out).map(drop))
}

/// Compresses a tar that is compressed already, or not at all, in another way. The tar stays what it is, whoever made it.
pub fn recompress<W: Write + Send>(blob: impl Read, how: &BlobOptions<'_>, out: W) -> Result<BlobInfo, Error> {
    let mut tar = uncompressed(blob)?;
    compressed(how, out, |out| {
        let mut buffer = vec![0; 128 * 1024];
        loop {
            match tar.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => out.write_all(&buffer[..count]).map_err(Error::Write)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Read(error)),
            }
        }
    })
}

/// Compresses what is written to the writer that `write` gets.
fn compressed<W: Write + Send>(
    how: &BlobOptions<'_>,
    out: W,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Error>,
) -> Result<BlobInfo, Error> {
    let Some(codec) = Codec::new(how.compression, how.level).map_err(Error::Write)? else {
        let mut plain = Plain {
            out,
            hasher: Hasher::new(),
            size: 0,
        };
        write(&mut plain)?;
        return plain.end().map_err(Error::Write);
    };
    std::thread::scope(|scope| {
        let mut compressor = Compressor {
            scope,
            codec,
            how,
            work: Work::Alone(Alone {
                press: Press::new(codec, how.members).map_err(Error::Write)?,
                hasher: Hasher::new(),
                size: 0,
                blob: Blob {
                    out,
                    size: 0,
                    members: Vec::new(),
                    found_in: how.members,
                },
            }),
            cutter: Cutter::default(),
            piece: Vec::new(),
            tar_size: 0,
        };
        write(&mut compressor)?;
        compressor.end().map_err(Error::Write)
    })
}

/// Passes on what is written to it.
struct Plain<W> {
    out: W,
    hasher: Hasher,
    size: u64,
}

impl<W: Write> Plain<W> {
    fn end(mut self) -> io::Result<BlobInfo> {
        self.out.flush()?;
        Ok(BlobInfo {
            diff_id: self.hasher.finish(),
            tar_size: self.size,
            members: Vec::new(),
        })
    }
}

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Cuts what is written to it, and has the pieces compressed and hashed.
struct Compressor<'s, 'e, W> {
    scope: &'s Scope<'s, 'e>,
    codec: Codec,
    how: &'e BlobOptions<'e>,
    work: Work<'s, 'e, W>,
    cutter: Cutter,
    piece: Vec<u8>,
    tar_size: u64,
}

/// Who does it.
enum Work<'s, 'e, W> {
    /// The calling thread: for little it is not worth to start others.
    Alone(Alone<'e, W>),
    Together(Pool<'s, 'e, W>),
    /// It could not begin or go on.
    Failed,
}

/// The first pieces, which may be all.
struct Alone<'e, W> {
    press: Press<'e>,
    hasher: Hasher,
    /// Bytes of them.
    size: usize,
    blob: Blob<'e, W>,
}

impl<W: Write> Alone<'_, W> {
    fn put(&mut self, piece: &[u8]) -> io::Result<()> {
        self.hasher.update(piece);
        self.size += piece.len();
        self.blob.put(&self.press.press(piece)?)
    }
}

impl<'s, 'e, W: Write + Send + 's> Compressor<'s, 'e, W> {
    fn start(&self, alone: Alone<'e, W>) -> io::Result<Pool<'s, 'e, W>> {
        let Alone {
            press, hasher, blob, ..
        } = alone;
        let others = 1..self.how.threads.max(1);
        let others = others.map(|_| Press::new(self.codec, self.how.members));
        let presses: io::Result<Vec<_>> = std::iter::once(Ok(press)).chain(others).collect();
        Pool::start(self.scope, presses?, hasher, blob)
    }

    fn submit(&mut self) -> io::Result<()> {
        let mut pool = match std::mem::replace(&mut self.work, Work::Failed) {
            Work::Alone(mut alone) if alone.size + self.piece.len() <= LONGEST => {
                alone.put(&self.piece)?;
                self.piece.clear();
                self.work = Work::Alone(alone);
                return Ok(());
            }
            Work::Alone(alone) => self.start(alone)?,
            Work::Together(pool) => pool,
            Work::Failed => return Err(failed()),
        };
        self.piece = pool.submit(std::mem::take(&mut self.piece))?;
        self.work = Work::Together(pool);
        Ok(())
    }

    /// Compresses what is left.
    fn end(mut self) -> io::Result<BlobInfo> {
        // Nothing at all is a member as well.
        if !self.piece.is_empty() || self.tar_size == 0 {
            self.submit()?;
        }
        let (diff_id, mut blob) = match self.work {
            Work::Together(pool) => pool.finish()?,
            Work::Alone(Alone { hasher, blob, .. }) => (hasher.finish(), blob),
            Work::Failed => return Err(failed()),
        };
        blob.out.flush()?;
        Ok(BlobInfo {
            diff_id,
            tar_size: self.tar_size,
            members: blob.members,
        })
    }
}

/// What follows an error that was told.
fn failed() -> io::Error {
    io::Error::other("the layer could not be compressed")
}

impl<'s, W: Write + Send + 's> Write for Compressor<'s, '_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.cutter.room(self.piece.len()));
        self.piece.extend_from_slice(&bytes[..taken]);
        self.tar_size += taken as u64;
        if self.cutter.ends(&self.piece, taken) {
            self.submit()?;
        }
        Ok(taken)
    }

    /// Does nothing: a piece is compressed when it is whole, whenever somebody asks.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What comes out.
struct Blob<'e, W> {
    out: W,
    size: u64,
    members: Vec<Member>,
    /// Who is to know of them.
    found_in: Option<&'e dyn Members>,
}

impl<W: Write> Blob<'_, W> {
    fn put(&mut self, pressed: &Pressed) -> io::Result<()> {
        let size = pressed.bytes.len() as u64;
        self.out.write_all(&pressed.bytes)?;
        if let (Some((key, check)), Some(found_in)) = (pressed.known_by, self.found_in) {
            let member = Member {
                key,
                offset: self.size,
                size,
                check,
            };
            self.members.push(member);
            found_in.written(member);
        }
        self.size += size;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
