//! Content by digest.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use kiln_image::{Digest, Hasher};

use crate::Store;
use crate::error::{Error, Result};

impl Store {
    /// Where a blob is, or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// Whether it is there.
    pub fn has_blob(&self, digest: &Digest) -> bool {
        self.blob_path(digest).exists()
    }

    /// Opens it for reading. Its digest was verified when it was written.
    pub fn open_blob(&self, digest: &Digest) -> Result<File> {
        let path = self.blob_path(digest);
        File::open(&path).map_err(Error::io("open", &path))
    }

    /// The bytes of a small blob, verified. An error if there are more than `limit`.
    pub fn read_blob(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut file = self.open_blob(digest)?.take(limit.saturating_add(1));
        file.read_to_end(&mut bytes)
            .map_err(Error::io("read", self.blob_path(digest)))?;
        if bytes.len() as u64 > limit {
            return Err(Error::TooLarge { digest: *digest, limit });
        }
        let found = Digest::of(&bytes);
        if found == *digest {
            Ok(bytes)
        } else {
            Err(Error::DamagedBlob {
                path: self.blob_path(digest),
                found,
            })
        }
    }

    /// A new blob, to be written and committed.
    pub fn blob_writer(&self) -> Result<BlobWriter> {
        let path = self.temp()?.name()?;
        let file = File::create_new(&path).map_err(Error::io("create", &path))?;
        let target = self.root.join("blobs/sha256");
        Ok(BlobWriter {
            file: Some(file),
            path,
            target,
            hasher: Hasher::new(),
            size: 0,
        })
    }

    /// Keeps `bytes`.
    pub fn put_blob(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        if self.has_blob(&digest) {
            return Ok(digest);
        }
        let mut writer = self.blob_writer()?;
        writer
            .write_all(bytes)
            .map_err(Error::io("write", self.blob_path(&digest)))?;
        Ok(writer.commit(Some(digest))?.0)
    }
}

/// A blob that is being written. Dropped without [`BlobWriter::commit`] it is gone.
#[derive(Debug)]
pub struct BlobWriter {
    /// `None` once committed.
    file: Option<File>,
    path: PathBuf,
    target: PathBuf,
    hasher: Hasher,
    size: u64,
}

impl BlobWriter {
    /// Makes it part of the store; an error if its digest is not the one that was expected.
    pub fn commit(mut self, expected: Option<Digest>) -> Result<(Digest, u64)> {
        let found = std::mem::take(&mut self.hasher).finish();
        if let Some(expected) = expected
            && expected != found
        {
            return Err(Error::Digest { expected, found });
        }
        if let Some(file) = &self.file {
            file.sync_data().map_err(Error::io("sync", &self.path))?;
        }
        let target = self.target.join(found.hex());
        std::fs::rename(&self.path, &target).map_err(Error::io("rename to", &target))?;
        self.file = None;
        Ok((found, self.size))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(file) = &mut self.file else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let count = file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if self.file.is_some() {
            let _swept_later = std::fs::remove_file(&self.path);
        }
    }
}
