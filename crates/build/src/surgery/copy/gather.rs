//! What is to be copied: documents are read, blobs only named.

use std::collections::BTreeSet;
use std::sync::Arc;

use kiln_image::{Descriptor, Digest, Document, Index, Platform, media_type};
use kiln_store::{Entry, Found};

use super::{Origin, Paper, Parcel, Which};
use crate::error::{StepError, StepResult};
use crate::images::Images;
use crate::layout::{INDEX, LayoutFiles};
use crate::load::docker::LIST;
use crate::load::{Archived, take_image};
use crate::package::{Package, Stored, pack_whole};
use crate::request::Layout;
use crate::source::archive::Archive;
use crate::source::{Files, Location, docker};
use crate::transfer::{AS_THEY_ARE, stored, stored_image};

/// An index may name indexes, but an image is not deep down.
const DEEPEST: usize = 4;

/// Bytes of all documents that are copied at once: images are described in thousands of bytes, and an index names tens.
const MOST_BYTES: u64 = 64 << 20;

/// Reads the documents of an image, or of all that are under a name.
pub(in crate::surgery) fn gather(images: &Images<'_>, from: &Location, which: Which<'_>) -> StepResult<Parcel> {
    match from {
        Location::Name(name) => match images.store.find_image(name)? {
            Found::One(entry, _) => of_store(images, &entry, name, which),
            Found::Nothing | Found::Ambiguous(_) => {
                let reference = name.parse();
                let reference = reference.map_err(|error| StepError::Invalid(format!("{error}")))?;
                of_registry(images, reference, which)
            }
        },
        Location::Registry(reference) => of_registry(images, reference.clone(), which),
        Location::Layout(files) => of_layout(files, which),
        Location::OciArchive(files) => of_files(open(images, files)?, files.tag.as_deref(), which),
        Location::DockerArchive(files) => of_docker_archive(images, &open(images, files)?, files.tag.as_deref()),
        Location::Path(files) if files.path.is_dir() => of_layout(files, which),
        Location::Path(files) => {
            let archive = open(images, files)?;
            let is_docker = archive.has(LIST) && !(archive.has(INDEX) && archive.named(files.tag.as_deref()).is_ok());
            if is_docker {
                return of_docker_archive(images, &archive, files.tag.as_deref());
            }
            of_files(archive, files.tag.as_deref(), which)
        }
    }
}

fn open(images: &Images<'_>, files: &Files) -> StepResult<Archive> {
    Archive::open(&files.path, images.store, images.cancel)
}

fn of_layout(files: &Files, which: Which<'_>) -> StepResult<Parcel> {
    let layout = Layout {
        path: files.path.clone(),
        tag: None,
        digest: None,
    };
    of_files(layout, files.tag.as_deref(), which)
}

fn of_files(
    files: impl LayoutFiles + Send + Sync + 'static,
    tag: Option<&str>,
    which: Which<'_>,
) -> StepResult<Parcel> {
    let digest = match tag.and_then(|tag| tag.strip_prefix('@')) {
        Some(digest) => digest
            .parse()
            .map_err(|error| StepError::Invalid(format!("`@{digest}`: {error}")))?,
        None => files.named(tag)?,
    };
    let what = files.shown();
    let papers = Papers::read(&what, which, digest, None, &|digest| files.document(digest))?;
    Ok(papers.parcel(Origin::Files(Arc::new(files))))
}

fn of_registry(images: &Images<'_>, reference: kiln_image::Reference, which: Which<'_>) -> StepResult<Parcel> {
    let top = images.registry.resolve(&reference)?;
    let digest = top.descriptor.digest;
    let read = |wanted: &Digest| {
        if *wanted == digest {
            return Ok(top.bytes.clone());
        }
        Ok(images.registry.resolve(&reference.pinned(*wanted))?.bytes)
    };
    let kind = Some(top.descriptor.media_type.as_str());
    let papers = Papers::read(&reference.familiar(), which, digest, kind, &read)?;
    Ok(papers.parcel(Origin::Registry(reference)))
}

/// Of the store go manifests that it has; what was built and never left gets one now.
fn of_store(images: &Images<'_>, entry: &Entry, name: &str, which: Which<'_>) -> StepResult<Parcel> {
    let platform = match (which, entry) {
        (Which::All, _) | (Which::One(None), Entry::Image(_)) => None,
        (Which::One(platform), _) => Some(platform.cloned().unwrap_or_else(Platform::host)),
    };
    let stored = stored(images, entry, name, platform.as_slice())?;
    of_package(&images.despite_damage(|| pack_whole(images, &stored, &[], AS_THEY_ARE))?)
}

fn of_package(package: &Package) -> StepResult<Parcel> {
    let mut papers = Papers::default();
    for image in &package.images {
        papers.add(&image.manifest, Some(&image.manifest_type))?;
    }
    if let Some(index) = &package.index {
        papers.add(&index.bytes, Some(&index.media_type))?;
    }
    Ok(papers.parcel(Origin::Store))
}

/// Such an archive has no manifest: the image is taken into the store, without a name, and gets one there.
fn of_docker_archive(images: &Images<'_>, archive: &Archive, tag: Option<&str>) -> StepResult<Parcel> {
    let found = docker::find(archive, tag)?;
    let mut blobs = Vec::new();
    for name in &found.layers {
        let content = archive.must_open(name)?;
        let mut writer = images.store.blob_writer(Some(content.size))?;
        let mut reader = content.reader;
        std::io::copy(&mut reader, &mut writer).map_err(StepError::io("read", name))?;
        blobs.push(writer.commit(None)?.0);
    }
    let image = take_image(
        images,
        &Archived {
            config: images.store.put_blob(&found.config)?,
            manifest: None,
            blobs,
            platform: None,
        },
    )?;
    let stored = Stored {
        images: vec![stored_image(images, &image)?],
        epoch: None,
        index: None,
        several: false,
    };
    of_package(&pack_whole(images, &stored, &[], AS_THEY_ARE)?)
}

/// Documents that were read.
#[derive(Debug, Default)]
struct Papers {
    read: Vec<Paper>,
    seen: BTreeSet<Digest>,
    bytes: u64,
}

impl Papers {
    /// Reads the document of that digest, and what it names of documents. `what` is for messages.
    fn read(
        what: &str,
        which: Which<'_>,
        mut digest: Digest,
        kind: Option<&str>,
        read: &dyn Fn(&Digest) -> StepResult<Vec<u8>>,
    ) -> StepResult<Self> {
        let mut papers = Self::default();
        let mut kind = kind.map(ToOwned::to_owned);
        if let Which::One(platform) = which {
            let platform = platform.cloned().unwrap_or_else(Platform::host);
            for _ in 0..DEEPEST {
                let Document::Index(index) = parse(&read(&digest)?, kind.as_deref())? else {
                    break;
                };
                let chosen = choose(&index, &platform, what)?;
                digest = chosen.digest;
                kind = Some(chosen.media_type.clone());
            }
        }
        papers.tree(digest, kind.as_deref(), read, 0)?;
        Ok(papers)
    }

    fn tree(
        &mut self,
        digest: Digest,
        kind: Option<&str>,
        read: &dyn Fn(&Digest) -> StepResult<Vec<u8>>,
        depth: usize,
    ) -> StepResult<()> {
        if self.seen.contains(&digest) {
            return Ok(());
        }
        if depth > DEEPEST {
            return Err(StepError::Invalid("indexes that name indexes, without end".to_owned()));
        }
        let bytes = read(&digest)?;
        if let Document::Index(index) = parse(&bytes, kind)? {
            for entry in &index.manifests {
                self.tree(entry.digest, Some(&entry.media_type), read, depth + 1)?;
            }
        }
        self.add(&bytes, kind)
    }

    fn add(&mut self, bytes: &[u8], kind: Option<&str>) -> StepResult<()> {
        let document = parse(bytes, kind)?;
        let (own, default) = match &document {
            Document::Manifest(manifest) => (&manifest.media_type, media_type::OCI_MANIFEST),
            Document::Index(index) => (&index.media_type, media_type::OCI_INDEX),
        };
        let said = kind.filter(|kind| media_type::is_index(kind) || media_type::is_manifest(kind));
        let media_type = if own.is_empty() { said.unwrap_or(default) } else { own };
        let descriptor = Descriptor::of(media_type, bytes);
        self.bytes += descriptor.size;
        if self.bytes > MOST_BYTES {
            return Err(StepError::Invalid(format!(
                "its manifests have more than {} MiB: that is no image",
                MOST_BYTES >> 20
            )));
        }
        if self.seen.insert(descriptor.digest) {
            self.read.push(Paper {
                descriptor,
                bytes: bytes.to_vec(),
                document,
            });
        }
        Ok(())
    }

    fn parcel(self, origin: Origin) -> Parcel {
        let mut blobs: Vec<Descriptor> = Vec::new();
        let mut known = BTreeSet::new();
        for paper in &self.read {
            if let Document::Manifest(manifest) = &paper.document {
                // Layers first: they are what takes time.
                let named = manifest.layers.iter().chain([&manifest.config]);
                blobs.extend(named.filter(|blob| known.insert(blob.digest)).cloned());
            }
        }
        Parcel {
            papers: self.read,
            blobs,
            origin,
        }
    }
}

fn parse(bytes: &[u8], kind: Option<&str>) -> StepResult<Document> {
    Document::parse(bytes, kind).map_err(|error| StepError::Invalid(format!("{}: {error}", Digest::of(bytes))))
}

fn choose<'i>(index: &'i Index, platform: &Platform, what: &str) -> StepResult<&'i Descriptor> {
    match (index.select(platform), &index.manifests[..]) {
        (Some(entry), _) | (None, [entry]) => Ok(entry),
        _ => Err(StepError::NoPlatform {
            what: what.to_owned(),
            wanted: platform.to_string(),
            offered: index.platforms(),
        }),
    }
}
