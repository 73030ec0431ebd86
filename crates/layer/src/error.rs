//! What can go wrong.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Why a layer could not be made, read or applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operation on one file failed.
    #[error("cannot {action} {}: {}{}", path.display(), source, hint(source))]
    Path {
        /// The operation, as it follows "cannot".
        action: &'static str,
        /// The file, relative to the directory in question where that has no name.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// The archive could not be read: the source failed, or its compression is damaged.
    #[error("cannot read the archive: {0}")]
    Read(#[source] io::Error),
    /// The archive could not be written.
    #[error("cannot write the archive: {0}{hint}", hint = hint(.0))]
    Write(#[source] io::Error),
    /// The archive is no tar, or a damaged one.
    #[error("the archive is damaged at byte {position}: {what}")]
    Malformed {
        /// Offset in the uncompressed archive, of the header in question.
        position: u64,
        /// What is wrong.
        what: String,
    },
    /// An entry that must not be applied.
    #[error("the archive's entry `{}` is refused: {what}", path.display())]
    Refused {
        /// The entry's name.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// The archive holds more than is allowed.
    #[error("the archive holds more than {limit} {unit}, which is the limit for one archive")]
    TooMuch {
        /// The limit.
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
    /// A file that changed while it was read.
    #[error("{} changed while it was read: {what}; try again when nothing writes to it", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// How it was noticed.
        what: &'static str,
    },
    /// A file that a layer cannot hold.
    #[error("a layer cannot hold {}: {what}", path.display())]
    Unrepresentable {
        /// The file.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// A directory would replace something else.
    #[error("cannot copy a directory to {}, which is there and no directory", path.display())]
    NotADirectory {
        /// The destination.
        path: PathBuf,
    },
    /// Something else would replace a directory.
    #[error("cannot copy a file to {}, which is there and a directory", path.display())]
    IsADirectory {
        /// The destination.
        path: PathBuf,
    },
}

/// What the user can do about it, where that is known.
fn hint(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::NOSPC) => " (the file system is full: free some space, or point --root at another one)",
        Some(Errno::DQUOT) => " (the disk quota is used up)",
        Some(Errno::INVAL) => {
            " (if it is about an owner: the user namespace has no such id; see /etc/subuid, /etc/subgid)"
        }
        Some(Errno::MFILE) => " (raise the limit on open files: ulimit -n)",
        Some(Errno::OPNOTSUPP) => " (the file system does not support it)",
        _ => "",
    }
}

impl Error {
    /// For `map_err`: a failed operation on `path`.
    pub(crate) fn at<E: Into<io::Error>>(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(E) -> Self {
        move |source| Self::Path {
            action,
            path: path.as_ref().to_owned(),
            source: source.into(),
        }
    }

    /// An entry that is refused.
    pub(crate) fn refused(path: &[u8], what: impl Into<String>) -> Self {
        Self::Refused {
            path: crate::names::shown(path),
            what: what.into(),
        }
    }
}
