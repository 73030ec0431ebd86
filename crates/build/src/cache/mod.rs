//! Caches that travel: the records of steps, and the layers that they made, in a registry, a directory, object storage or a CI's own cache, where other
//! machines find them. See `docs/decisions/remote-cache.md`.
//!
//! A [`Document`](document::Document) says which layers a cache has and by which keys steps find them; a
//! [`Backend`](backend::Backend) is a place for documents and blobs. [`Caches`] answers look-ups and
//! [`Exports`] writes, while steps run.

mod backend;
mod document;
mod export;
mod gha;
mod import;
mod inline;
mod local;
mod mounts;
mod places;
mod prune;
mod ranged;
mod registry;
mod request;
mod s3;
mod upload;
mod writer;

pub(crate) use backend::Verified;
pub(crate) use export::Exports;
pub use gha::{GhaApi, GhaPlace};
pub(crate) use import::{Caches, Found};
pub(crate) use inline::{embed, forget};
pub(crate) use mounts::lock_name;
pub use prune::{CacheFile, CachePruning, prune_directory};
pub use request::{CacheExport, CacheMode, CachePlace, MountChoice, MountExport};
pub use s3::{S3Options, S3Place};
pub(crate) use writer::export_mounts;
