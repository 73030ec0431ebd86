//! Content by digest.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use kiln_image::{Digest, Hasher};
use rusqlite::params;

use crate::error::{Error, Result};
use crate::room::Room;
use crate::uses::Use;
use crate::values::to_sql;
use crate::write_behind::WriteBehind;
use crate::{Store, now, now_in_milliseconds, tree};

impl Store {
    /// Where a blob is, or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// Whether it is there, for somebody who will use it.
    pub fn has_blob(&self, digest: &Digest) -> Result<bool> {
        let db = self.look_up()?;
        // A file without a row is one whose writer died: nobody would know of it.
        let known = db
            .prepare_cached("SELECT 1 FROM blobs WHERE digest = ?")?
            .exists([digest.hex()])?;
        let there = known && self.blob_path(digest).exists();
        if there {
            db.uses(Use::Blob(*digest))?;
        }
        Ok(there)
    }

    /// Opens it for reading. Its digest was verified when it was written, not since: [`Store::blob_fault`] does.
    pub fn open_blob(&self, digest: &Digest) -> Result<File> {
        self.uses(Use::Blob(*digest))?;
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

    /// A new blob, to be written and committed. If it is known how large it will be, there is room for it from now on.
    pub fn blob_writer(&self, size: Option<u64>) -> Result<BlobWriter<'_>> {
        let room = size.map(|bytes| self.reserve(bytes)).transpose()?;
        let path = self.temp()?.name()?;
        let file = File::create_new(&path).map_err(Error::io("create", &path))?;
        Ok(BlobWriter {
            store: self,
            room,
            file: Some(WriteBehind::new(file)),
            path,
            hasher: Hasher::new(),
            size: 0,
        })
    }

    fn add_blob(&self, digest: &Digest, disk: u64) -> Result<()> {
        let db = self.db();
        let mut statement = db.prepare_cached(
            "INSERT INTO blobs (digest, disk, created, used) VALUES (?, ?, ?, ?)
             ON CONFLICT (digest) DO UPDATE SET disk = excluded.disk, used = excluded.used",
        )?;
        statement.execute(params![digest.hex(), to_sql(disk), now(), now_in_milliseconds()])?;
        Ok(())
    }

    /// Keeps `bytes`.
    pub fn put_blob(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        if self.blob_fault(&digest)?.is_none() {
            return Ok(digest);
        }
        self.make_room(bytes.len() as u64)?;
        let mut writer = self.blob_writer(None)?;
        writer
            .write_all(bytes)
            .map_err(Error::io("write", self.blob_path(&digest)))?;
        Ok(writer.commit(Some(digest))?.0)
    }
}

/// A blob that is being written. Dropped without [`BlobWriter::commit`] it is gone.
#[derive(Debug)]
pub struct BlobWriter<'a> {
    store: &'a Store,
    /// Kept until the blob itself counts.
    room: Option<Room<'a>>,
    /// `None` once committed.
    file: Option<WriteBehind>,
    path: PathBuf,
    hasher: Hasher,
    size: u64,
}

impl BlobWriter<'_> {
    /// What was written so far, to be read.
    pub fn reader(&self) -> Result<File> {
        File::open(&self.path).map_err(Error::io("open", &self.path))
    }

    /// Makes it part of the store; an error if its digest is not the one that was expected.
    pub fn commit(mut self, expected: Option<Digest>) -> Result<(Digest, u64)> {
        let found = std::mem::take(&mut self.hasher).finish();
        if let Some(expected) = expected
            && expected != found
        {
            return Err(Error::Digest { expected, found });
        }
        let mut disk = 0;
        if let Some(file) = &self.file {
            file.sync().map_err(Error::io("sync", &self.path))?;
            disk = tree::disk_of(&file.file().metadata().map_err(Error::io("examine", &self.path))?);
        }
        self.store.uses(Use::Blob(found))?;
        let target = self.store.blob_path(&found);
        std::fs::rename(&self.path, &target).map_err(Error::io("rename to", &target))?;
        self.file = None;
        drop(self.room.take());
        self.store.add_blob(&found, disk)?;
        self.store.note_whole(found);
        self.store.settle();
        Ok((found, self.size))
    }
}

impl Write for BlobWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(file) = &mut self.file else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let count = file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        if let Some(room) = &mut self.room {
            room.wrote(count as u64);
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for BlobWriter<'_> {
    fn drop(&mut self) {
        if self.file.is_some() {
            let _swept_later = std::fs::remove_file(&self.path);
        }
    }
}
