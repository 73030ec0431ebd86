//! Why the store could not do it.

use std::io;
use std::path::{Path, PathBuf};

use kiln_image::Digest;
use rusqlite::ErrorCode;

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
    /// The disk, or what the user may use of it, is full.
    #[error("no space left on the disk for {path}")]
    NoSpace {
        /// What was written.
        path: PathBuf,
    },
    /// The database.
    #[error("the store's database: {0}")]
    Database(#[source] rusqlite::Error),
    /// A newer Kiln wrote it.
    #[error(
        "{path} was written by a newer Kiln (schema {found}, this one knows {known}): use that one, or another --root"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: usize,
        /// The newest that this program knows.
        known: usize,
    },
    /// What was to be stored has another digest than was asked for; it was not stored.
    #[error("the content has digest {found}, but {expected} was expected")]
    Digest {
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// A blob of the store has other bytes than its name says.
    #[error("{path} is damaged (its content has digest {found}): remove it, and it is fetched or made again")]
    DamagedBlob {
        /// The blob.
        path: PathBuf,
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
    /// The database, or a row of it, holds something that was never written there.
    #[error(
        "the store's database is damaged: {0}. Move the store's directory away, or use another --root: a new one is \
         made, and images are built and pulled again"
    )]
    Damaged(String),
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error.to_string()),
            Some(ErrorCode::DiskFull) => Self::NoSpace {
                path: "the store's database".into(),
            },
            _ => Self::Database(error),
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_called_so() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let error = Error::io("write", "/a/b")(kind.into());
            assert!(matches!(&error, Error::NoSpace { path } if path == Path::new("/a/b")));
        }
        let other = Error::io("write", "/a/b")(io::ErrorKind::PermissionDenied.into());
        assert_eq!(other.to_string(), "cannot write /a/b: permission denied");
    }

    #[test]
    fn a_full_disk_under_the_database_is_called_so() {
        let directory = tempfile::tempdir().unwrap();
        let store = crate::Store::open(directory.path()).unwrap();
        let pages: u32 = store
            .db()
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap();
        store.db().pragma_update(None, "max_page_count", pages).unwrap();
        let error = loop {
            match store.begin_build(&"x".repeat(5000)) {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::NoSpace { .. }), "{error}");
        assert!(store.builds().is_ok());
    }
}
