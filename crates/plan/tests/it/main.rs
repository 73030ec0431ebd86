//! Plans of whole Dockerfiles.

mod cache_keys;
mod definition;
mod limits;
mod manner_of;
mod platforms;

use std::collections::BTreeMap;

use kiln_image::{Digest, ImageConfig};
use kiln_plan::{ImageRequest, Images, ResolvedImage};

/// Images that have nothing but a platform.
fn bare<T>(wanted: BTreeMap<ImageRequest, T>) -> Images {
    let image = |request: ImageRequest| {
        let config = ImageConfig {
            architecture: request.platform.architecture.clone(),
            os: request.platform.os.clone(),
            ..ImageConfig::default()
        };
        let manifest = Digest::of(request.reference.to_string());
        (request, ResolvedImage { manifest, config })
    };
    wanted.into_keys().map(image).collect()
}
