//! Which caches a build reads and writes.

use std::path::PathBuf;

use kiln_image::media_type::Compression;
use kiln_image::{Digest, Reference};

use super::gha::GhaPlace;
use super::s3::S3Place;

/// A place for a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CachePlace {
    /// A tag of a registry (`type=registry`). To read from, it may be that of an image that carries its own cache.
    Registry(Reference),
    /// Object storage (`type=s3`).
    S3(Box<S3Place>),
    /// GitHub Actions' cache (`type=gha`).
    Gha(GhaPlace),
    /// An OCI layout (`type=local`).
    Local {
        /// Its directory.
        directory: PathBuf,
        /// What its index calls the cache.
        tag: String,
        /// The manifest to read, instead of the one that the tag names.
        digest: Option<Digest>,
    },
}

/// Where a build writes its cache, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheExport {
    /// Where.
    pub place: CachePlace,
    /// Of which steps.
    pub mode: CacheMode,
    /// How layers are compressed.
    pub compression: Compression,
    /// How hard; the kind's default where not given.
    pub level: Option<i32>,
    /// Which cache mounts go with it, in mode max.
    pub mounts: MountExport,
}

/// Which cache mounts a cache gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountExport {
    /// Which of those that the build's steps use.
    pub choice: MountChoice,
    /// Bytes of files that one may hold, and of the archive that is made of it.
    pub most: u64,
}

/// Some cache mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountChoice {
    /// All.
    All,
    /// None.
    None,
    /// Those of these ids.
    Only(Vec<String>),
}

impl Default for MountExport {
    /// All that hold no more than 1 GiB.
    fn default() -> Self {
        Self {
            choice: MountChoice::All,
            most: 1 << 30,
        }
    }
}

/// Which steps a cache has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheMode {
    /// Those whose layers the images have.
    #[default]
    Min,
    /// All.
    Max,
}
