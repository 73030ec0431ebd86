//! What to build, from what, and where to put it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kiln_dockerfile::source::Source;
use kiln_image::media_type::{Compression, Family};
use kiln_image::{Digest, Platform, Reference};
use kiln_plan::{Lineage, Options, Plan};
pub use kiln_sandbox::{CpuTime, Limits};

pub use crate::agent::Agent;
pub use crate::cache::{
    CacheExport, CacheMode, CachePlace, GhaApi, GhaPlace, MountChoice, MountExport, S3Options, S3Place,
};
use crate::error::{StepError, StepResult};

/// Secrets are small (`BuildKit`'s limit).
const MAX_SECRET: usize = 500 << 10;

/// A whole build.
#[derive(Debug, Clone)]
pub struct Request {
    /// The Dockerfile, with what it includes.
    pub dockerfile: Source,
    /// The file that it was read from, absolute and without links; `None` where that is not a file of this machine, or is one
    /// that was brought here for this build.
    pub file: Option<PathBuf>,
    /// The build context; `None` where there is none (`kiln build - < Dockerfile`).
    pub context: Option<PathBuf>,
    /// When the context was made, in seconds since 1970, where that is known (`SOURCE_DATE_EPOCH=context`).
    pub context_time: Option<i64>,
    /// The text and name of the ignore file that applies to the context, if there is one.
    pub ignore: Option<(String, String)>,
    /// Directories of named contexts.
    pub named_contexts: BTreeMap<String, PathBuf>,
    /// Images that are in OCI layouts, by the references of the named contexts that stand for them.
    pub layouts: BTreeMap<Reference, Layout>,
    /// What changes the plan.
    pub options: Options,
    /// By what steps and sources may reach what others may not.
    pub access: Access,
    /// Directories with descriptions of devices (CDI); later ones win.
    pub device_directories: Vec<PathBuf>,
    /// Ask registries again for images that are known (`--pull`).
    pub pull: bool,
    /// Tell why each step runs (`--explain`).
    pub explain: bool,
    /// How many steps run at the same time.
    pub jobs: usize,
    /// Time stamps of the image, in seconds since 1970, instead of `SOURCE_DATE_EPOCH` (`source-date-epoch=` of an output).
    pub epoch: Option<i64>,
    /// Limits of every RUN. They have no part in the cache: what a step makes does not depend on them, only whether it
    /// can.
    pub limits: Limits,
    /// How long every RUN may take.
    pub step_timeout: Option<Duration>,
    /// Names for the image; without outputs of its own it goes to the store.
    pub tags: Vec<Reference>,
    /// Where it goes; to the store where this is empty.
    pub outputs: Vec<Output>,
    /// What outputs with manifests note in them (`--annotation`).
    pub annotations: Annotations,
    /// Caches to look in for steps that the store does not know (`--cache-from`), first to be asked first.
    pub cache_from: Vec<CachePlace>,
    /// Caches to write (`--cache-to`).
    pub cache_to: Vec<CacheExport>,
    /// Whether images carry in their configs which steps made their layers (`--cache-to type=inline`).
    pub inline_cache: bool,
}

impl Request {
    /// Whether there is to be no image at all.
    pub fn is_cache_only(&self) -> bool {
        !self.outputs.is_empty() && self.outputs.iter().all(|output| *output == Output::CacheOnly)
    }

    /// How the first output compresses layers that are compressed as they are, and stay so in the store.
    pub(crate) fn kept_compression(&self, plan: &Plan) -> Option<LayerOptions> {
        let of = |output: &Output| match output {
            Output::Oci { layers, .. } | Output::Docker { layers, .. } => Some(*layers),
            Output::Image { layers, push, .. } => (*push || self.options.several()).then_some(*layers),
            Output::Local { .. } | Output::Tar { .. } | Output::CacheOnly => None,
        };
        let options = self.outputs.iter().find_map(of)?;
        let dates_back = options.rewrite_timestamp && self.epoch.or(plan.epoch).is_some();
        // With a level it is done again whenever it is asked for.
        (options.level.is_none() && !dates_back).then_some(options)
    }

    /// All names that the image is given.
    pub fn names(&self) -> Vec<Reference> {
        if self.is_cache_only() {
            return Vec::new();
        }
        let mut names = self.tags.clone();
        for output in &self.outputs {
            if let Output::Image { names: more, .. } = output {
                names.extend(more.iter().filter(|name| !self.tags.contains(name)).cloned());
            }
        }
        names
    }

    /// Bytes that the archive of a cache mount may have that comes from a cache: as many as one that goes to a cache, and
    /// no fewer than by default.
    pub(crate) fn most_mount(&self) -> u64 {
        let exported = self.cache_to.iter().map(|to| to.mounts.most);
        exported.fold(MountExport::default().most, u64::max)
    }

    /// What tells the steps of this Dockerfile from one another, by the lines of their instructions; none of a Dockerfile that
    /// nobody can ask for again.
    pub(crate) fn lineages(&self) -> HashMap<u32, Lineage> {
        let Some(file) = &self.file else {
            return HashMap::new();
        };
        let dockerfile = kiln_dockerfile::parse(self.dockerfile.text()).0;
        kiln_plan::lineages(&dockerfile, file.as_os_str().as_encoded_bytes())
    }

    /// What people call this build: the image's names and the Dockerfile.
    pub(crate) fn title(&self) -> String {
        let names: Vec<String> = self.names().iter().map(Reference::familiar).collect();
        if names.is_empty() {
            return self.dockerfile.name().to_owned();
        }
        format!("{} ({})", names.join(", "), self.dockerfile.name())
    }
}

/// An image in an OCI layout: `oci-layout://PATH[:TAG][@DIGEST]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The layout's directory.
    pub path: PathBuf,
    /// What its index calls the image; `latest` where not given.
    pub tag: Option<String>,
    /// The image's manifest or index, instead of what the tag says.
    pub digest: Option<Digest>,
}

/// By what steps and sources reach what others may not.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Secrets by id: where their values are. Values never reach disk, log, key or layer.
    pub secrets: BTreeMap<String, SecretSource>,
    /// SSH agents by id (`--ssh`).
    pub agents: BTreeMap<String, Agent>,
    /// The keys of SSH servers that are known (`~/.ssh/known_hosts`). Servers that are not are added.
    pub known_hosts: Option<PathBuf>,
    /// A bundle of certificate authorities that steps see too.
    pub ca_bundle: Option<PathBuf>,
}

impl Access {
    /// The value of a secret, if it was given.
    pub(crate) fn secret(&self, id: &str) -> StepResult<Option<Vec<u8>>> {
        let content = match self.secrets.get(id) {
            Some(SecretSource::Value(value)) => value.0.clone(),
            Some(SecretSource::File(path)) => read_at_most(path, MAX_SECRET + 1)?,
            None => return Ok(None),
        };
        if content.len() > MAX_SECRET {
            return Err(StepError::Invalid(format!("secret `{id}` is larger than 500 KiB")));
        }
        Ok(Some(content))
    }
}

/// Where a secret's value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file.
    File(PathBuf),
    /// Here already (from the environment).
    Value(Secret),
}

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(****)")
    }
}

/// The beginning of a file, which may have no end.
fn read_at_most(path: &Path, limit: usize) -> StepResult<Vec<u8>> {
    let mut content = Vec::new();
    let file = File::open(path).map_err(StepError::io("open the secret", path))?;
    file.take(limit as u64)
        .read_to_end(&mut content)
        .map_err(StepError::io("read the secret", path))?;
    Ok(content)
}

/// Notes in the documents around an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations(pub Vec<Annotation>);

/// One note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// Where it stands.
    pub place: AnnotationPlace,
    /// For images of this platform alone; for all where not given.
    pub platform: Option<Platform>,
    /// Its name.
    pub key: String,
    /// What it says.
    pub value: String,
}

/// Where a note stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnnotationPlace {
    /// In the manifest.
    Manifest,
    /// Where the manifest is named: in the index above it.
    ManifestDescriptor,
    /// In an index, which the image then has.
    Index,
    /// Where that index is named: in the `index.json` of a layout.
    IndexDescriptor,
}

impl Annotations {
    /// Those of a place, for images of a platform if it has one. What is for that platform wins over what is for all.
    pub fn of(&self, place: AnnotationPlace, platform: Option<&Platform>) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for for_all in [true, false] {
            let fits = |each: &&Annotation| {
                each.place == place
                    && match &each.platform {
                        None => for_all,
                        Some(own) => !for_all && Some(own) == platform,
                    }
            };
            let pair = |each: &Annotation| (each.key.clone(), each.value.clone());
            found.extend(self.0.iter().filter(fits).map(pair));
        }
        found
    }

    /// Whether some of them need an index.
    pub fn need_index(&self) -> bool {
        let of_index = |place| matches!(place, AnnotationPlace::Index | AnnotationPlace::IndexDescriptor);
        self.0.iter().any(|each| of_index(each.place))
    }
}

/// Where a result goes besides the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// The store only (`type=image`), with these names; pushed if asked.
    Image {
        /// Names.
        names: Vec<Reference>,
        /// Whether to push them.
        push: bool,
        /// How layers are written.
        layers: LayerOptions,
    },
    /// An OCI layout, as a tar (`type=oci`) or a directory (`tar=false`).
    Oci {
        /// Where.
        dest: Destination,
        /// As a directory.
        directory: bool,
        /// `org.opencontainers.image.ref.name`s.
        names: Vec<Reference>,
        /// How layers are written.
        layers: LayerOptions,
    },
    /// A tar for `docker load` (`type=docker`), readable as an OCI layout too.
    Docker {
        /// Where.
        dest: Destination,
        /// Names.
        names: Vec<Reference>,
        /// How layers are written.
        layers: LayerOptions,
    },
    /// The file tree as a directory (`type=local`).
    Local {
        /// Which.
        dest: PathBuf,
        /// `platform-split`: whether each platform has a directory of its own in there; only several have where not
        /// given.
        split: Option<bool>,
    },
    /// The file tree as a tar (`type=tar`).
    Tar {
        /// Where.
        dest: Destination,
        /// As with [`Output::Local`].
        split: Option<bool>,
    },
    /// Nothing: what steps made is in the store for the next build, and there is no image (`type=cacheonly`).
    CacheOnly,
}

impl Output {
    /// Whether it dates files back.
    pub(crate) fn rewrites_timestamps(&self) -> bool {
        match self {
            Self::Image { layers, .. } | Self::Oci { layers, .. } | Self::Docker { layers, .. } => {
                layers.rewrite_timestamp
            }
            Self::Local { .. } | Self::Tar { .. } | Self::CacheOnly => false,
        }
    }
}

/// A file or standard output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A path; written to a temporary name first, so that it is whole or not there.
    File(PathBuf),
    /// Standard output.
    Stdout,
}

/// How an output writes layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerOptions {
    /// How.
    pub kind: Compression,
    /// How hard; the kind's default where not given.
    pub level: Option<i32>,
    /// Whether layers of the base are compressed anew as well.
    pub force: bool,
    /// `rewrite-timestamp`: files of the layers that are not the base's are dated back to the image's time stamp, where
    /// they are younger.
    pub rewrite_timestamp: bool,
    /// Whose media types layers have, and then the documents that name them (`oci-mediatypes`). What is noted in
    /// documents only the image specification has a place for: with notes they are its.
    pub types: Family,
}

impl LayerOptions {
    /// What is meant where nobody says anything.
    pub const DEFAULT: Self = Self {
        kind: Compression::Gzip,
        level: None,
        force: false,
        rewrite_timestamp: false,
        types: Family::Oci,
    };
}

impl Default for LayerOptions {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_of_a_platform_win() {
        let note = |platform: Option<&str>, value: &str| Annotation {
            place: AnnotationPlace::Manifest,
            platform: platform.map(Platform::linux),
            key: "k".to_owned(),
            value: value.to_owned(),
        };
        let notes = Annotations(vec![
            note(Some("arm64"), "arm"),
            note(Some("amd64"), "amd"),
            note(None, "all"),
        ]);
        let value =
            |architecture: &str| notes.of(AnnotationPlace::Manifest, Some(&Platform::linux(architecture)))["k"].clone();
        assert_eq!((value("amd64"), value("s390x")), ("amd".to_owned(), "all".to_owned()));
        assert!(notes.of(AnnotationPlace::Index, None).is_empty());
        assert!(!notes.need_index());
    }
}
