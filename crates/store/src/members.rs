//! Parts of blobs that were compressed by themselves, to be taken over into blobs that have them too.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use kiln_image::Digest;
use rusqlite::{OptionalExtension as _, params};

use crate::Store;
use crate::error::{Error, Result};
use crate::schema::immediate;
use crate::values::{from_sql, parse_digest, to_sql};

/// A part of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// What it is found by.
    pub key: [u8; 32],
    /// Where it begins in the blob, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub size: u64,
    /// What tells whoever takes it whether its bytes are still those that were written.
    pub check: [u8; 32],
}

/// A part of a blob as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundMember {
    /// The blob.
    pub blob: Digest,
    /// Its bytes, which nobody compared with `check`.
    pub bytes: Vec<u8>,
    /// See [`Member::check`].
    pub check: [u8; 32],
}

impl Store {
    /// Remembers members of a blob of the store, as long as it is there. Of blobs that have the same one the last is asked.
    pub fn add_members(&self, blob: &Digest, members: &[Member]) -> Result<()> {
        if members.is_empty() {
            return Ok(());
        }
        let mut db = self.db();
        let transaction = immediate(&mut db)?;
        {
            // A blob that was found damaged meanwhile has none.
            let mut statement = transaction.prepare_cached(
                "INSERT OR REPLACE INTO members (key, blob, start, size, fingerprint)
                 SELECT ?2, digest, ?3, ?4, ?5 FROM blobs WHERE digest = ?1",
            )?;
            for member in members {
                statement.execute(params![
                    blob.hex(),
                    member.key,
                    to_sql(member.offset),
                    to_sql(member.size),
                    member.check
                ])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// The member of that key. One of a blob that is shorter than it was has as many bytes as there are.
    pub fn find_member(&self, key: &[u8; 32]) -> Result<Option<FoundMember>> {
        let query = "SELECT blob, start, size, fingerprint FROM members WHERE key = ?";
        let found = self
            .db()
            .prepare_cached(query)?
            .query_row([key], |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, i64>(2)?,
                    row.get::<_, [u8; 32]>(3)?,
                ))
            })
            .optional()?;
        let Some((blob, start, size, check)) = found else {
            return Ok(None);
        };
        let blob = parse_digest(&format!("sha256:{blob}"))?;
        let path = self.blob_path(&blob);
        match read_at(&path, from_sql(start), from_sql(size)) {
            Ok(bytes) => Ok(Some(FoundMember { blob, bytes, check })),
            // It was removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", path)(error)),
        }
    }
}

fn read_at(path: &std::path::Path, start: u64, size: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], start + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
