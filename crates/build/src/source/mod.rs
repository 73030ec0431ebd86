//! Images wherever they are: in the store, in a registry, in an OCI layout or an archive. Nothing is taken into the store.

pub(crate) mod archive;
pub(crate) mod docker;
mod location;
mod part;
mod read;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use kiln_image::media_type::{self, Compression};
use kiln_image::{Descriptor, Digest, ImageConfig, Manifest, Platform, Reference};
use kiln_plan::{ImageRequest, ResolvedImage};
use kiln_store::{Entry, Found, LayerId, Store};

pub use location::{Files, Location};
pub(crate) use part::OfSource;

use crate::builder::{Builder, FIRST_TASK};
use crate::cancel::Cancel;
use crate::error::{Error, StepError, StepResult};
use crate::event::Sink;
use crate::images::{Images, MAX_DOCUMENT, chain_ids, parse_config, parse_manifest, same_layers};
use crate::layout::{self, LayoutFiles, blob_name};
use crate::load::docker::LIST;
use crate::request::Layout;
use crate::session::Tasks;
use archive::Archive;

/// An image, and where its layers can be read.
#[derive(Debug)]
pub struct SourceImage {
    /// What people know it by.
    pub name: String,
    /// Its names, where it has some besides.
    pub names: Vec<Reference>,
    /// The digest of its config: docker's image ID.
    pub id: Digest,
    /// Its config.
    pub config: ImageConfig,
    /// The config as it is written.
    pub config_bytes: Vec<u8>,
    /// Its manifest, if it has one.
    pub manifest: Option<SourceManifest>,
    /// Its layers, the lowest first.
    pub layers: Vec<SourceLayer>,
    blobs: Blobs,
}

/// A manifest.
#[derive(Debug, Clone)]
pub struct SourceManifest {
    /// Its digest, size and media type.
    pub descriptor: Descriptor,
    /// What it says.
    pub manifest: Manifest,
    /// As it is written.
    pub bytes: Vec<u8>,
}

/// A layer of such an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceLayer {
    /// The digest of its tar.
    pub diff_id: Digest,
    /// The name that it has in the store, or would have.
    pub id: LayerId,
    /// What the manifest says of it, if there is one.
    pub blob: Option<Descriptor>,
}

/// Where layers can be read.
enum Blobs {
    /// They are unpacked in the store.
    Store,
    /// In a registry, unless the store has the blob.
    Registry(kiln_registry::Client, Reference),
    /// In files of a layout or an archive, by these names.
    Files(Arc<dyn LayoutFiles + Send + Sync>, Vec<String>),
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Store => "Store",
            Self::Registry(..) => "Registry",
            Self::Files(..) => "Files",
        })
    }
}

impl Builder {
    /// Understands what people write to say where an image is. A name that the store does not have is a path where there is
    /// a file of that name, or a directory with an OCI layout.
    pub fn locate(&self, text: &str) -> Result<Location, Error> {
        Ok(locate(&self.store, text)?)
    }

    /// Finds an image; of several the one for the platform, this machine's where none is given. Of a registry only manifest
    /// and config are fetched. The layers of an image of the store are unpacked there afterwards, whatever happened to them;
    /// who wants to keep them has the store [in use](kiln_store::Store::in_use) meanwhile.
    pub fn open_image(
        &self,
        location: &Location,
        platform: Option<&Platform>,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<SourceImage, Error> {
        let tasks = Tasks::new(sink, FIRST_TASK);
        let images = Images::new(&self.store, &self.registry, &tasks, cancel);
        Ok(open(&images, location, platform)?)
    }
}

/// See [`Builder::open_image`].
pub(crate) fn open(images: &Images<'_>, location: &Location, platform: Option<&Platform>) -> StepResult<SourceImage> {
    let open = Open {
        images,
        name: location.to_string(),
        platform,
    };
    let archive = |files: &Files| Archive::open(&files.path, images.store, images.cancel);
    match location {
        Location::Name(name) => open.named(name),
        Location::Registry(reference) => open.in_registry(reference, true),
        Location::Layout(files) => open.in_layout(files),
        Location::OciArchive(files) => open.in_files(archive(files)?, files.tag.as_deref()),
        Location::DockerArchive(files) => open.in_docker_archive(archive(files)?, files.tag.as_deref()),
        Location::Path(files) => open.at_path(files),
    }
}

/// See [`Builder::locate`].
pub(crate) fn locate(store: &Store, text: &str) -> StepResult<Location> {
    let location = Location::parse(text)?;
    if let Location::Name(name) = &location
        && let Found::Nothing = store.find_image(name)?
        && let Some(files) = Location::path_of(name)
    {
        return Ok(Location::Path(files));
    }
    Ok(location)
}

/// Finding an image.
struct Open<'a> {
    images: &'a Images<'a>,
    name: String,
    platform: Option<&'a Platform>,
}

impl Open<'_> {
    fn platform(&self) -> Platform {
        self.platform.cloned().unwrap_or_else(Platform::host)
    }

    /// The store's image of that name or ID, else the registry's.
    fn named(&self, text: &str) -> StepResult<SourceImage> {
        if let Found::One(entry, name) = self.images.store.find_image(text)? {
            match (entry.meant(self.platform), &entry) {
                (Some(image), _) => return self.stored(image, name),
                (None, Entry::Index(index)) => {
                    return Err(StepError::NoPlatform {
                        what: text.to_owned(),
                        wanted: self.platform().to_string(),
                        offered: index.images.iter().map(|image| image.platform.to_string()).collect(),
                    });
                }
                // A registry may have it for other platforms as well.
                (None, Entry::Image(_)) => {}
            }
        }
        match text.parse() {
            Ok(reference) => self.in_registry(&reference, false),
            Err(error) => Err(StepError::Invalid(format!("{error}"))),
        }
    }

    fn stored(&self, image: &kiln_store::Image, name: Option<Reference>) -> StepResult<SourceImage> {
        let store = self.images.store;
        let reference = name.clone().unwrap_or_else(nameless);
        self.images.stored(image, &reference)?;
        self.images.materialize(&image.layers)?;
        let manifest = match &image.manifest {
            Some(digest) if self.images.has_whole_blob(digest)? => Some(store.read_blob(digest, MAX_DOCUMENT)?),
            _ => None,
        };
        let manifest = manifest.map(|bytes| source_manifest(bytes, &reference)).transpose()?;
        let config_bytes = store.read_blob(&image.id, MAX_DOCUMENT)?;
        let mut found = self.image(config_bytes, manifest, Blobs::Store)?;
        // Layers that steps made have names of their own.
        if found.layers.len() != image.layers.len() {
            return Err(StepError::Invalid(format!(
                "the config of {} does not name its layers",
                self.name
            )));
        }
        for (layer, id) in found.layers.iter_mut().zip(&image.layers) {
            layer.id = id.clone();
        }
        found.names.extend(name);
        Ok(found)
    }

    /// In a registry; `ask` says whether it is asked though an answer to the same question is known.
    fn in_registry(&self, reference: &Reference, ask: bool) -> StepResult<SourceImage> {
        let request = ImageRequest {
            reference: reference.clone(),
            platform: self.platform(),
        };
        let ResolvedImage { manifest, .. } = self.images.resolve(&request, ask)?;
        let store = self.images.store;
        let manifest = source_manifest(store.read_blob(&manifest, MAX_DOCUMENT)?, reference)?;
        let config = store.read_blob(&manifest.manifest.config.digest, MAX_DOCUMENT)?;
        let registry = self.images.registry.clone();
        let mut found = self.image(config, Some(manifest), Blobs::Registry(registry, reference.clone()))?;
        found.names.push(reference.clone());
        Ok(found)
    }

    fn in_layout(&self, files: &Files) -> StepResult<SourceImage> {
        let layout = Layout {
            path: files.path.clone(),
            tag: None,
            digest: None,
        };
        self.in_files(layout, files.tag.as_deref())
    }

    fn in_files(&self, files: impl LayoutFiles + Send + Sync + 'static, tag: Option<&str>) -> StepResult<SourceImage> {
        let digest = match tag.and_then(|tag| tag.strip_prefix('@')) {
            Some(digest) => digest
                .parse()
                .map_err(|error| StepError::Invalid(format!("`@{digest}`: {error}")))?,
            None => files.named(tag)?,
        };
        let (_, bytes) = files.manifest(digest, &self.platform())?;
        let manifest = source_manifest(bytes, &nameless())?;
        let config = files.document(&manifest.manifest.config.digest)?;
        let names = manifest.manifest.layers.iter();
        let names = names.map(|layer| blob_name(&layer.digest)).collect();
        self.image(config, Some(manifest), Blobs::Files(Arc::new(files), names))
    }

    fn in_docker_archive(&self, archive: Archive, tag: Option<&str>) -> StepResult<SourceImage> {
        let found = docker::find(&archive, tag)?;
        let (listed, names) = (found.layers.len(), found.names);
        let mut image = self.image(found.config, None, Blobs::Files(Arc::new(archive), found.layers))?;
        if listed != image.layers.len() {
            return Err(StepError::Invalid(format!(
                "{} lists {listed} layers, and the config {}: the archive is damaged or lies",
                self.name,
                image.layers.len()
            )));
        }
        image.names = names;
        Ok(image)
    }

    /// A directory, or an archive of either kind. Docker's list, which many an archive has besides, knows one image for a
    /// name, and no manifests.
    fn at_path(&self, files: &Files) -> StepResult<SourceImage> {
        if files.path.is_dir() {
            return self.in_layout(files);
        }
        let archive = Archive::open(&files.path, self.images.store, self.images.cancel)?;
        let tag = files.tag.as_deref();
        match (archive.has(layout::INDEX), archive.has(LIST)) {
            (_, true) => match docker::find(&archive, tag) {
                Ok(_) if archive.has(layout::INDEX) && archive.named(tag).is_ok() => self.in_files(archive, tag),
                Err(_) if archive.has(layout::INDEX) => self.in_files(archive, tag),
                _ => self.in_docker_archive(archive, tag),
            },
            (true, false) => self.in_files(archive, tag),
            (false, false) => Err(archive.invalid(
                "it has neither manifest.json, as docker's archives have, nor index.json, as OCI layouts have",
            )),
        }
    }

    fn image(&self, config_bytes: Vec<u8>, manifest: Option<SourceManifest>, blobs: Blobs) -> StepResult<SourceImage> {
        let named = nameless();
        let config = parse_config(&config_bytes, &named)
            .map_err(|error| StepError::Invalid(format!("{}: {error}", self.name)))?;
        if let (Some(manifest), false) = (&manifest, matches!(blobs, Blobs::Store)) {
            same_layers(&manifest.manifest, &config, &named)
                .map_err(|error| StepError::Invalid(format!("{}: {error}", self.name)))?;
        }
        let diff_ids = &config.rootfs.diff_ids;
        let layers = diff_ids.iter().zip(chain_ids(diff_ids)).enumerate();
        let layers = layers.map(|(number, (diff_id, id))| SourceLayer {
            diff_id: *diff_id,
            id,
            blob: manifest
                .as_ref()
                .and_then(|manifest| manifest.manifest.layers.get(number).cloned()),
        });
        Ok(SourceImage {
            name: self.name.clone(),
            names: Vec::new(),
            id: Digest::of(&config_bytes),
            layers: layers.collect(),
            config,
            config_bytes,
            manifest,
            blobs,
        })
    }
}

/// What stands for an image that has no name, in errors.
fn nameless() -> Reference {
    Reference::new("docker.io", "library/image", None, None)
}

fn source_manifest(bytes: Vec<u8>, reference: &Reference) -> StepResult<SourceManifest> {
    let manifest = parse_manifest(&bytes, reference)?;
    let media_type = if manifest.media_type.is_empty() {
        media_type::OCI_MANIFEST
    } else {
        &manifest.media_type
    };
    Ok(SourceManifest {
        descriptor: Descriptor::of(media_type, &bytes),
        manifest,
        bytes,
    })
}

impl SourceLayer {
    /// Bytes of its compressed form, if the manifest names one.
    pub fn compressed(&self) -> Option<u64> {
        let blob = self.blob.as_ref()?;
        let compression = Compression::of_layer(&blob.media_type)?;
        (compression != Compression::None).then_some(blob.size)
    }
}

impl SourceImage {
    /// Annotations of its manifest.
    pub fn annotations(&self) -> Option<&BTreeMap<String, String>> {
        self.manifest.as_ref().map(|manifest| &manifest.manifest.annotations)
    }

    /// The store has all layers, unpacked.
    pub const fn is_in_store(&self) -> bool {
        matches!(self.blobs, Blobs::Store)
    }
}
