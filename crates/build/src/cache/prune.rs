//! Tidying a cache in a directory: what no document names, what died half-written, and what no build used for long.
//!
//! Builds put blobs there before a document names them, and rely on blobs that one names. Whatever a build puts or relies on
//! gets the time of the moment, and what is younger than [`GUARD`] stays. A build that takes longer still finds out that a
//! blob is gone when it writes its document, under the lock that a prune has, too, and leaves that layer out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, SystemTime};

use kiln_image::{Descriptor, Digest, Document as Named, Index, Manifest, media_type};

use super::document::{CONFIG_TYPE, Document};
use super::local::Local;
use crate::error::{StepError, StepResult};
use crate::export::UNFINISHED;
use crate::layout::{LayoutFiles as _, blob_name, lock};
use crate::request::Layout;

/// What was put there or relied on so lately stays.
const GUARD: Duration = Duration::from_secs(60 * 60);
/// Images are not deep down in indexes.
const DEEPEST: usize = 4;

/// What goes besides what nothing names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CachePruning {
    /// Layers and cache mounts that no build wrote or relied on for so long.
    pub unused_for: Option<Duration>,
    /// Those that were used least recently, until all together have no more bytes.
    pub most: Option<u64>,
    /// Only say what would go.
    pub dry_run: bool,
}

/// A file of the directory that went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheFile {
    /// Its name below the directory.
    pub name: String,
    /// The step that made it, as shown to people, or what else is known of it.
    pub description: String,
    /// Its bytes.
    pub size: u64,
    /// When it was written or relied on, in seconds since 1970.
    pub used: i64,
}

/// Tidies a cache in a directory, under all of its tags. Images that the directory has, too, stay whole. An error if it has
/// something that is neither: nobody knows what that needs.
pub fn prune_directory(directory: &Path, pruning: &CachePruning) -> StepResult<Vec<CacheFile>> {
    let place = Local::new(directory, "", None);
    let _alone = lock(directory)?;
    let old = place.layout().index()?;
    let contents = Contents::read(place.layout(), &old)?;
    let files = list(directory)?;
    let dropped = contents.chosen(&files, pruning);
    let (index, named) = contents.without(&place, &old, &dropped, pruning.dry_run)?;
    let goes = |file: &Listed| file.age >= GUARD && file.digest.is_none_or(|digest| !named.contains(&digest));
    let mut gone: Vec<&Listed> = files.iter().filter(|file| goes(file)).collect();
    gone.sort_by_key(|file| std::cmp::Reverse(file.age));
    if !pruning.dry_run {
        if index != old {
            place.write_index(&index)?;
        }
        gone.iter().try_for_each(|file| remove(&directory.join(&file.name)))?;
    }
    Ok(gone.into_iter().map(|file| contents.described(file)).collect())
}

fn remove(path: &Path) -> StepResult<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StepError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// A file of the directory.
struct Listed {
    name: String,
    /// What it is the blob of; those that are half-written have none.
    digest: Option<Digest>,
    size: u64,
    /// Since it was written or relied on.
    age: Duration,
    used: i64,
}

/// Blobs, and files that were to become something. Others are nobody's here.
fn list(directory: &Path) -> StepResult<Vec<Listed>> {
    let mut files = Vec::new();
    for below in ["", BLOBS] {
        let path = directory.join(below);
        for entry in std::fs::read_dir(&path).map_err(StepError::io("read", &path))? {
            let entry = entry.map_err(StepError::io("read", &path))?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let digest = blob(below, name);
            if digest.is_none() && !is_unfinished(below, name) {
                continue;
            }
            let name = Path::new(below).join(name).display().to_string();
            files.extend(listed(&entry.path(), name, digest)?);
        }
    }
    Ok(files)
}

/// Where a layout has its blobs.
const BLOBS: &str = "blobs/sha256";

/// What the file is the blob of.
fn blob(below: &str, name: &str) -> Option<Digest> {
    format!("sha256:{name}").parse().ok().filter(|_| below == BLOBS)
}

/// Whether the file was to become one of the layout's.
fn is_unfinished(below: &str, name: &str) -> bool {
    let Some((whole, process)) = name.rsplit_once(UNFINISHED) else {
        return false;
    };
    let is_known = match below {
        BLOBS => blob(below, whole).is_some(),
        _ => ["index.json", "oci-layout"].contains(&whole),
    };
    is_known && !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit())
}

/// `None` for what is no file, or gone.
fn listed(path: &Path, name: String, digest: Option<Digest>) -> StepResult<Option<Listed>> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => found,
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StepError::io("examine", path)(error)),
    };
    let used = found.modified().map_err(StepError::io("examine", path))?;
    let since_1970 = used.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ok(Some(Listed {
        name,
        digest,
        size: found.len(),
        // Other machines' clocks may be ahead.
        age: SystemTime::now().duration_since(used).unwrap_or_default(),
        used: i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX),
    }))
}

/// A cache as it is there.
struct Cache {
    document: Document,
    /// All that it is named by, and what it names.
    named: BTreeSet<Digest>,
}

/// What a manifest names, and itself.
fn all_of(digest: Digest, manifest: &Manifest) -> impl Iterator<Item = Digest> {
    let layers = manifest.layers.iter().map(|layer| layer.digest);
    layers.chain([digest, manifest.config.digest])
}

/// What the index names.
#[derive(Default)]
struct Contents {
    /// By the digests of their manifests.
    caches: BTreeMap<Digest, Cache>,
    /// All that images and their parts are named by.
    of_images: BTreeSet<Digest>,
}

impl Contents {
    fn read(layout: &Layout, index: &Index) -> StepResult<Self> {
        let mut contents = Self::default();
        contents.add(layout, &index.manifests, 0)?;
        Ok(contents)
    }

    fn add(&mut self, layout: &Layout, entries: &[Descriptor], depth: usize) -> StepResult<()> {
        if depth > DEEPEST {
            let message = format!("{}: an index is too deep down in others", layout.path.display());
            return Err(StepError::Invalid(message));
        }
        for entry in entries {
            let other = |what: &dyn std::fmt::Display| {
                let (path, digest) = (layout.path.display(), entry.digest);
                StepError::Invalid(format!("{path}: {digest} is neither cache nor image: {what}"))
            };
            let media_type = entry.media_type.as_str();
            // It may be large.
            if !(media_type.is_empty() || media_type::is_manifest(media_type) || media_type::is_index(media_type)) {
                return Err(other(&format!("its type is `{media_type}`")));
            }
            let Some(bytes) = read(layout, &entry.digest)? else {
                continue;
            };
            match Named::parse(&bytes, Some(media_type)).map_err(|error| other(&error))? {
                // Those in indexes are not pruned: they stay whole as images do.
                Named::Manifest(manifest) if depth == 0 && manifest.config.media_type == CONFIG_TYPE => {
                    self.add_cache(layout, entry.digest, &manifest)?;
                }
                Named::Manifest(manifest) => self.of_images.extend(all_of(entry.digest, &manifest)),
                Named::Index(index) => {
                    self.of_images.insert(entry.digest);
                    self.add(layout, &index.manifests, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    fn add_cache(&mut self, layout: &Layout, digest: Digest, manifest: &Manifest) -> StepResult<()> {
        let Some(config) = read(layout, &manifest.config.digest)? else {
            return Ok(());
        };
        let document = Document::parse(&config)
            .map_err(|error| StepError::Invalid(format!("{}: {digest}: {error}", layout.path.display())))?;
        let named = all_of(digest, manifest).collect();
        self.caches.insert(digest, Cache { document, named });
        Ok(())
    }

    /// The blobs of caches that go.
    fn chosen(&self, files: &[Listed], pruning: &CachePruning) -> BTreeSet<Digest> {
        let of_caches: BTreeSet<Digest> = self
            .caches
            .values()
            .flat_map(|cache| cache.document.blobs())
            .map(|blob| blob.digest)
            .collect();
        let is_of_cache = |file: &&Listed| file.digest.is_some_and(|digest| of_caches.contains(&digest));
        let of_image = |file: &Listed| file.digest.is_some_and(|digest| self.of_images.contains(&digest));
        let mut held: u64 = files
            .iter()
            .filter(|file| is_of_cache(file) || of_image(file))
            .map(|file| file.size)
            .sum();
        let mut may_go: Vec<&Listed> = files
            .iter()
            .filter(|file| is_of_cache(file) && !of_image(file) && file.age >= GUARD)
            .collect();
        may_go.sort_by_key(|file| std::cmp::Reverse(file.age));
        let goes = |file: &&Listed| {
            let too_old = pruning.unused_for.is_some_and(|span| file.age >= span);
            let too_much = pruning.most.is_some_and(|most| held > most);
            if too_old || too_much {
                held -= file.size;
            }
            too_old || too_much
        };
        may_go.into_iter().filter(goes).filter_map(|file| file.digest).collect()
    }

    /// The index of caches that have none of these blobs, and all that is named then.
    fn without(
        &self,
        place: &Local,
        index: &Index,
        dropped: &BTreeSet<Digest>,
        dry_run: bool,
    ) -> StepResult<(Index, BTreeSet<Digest>)> {
        let mut named = self.of_images.clone();
        let mut entries = Vec::new();
        for entry in index.manifests.iter().cloned() {
            if self.of_images.contains(&entry.digest) {
                entries.push(entry);
                continue;
            }
            // One whose documents are lost is of no use to anyone.
            let Some(old) = self.caches.get(&entry.digest) else {
                continue;
            };
            let mut new = old.document.clone();
            new.retain(|blob| place.has(blob) && !dropped.contains(&blob.digest));
            // What was written by another Kiln may be more than this one knows of.
            if new == old.document {
                named.extend(&old.named);
                entries.push(entry);
                continue;
            }
            if new.is_empty() {
                continue;
            }
            let packed = new.pack()?;
            if !dry_run {
                place.write_documents(&packed)?;
            }
            let manifest = packed.manifest_descriptor();
            named.extend(new.blobs().map(|blob| blob.digest));
            named.extend([packed.config_descriptor.digest, manifest.digest]);
            let annotations = entry.annotations;
            entries.push(Descriptor {
                annotations,
                ..manifest
            });
        }
        let index = Index {
            manifests: entries,
            ..index.clone()
        };
        Ok((index, named))
    }

    fn described(&self, file: &Listed) -> CacheFile {
        let step = |digest: Digest| {
            let mut entries = self.caches.values().flat_map(|cache| cache.document.layers.values());
            entries
                .find(|entry| entry.blob.digest == digest)
                .map(|entry| entry.step.name.clone())
        };
        let is_pack = |digest: &Digest| {
            self.caches
                .values()
                .any(|cache| cache.document.mounts.packs.contains_key(digest))
        };
        let description = match file.digest {
            None => "half-written".to_owned(),
            Some(digest) if is_pack(&digest) => "cache mounts".to_owned(),
            Some(digest) => step(digest).unwrap_or_else(|| "nothing names it".to_owned()),
        };
        CacheFile {
            name: file.name.clone(),
            description,
            size: file.size,
            used: file.used,
        }
    }
}

/// A document; `None` where it is lost. What one that is damaged named is not known.
fn read(layout: &Layout, digest: &Digest) -> StepResult<Option<Vec<u8>>> {
    let path = layout.path.join(blob_name(digest));
    if !path.try_exists().map_err(StepError::io("examine", &path))? {
        return Ok(None);
    }
    layout.document(digest).map(Some).map_err(|error| match error {
        StepError::Invalid(message) => StepError::Invalid(format!(
            "{message}. Nothing is removed while nobody knows what it names: without that file, what it named may go"
        )),
        error => error,
    })
}
