//! Plans of whole Dockerfiles.

mod cache_keys;
mod definition;
mod limits;
mod manner_of;
mod platforms;

use std::collections::BTreeMap;

use kiln_plan::{ImageRequest, Images, ResolvedImage};

/// Images that have nothing but a platform.
fn bare<T>(wanted: BTreeMap<ImageRequest, T>) -> Images {
    let image = |request: ImageRequest| {
        let unknown = ResolvedImage::unknown(&request);
        (request, unknown)
    };
    wanted.into_keys().map(image).collect()
}
