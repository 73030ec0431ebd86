//! What the command line adds to a Dockerfile.

use std::collections::BTreeMap;

use kiln_dockerfile::ignore::Ignore;
use kiln_dockerfile::mount::CacheKey;
use kiln_image::{Digest, ImageConfig, Platform, Reference};

use crate::remote::Remote;
use crate::step::Network;

/// The options of a build that change what is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `--target`
    pub target: Option<String>,
    /// `--build-arg`
    pub build_args: BTreeMap<String, String>,
    /// Whether all stages are planned, and checked, whatever the target needs. (`--call=check`)
    pub every_stage: bool,
    /// What the ignore file of the build context leaves out. Nothing is left out here: naming it is warned of.
    pub ignored: Option<Ignore>,
    /// `--label`, over whatever the Dockerfile says.
    pub labels: BTreeMap<String, String>,
    /// `--platform`: what to build for, in this order, each once; the platform that runs the build where empty.
    pub platforms: Vec<Platform>,
    /// Whether what comes out is as for several platforms, even if it is one. (`BUILDKIT_MULTI_PLATFORM`)
    pub multi_platform: bool,
    /// The platform that runs the build.
    pub build_platform: Platform,
    /// `--build-context NAME=…`, by name in lower case.
    pub contexts: BTreeMap<String, NamedContext>,
    /// `--no-cache` for all stages.
    pub no_cache: bool,
    /// `--no-cache-filter`: stage names in lower case.
    pub no_cache_filter: Vec<String>,
    /// `--network`
    pub network: Network,
    /// `--add-host`: name, address.
    pub extra_hosts: Vec<(String, String)>,
    /// `--shm-size`, bytes.
    pub shm_size: Option<u64>,
    /// `--ulimit`: name, soft, hard.
    pub ulimits: Vec<(String, u64, u64)>,
    /// `--allow`
    pub allow: Allowed,
    /// What the machine of steps is called.
    pub hostname: Option<String>,
    /// The keys of cache mounts that say none, by their targets; relative ones are relative to the working directory. Files
    /// that these name need not be there.
    pub cache_keys: BTreeMap<String, Vec<CacheKey>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            target: None,
            build_args: BTreeMap::new(),
            every_stage: false,
            ignored: None,
            labels: BTreeMap::new(),
            platforms: Vec::new(),
            multi_platform: false,
            build_platform: Platform::host(),
            contexts: BTreeMap::new(),
            no_cache: false,
            no_cache_filter: Vec::new(),
            network: Network::Host,
            extra_hosts: Vec::new(),
            shm_size: None,
            ulimits: Vec::new(),
            allow: Allowed::default(),
            hostname: None,
            cache_keys: BTreeMap::new(),
        }
    }
}

impl Options {
    /// Whether what comes out is as for several platforms.
    pub fn several(&self) -> bool {
        self.multi_platform || self.platforms.len() > 1
    }

    /// What is built for.
    pub fn targets(&self) -> &[Platform] {
        match &self.platforms[..] {
            [] => std::slice::from_ref(&self.build_platform),
            asked => asked,
        }
    }
}

/// What steps may do beyond the usual.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    /// `security.insecure`
    pub insecure: bool,
    /// `network.host`, which `--network host` allows as well.
    pub network_host: bool,
    /// `device…`
    pub devices: AllowedDevices,
}

/// The devices that steps may have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedDevices {
    /// Any (`--allow device`).
    pub all: bool,
    /// As the Dockerfile names them, and what they are on this machine (`--allow device=NAME[,alias=OTHER]`).
    pub names: BTreeMap<String, String>,
}

impl AllowedDevices {
    /// What the device of that name is on this machine; `None` if it is not allowed. Who allows a class allows all of it.
    pub(crate) fn real<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        if let Some(real) = self.names.get(name) {
            return Some(real);
        }
        let class = name.split_once('=').map_or(name, |(class, _)| class);
        (self.all || self.names.get(class).is_some_and(|real| real == class)).then_some(name)
    }
}

/// What `--build-context` may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedContext {
    /// A directory on this machine; who builds knows where.
    Local,
    /// `docker-image://REFERENCE`
    Image(Reference),
    /// A git repository, or a file by HTTP, which is called `context` in it.
    Remote(Remote),
}

/// An image that the plan needs to know before it can go on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRequest {
    /// Which.
    pub reference: Reference,
    /// For which platform.
    pub platform: Platform,
}

/// What a registry (or the store) said about an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedImage {
    /// The digest of the manifest for the platform.
    pub manifest: Digest,
    /// Its config.
    pub config: ImageConfig,
}

impl ResolvedImage {
    /// One of which nothing is known but for what platform it is, for who asks what a Dockerfile means and builds nothing.
    pub fn unknown(request: &ImageRequest) -> Self {
        Self {
            manifest: Digest::of(request.reference.to_string()),
            config: ImageConfig {
                architecture: request.platform.architecture.clone(),
                os: request.platform.os.clone(),
                ..ImageConfig::default()
            },
        }
    }
}

/// The images that are known so far.
pub type Images = BTreeMap<ImageRequest, ResolvedImage>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_by_name_class_and_alias() {
        let pair = |name: &str, real: &str| (name.to_owned(), real.to_owned());
        let allowed = AllowedDevices {
            all: false,
            names: [
                pair("a.com/x=1", "a.com/x=1"),
                pair("b.com/y", "b.com/y"),
                pair("gpu", "c.com/z=0"),
            ]
            .into(),
        };
        assert_eq!(allowed.real("a.com/x=1"), Some("a.com/x=1"));
        assert_eq!(allowed.real("b.com/y=5"), Some("b.com/y=5"));
        assert_eq!(allowed.real("gpu"), Some("c.com/z=0"));
        for name in ["a.com/x=2", "a.com/x", "a.com/x=*", "gpu=1", "c.com/z=0"] {
            assert_eq!(allowed.real(name), None, "{name}");
        }
        let all = AllowedDevices {
            all: true,
            ..AllowedDevices::default()
        };
        assert_eq!(all.real("any"), Some("any"));
    }
}
