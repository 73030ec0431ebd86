//! Why the store could not do it.

use std::io;
use std::path::{Path, PathBuf};

use kiln_image::Digest;

/// What goes wrong in a store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error("cannot {operation} {path}: {source}")]
    Io {
        /// What was done.
        operation: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk is full.
    #[error("no space left on the disk for {path}: `kiln prune` frees what no image needs")]
    NoSpace {
        /// What was written.
        path: PathBuf,
    },
    /// The database.
    #[error("the store's database: {0}")]
    Database(#[from] rusqlite::Error),
    /// A newer Kiln wrote it.
    #[error(
        "{path} was written by a newer Kiln (schema {found}, this one knows {known}): use that one, or another --root"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// A blob has other bytes than its name says.
    #[error("blob {expected} has other content ({found}): it is damaged")]
    Digest {
        /// The name.
        expected: Digest,
        /// What it has.
        found: Digest,
    },
    /// A blob that was to be read whole is too large for that.
    #[error("blob {digest} is larger than {limit} bytes")]
    TooLarge {
        /// The blob.
        digest: Digest,
        /// What was allowed.
        limit: u64,
    },
    /// A row holds something that was never written there.
    #[error("the store's database is damaged: {0}")]
    Damaged(String),
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// For `map_err`.
    pub(crate) fn io(operation: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace { path },
            _ => Self::Io {
                operation,
                path,
                source,
            },
        }
    }
}
