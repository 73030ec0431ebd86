//! Images in OCI layouts on this machine (image specification, image-layout.md), as named contexts.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use kiln_image::{Descriptor, Digest, Document, Index, Manifest, Platform};
use kiln_plan::{ImageRequest, ResolvedImage};
use rustix::fs::{AtFlags, CWD, FlockOperation, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;

use crate::error::{StepError, StepResult};
use crate::images::{Images, MAX_DOCUMENT, parse_config, same_layers};
use crate::request::Layout;

/// An index may name indexes, but an image is not deep down.
const DEEPEST: usize = 4;

impl Images<'_> {
    /// The image of a layout for the platform. Its layers stay where they are until something needs them.
    pub(crate) fn in_layout(&self, layout: &Layout, request: &ImageRequest) -> StepResult<ResolvedImage> {
        let digest = match layout.digest {
            Some(digest) => digest,
            None => layout.named()?,
        };
        let (digest, manifest) = layout.manifest(digest, &request.platform)?;
        let bytes = layout.document(&manifest.config.digest)?;
        let config = parse_config(&bytes, &request.reference)?;
        same_layers(&manifest, &config, &request.reference)?;
        self.register(&request.reference, digest, &manifest, &config);
        Ok(ResolvedImage {
            manifest: digest,
            config,
        })
    }
}

impl Layout {
    /// The index of all.
    pub(crate) fn index(&self) -> StepResult<Index> {
        let bytes = self.read("index.json")?;
        serde_json::from_slice(&bytes).map_err(|error| self.invalid(&format!("its index.json is none: {error}")))
    }

    /// What the index has under the tag; as with docker, the only image that there is has any.
    fn named(&self) -> StepResult<Digest> {
        let index = self.index()?;
        let tag = self.tag.as_deref().unwrap_or("latest");
        let has =
            |key: &'static str| move |entry: &&Descriptor| entry.annotations.get(key).is_some_and(|name| name == tag);
        let mut entries = index.manifests.iter();
        let found = entries.find(has("io.containerd.image.name"));
        let found = found.or_else(|| index.manifests.iter().find(has(REF_NAME)));
        match (found, &index.manifests[..]) {
            (Some(entry), _) | (None, [entry]) => Ok(entry.digest),
            (None, []) => Err(self.invalid("it has no image")),
            (None, several) => {
                let names: Vec<&str> = several
                    .iter()
                    .filter_map(|entry| Some(entry.annotations.get(REF_NAME)?.as_str()))
                    .collect();
                let has = if names.is_empty() {
                    format!("{} images without names: add @DIGEST", several.len())
                } else {
                    format!("{}: add :TAG", names.join(", "))
                };
                Err(self.invalid(&format!("it has no image `{tag}`, but {has}")))
            }
        }
    }

    /// The manifest with that digest, or the one for the platform of the index with that digest.
    fn manifest(&self, mut digest: Digest, platform: &Platform) -> StepResult<(Digest, Manifest)> {
        for _ in 0..DEEPEST {
            let document = Document::parse(&self.document(&digest)?, None);
            let document = document.map_err(|error| self.invalid(&format!("blob {digest}: {error}")))?;
            let index = match document {
                Document::Manifest(manifest) => return Ok((digest, manifest)),
                Document::Index(index) => index,
            };
            digest = match (index.select(platform), &index.manifests[..]) {
                (Some(entry), _) | (None, [entry]) => entry.digest,
                _ => {
                    return Err(StepError::NoPlatform {
                        what: format!("the OCI layout {}", self.path.display()),
                        wanted: platform.to_string(),
                        offered: index.platforms(),
                    });
                }
            };
        }
        Err(self.invalid("its index names indexes that name indexes, and no image"))
    }

    /// The content of a small blob.
    pub(crate) fn document(&self, digest: &Digest) -> StepResult<Vec<u8>> {
        let bytes = self.read(&blob_name(digest))?;
        let found = Digest::of(&bytes);
        if found != *digest {
            return Err(self.invalid(&format!("{} has the digest {found}: it is damaged", blob_name(digest))));
        }
        Ok(bytes)
    }

    fn read(&self, name: &str) -> StepResult<Vec<u8>> {
        let file = self.open(name)?;
        let mut bytes = Vec::new();
        let read = file.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes);
        read.map_err(StepError::io("read", self.path.join(name)))?;
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Err(self.invalid(&format!("{name} is larger than {} MiB", MAX_DOCUMENT >> 20)));
        }
        Ok(bytes)
    }

    /// A layer, whose bytes the reader verifies.
    pub(crate) fn open_blob(&self, digest: &Digest) -> StepResult<File> {
        self.open(&blob_name(digest))
    }

    fn open(&self, name: &str) -> StepResult<File> {
        let path = self.path.join(name);
        match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => File::open(&path).map_err(StepError::io("open", &path)),
            Ok(_) => Err(self.invalid(&format!("{name} is no file"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(self.invalid(&format!("it has no {name}"))),
            Err(error) => Err(StepError::io("open", &path)(error)),
        }
    }

    fn invalid(&self, message: &str) -> StepError {
        StepError::Invalid(format!("the OCI layout {}: {message}", self.path.display()))
    }
}

/// The annotation by which the specification has an index name its images.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Younger blobs are new: a quarter of what a prune of caches lets stay.
const NEW: Duration = Duration::from_secs(15 * 60);

/// Keeps others from writing to the layout, this process's other threads too, while the value lives.
pub(crate) fn lock(directory: &Path) -> StepResult<File> {
    let opened = File::open(directory).map_err(StepError::io("open", directory))?;
    rustix::fs::flock(&opened, FlockOperation::LockExclusive).map_err(StepError::errno("lock", directory))?;
    Ok(opened)
}

/// A blob that is relied on is new again, if it was not anyway: [`prune_directory`](crate::prune_directory) takes what is
/// old. `false` where only its owner, another user, may say so.
pub(crate) fn touch(path: &Path) -> StepResult<bool> {
    let modified = std::fs::metadata(path).and_then(|found| found.modified());
    let age = modified.map_err(StepError::io("examine", path))?.elapsed();
    if age.is_ok_and(|age| age < NEW) {
        return Ok(true);
    }
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    match rustix::fs::utimensat(CWD, path, &times, AtFlags::empty()) {
        Err(Errno::ACCESS | Errno::PERM) => Ok(false),
        done => done.map(|()| true).map_err(StepError::errno("touch", path)),
    }
}

/// Where a layout has a blob.
pub(crate) fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}
