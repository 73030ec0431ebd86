//! Images in OCI layouts on this machine (image specification, image-layout.md), as named contexts.

use std::fmt;
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
            None => layout.named(layout.tag.as_deref())?,
        };
        let (manifest, bytes) = layout.manifest(digest, &request.platform)?;
        let digest = Digest::of(&bytes);
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

/// A file of a layout.
pub(crate) struct Content {
    pub(crate) reader: Box<dyn Read + Send>,
    /// Bytes.
    pub(crate) size: u64,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// A layout's files, wherever they are.
pub(crate) trait LayoutFiles {
    /// The file of that name; `None` if there is none.
    fn open(&self, name: &str) -> StepResult<Option<Content>>;

    /// What messages call it.
    fn shown(&self) -> String;

    /// The index of all.
    fn index(&self) -> StepResult<Index> {
        let bytes = self.read(INDEX)?;
        serde_json::from_slice(&bytes).map_err(|error| self.invalid(&format!("its {INDEX} is none: {error}")))
    }

    /// What the index has under the tag; as with docker, the only image that there is has any.
    fn named(&self, tag: Option<&str>) -> StepResult<Digest> {
        let index = self.index()?;
        let tag = tag.unwrap_or("latest");
        let has =
            |key: &'static str| move |entry: &&Descriptor| entry.annotations.get(key).is_some_and(|name| name == tag);
        let mut entries = index.manifests.iter();
        let found = entries.find(has(IMAGE_NAME));
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

    /// The manifest with that digest, or the one for the platform of the index with that digest; and its bytes.
    fn manifest(&self, mut digest: Digest, platform: &Platform) -> StepResult<(Manifest, Vec<u8>)> {
        for _ in 0..DEEPEST {
            let bytes = self.document(&digest)?;
            let document = Document::parse(&bytes, None);
            let document = document.map_err(|error| self.invalid(&format!("blob {digest}: {error}")))?;
            let index = match document {
                Document::Manifest(manifest) => return Ok((manifest, bytes)),
                Document::Index(index) => index,
            };
            digest = match (index.select(platform), &index.manifests[..]) {
                (Some(entry), _) | (None, [entry]) => entry.digest,
                _ => {
                    return Err(StepError::NoPlatform {
                        what: self.shown(),
                        wanted: platform.to_string(),
                        offered: index.platforms(),
                    });
                }
            };
        }
        Err(self.invalid("its index names indexes that name indexes, and no image"))
    }

    /// The content of a small blob.
    fn document(&self, digest: &Digest) -> StepResult<Vec<u8>> {
        let bytes = self.read(&blob_name(digest))?;
        let found = Digest::of(&bytes);
        if found != *digest {
            return Err(self.invalid(&format!("{} has the digest {found}: it is damaged", blob_name(digest))));
        }
        Ok(bytes)
    }

    /// The content of a small file.
    fn read(&self, name: &str) -> StepResult<Vec<u8>> {
        let content = self.must_open(name)?;
        let mut bytes = Vec::new();
        let read = content.reader.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes);
        read.map_err(StepError::io("read", format!("{name} of {}", self.shown())))?;
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Err(self.invalid(&format!("{name} is larger than {} MiB", MAX_DOCUMENT >> 20)));
        }
        Ok(bytes)
    }

    /// A file that must be there.
    fn must_open(&self, name: &str) -> StepResult<Content> {
        self.open(name)?
            .ok_or_else(|| self.invalid(&format!("it has no {name}")))
    }

    /// What is wrong with it.
    fn invalid(&self, message: &str) -> StepError {
        StepError::Invalid(format!("{}: {message}", self.shown()))
    }
}

impl LayoutFiles for Layout {
    fn open(&self, name: &str) -> StepResult<Option<Content>> {
        let path = self.path.join(name);
        let found = match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => found,
            Ok(_) => return Err(self.invalid(&format!("{name} is no file"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StepError::io("open", &path)(error)),
        };
        Ok(Some(Content {
            reader: Box::new(File::open(&path).map_err(StepError::io("open", &path))?),
            size: found.len(),
        }))
    }

    fn shown(&self) -> String {
        format!("the OCI layout {}", self.path.display())
    }
}

/// What a layout names its images in.
pub(crate) const INDEX: &str = "index.json";

/// The annotation by which containerd has an index name its images.
pub(crate) const IMAGE_NAME: &str = "io.containerd.image.name";

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
