//! What was fetched by HTTP, and how to ask whether it is still the same.

use kiln_image::Digest;
use rusqlite::{OptionalExtension as _, params};

use crate::error::Result;
use crate::values::parse_digest;
use crate::{LayerId, Store};

/// A file that was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// The layer that holds it alone.
    pub layer: LayerId,
    /// The digest of its bytes.
    pub digest: Digest,
    /// The server's `ETag`.
    pub etag: Option<String>,
    /// The server's `Last-Modified`, as written.
    pub last_modified: Option<String>,
}

impl Store {
    /// What was fetched from there last, if its layer is still in the store.
    pub fn download(&self, url: &str) -> Result<Option<Download>> {
        let row: Option<(String, String, Option<String>, Option<String>)> = self
            .db()
            .prepare_cached("SELECT layer, digest, etag, last_modified FROM downloads WHERE url = ?")?
            .query_row([url], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            .optional()?;
        let Some((layer, digest, etag, last_modified)) = row else {
            return Ok(None);
        };
        let layer = LayerId::parse(layer)?;
        if self.layer(&layer)?.is_none() {
            return Ok(None);
        }
        Ok(Some(Download {
            layer,
            digest: parse_digest(&digest)?,
            etag,
            last_modified,
        }))
    }

    /// Remembers what was fetched; its layer is in the store.
    pub fn put_download(&self, url: &str, download: &Download) -> Result<()> {
        self.db().execute(
            "INSERT OR REPLACE INTO downloads (url, layer, digest, etag, last_modified) VALUES (?, ?, ?, ?, ?)",
            params![
                url,
                download.layer.as_str(),
                download.digest.to_string(),
                download.etag,
                download.last_modified
            ],
        )?;
        Ok(())
    }
}
