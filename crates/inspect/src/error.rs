//! What can go wrong.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// Why an image could not be looked into.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store.
    #[error(transparent)]
    Store(#[from] kiln_store::Error),
    /// A layer could not be read.
    #[error("cannot read the layer {layer}: {source}")]
    Layer {
        /// Its directory, or what else people know it by.
        layer: PathBuf,
        /// Why.
        source: kiln_layer::Error,
    },
    /// A layer's directory could not be opened.
    #[error("cannot open the layer {layer}: {source}")]
    Open {
        /// The directory.
        layer: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file of the image could not be read.
    #[error("cannot read the image's /{}: {source}", path.display())]
    File {
        /// Its path in the image.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A layer has more than an index can hold.
    #[error("the layer {layer} has more files, or longer names, than can be looked into")]
    TooMuch {
        /// Its directory, or what else people know it by.
        layer: PathBuf,
    },
    /// An archive names a file above its root.
    #[error("the archive's entry `{}` leads out of it", path.display())]
    Outside {
        /// The entry's name.
        path: PathBuf,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A database of known vulnerabilities cannot be read.
    #[error("cannot read the database of vulnerabilities {}: {why}", path.display())]
    Database {
        /// The file, and what of an archive it is.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The layers that are not in the store could not be read.
    #[error("{0}")]
    Tars(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A file's content is needed, nothing was kept of it, and it cannot be read again.
    #[error(
        "the content of the image's /{} is needed, which is larger than can be looked into, or is needed after too many \
         others",
        path.display()
    )]
    NotKept {
        /// Its path in the image.
        path: PathBuf,
    },
}

impl Error {
    /// For `map_err`.
    pub(crate) fn layer(layer: &Path) -> impl FnOnce(kiln_layer::Error) -> Self {
        let layer = layer.to_owned();
        move |source| Self::Layer { layer, source }
    }
}

/// A path of an image, for messages.
pub(crate) fn path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}
