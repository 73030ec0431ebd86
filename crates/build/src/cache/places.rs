//! What stands behind each kind of place.

use super::backend::Backend;
use super::gha::Gha;
use super::local::Local;
use super::registry::Registry;
use super::request::CachePlace;
use super::s3::S3;

/// The place, to be read or written.
pub(crate) fn backend(place: &CachePlace, registry: &kiln_registry::Client) -> Box<dyn Backend> {
    match place {
        CachePlace::Registry(reference) => Box::new(Registry::new(registry, reference)),
        CachePlace::S3(place) => Box::new(S3::new(registry, place)),
        CachePlace::Gha(place) => Box::new(Gha::new(registry, place)),
        CachePlace::Local { directory, tag, digest } => Box::new(Local::new(directory, tag, *digest)),
    }
}
