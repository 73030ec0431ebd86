//! Other builders, those that Debian packages: buildah, and dockerd with its `BuildKit`.

mod buildah;
mod debian;
mod docker;

pub(super) use self::buildah::Buildah;
pub(super) use self::docker::Docker;
