//! Whether an image is what it says that it is.

use std::io::{self, BufReader, Read};
use std::sync::{Mutex, PoisonError};

use kiln_image::media_type::{Compression, DOCKER_CONFIG, DOCKER_MANIFEST, OCI_CONFIG};
use kiln_image::{Descriptor, Digest, Document, Hasher, ImageConfig, Manifest};
use kiln_layer::ArchiveKind;

use super::copy::{Paper, Parcel, Which, gather};
use crate::builder::Builder;
use crate::cancel::{Cancel, Watched};
use crate::error::{Error, StepError, StepResult};
use crate::event::Sink;
use crate::images::{Images, MAX_DOCUMENT};
use crate::parallel;
use crate::source::Location;

/// How many layers are read at the same time.
const PARALLEL: usize = 4;

/// How much of a layer tells what it is compressed with.
const START: u64 = 512;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validated {
    /// The image: the digest of its manifest.
    pub manifest: Digest,
    /// Of what: `manifest`, `config`, or a layer by its number.
    pub subject: String,
    /// The digest of that.
    pub digest: Digest,
    /// What must hold.
    pub check: &'static str,
    /// Why it does not; nothing if it does.
    pub problem: Option<String>,
}

impl Builder {
    /// Reads all of an image and looks whether everything is what it is said to be: digests and sizes, media types, the
    /// layers that manifest and config name, and their tars, entry by entry.
    pub fn validate(
        &self,
        location: &Location,
        which: Which<'_>,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<Vec<Validated>, Error> {
        self.work(format!("validate {location}"), sink, cancel, |images| {
            let parcel = gather(images, location, which)?;
            let mut found = Vec::new();
            for paper in &parcel.papers {
                if let Document::Manifest(manifest) = &paper.document {
                    found.extend(image(images, &parcel, paper, manifest)?);
                }
            }
            Ok(found)
        })
    }
}

/// Checks of one subject.
struct Checks {
    manifest: Digest,
    subject: String,
    digest: Digest,
    done: Vec<Validated>,
}

impl Checks {
    fn add(&mut self, check: &'static str, result: Result<(), String>) {
        self.done.push(Validated {
            manifest: self.manifest,
            subject: self.subject.clone(),
            digest: self.digest,
            check,
            problem: result.err(),
        });
    }
}

fn image(images: &Images<'_>, parcel: &Parcel, paper: &Paper, manifest: &Manifest) -> StepResult<Vec<Validated>> {
    let begin = |subject: &str, digest: Digest| Checks {
        manifest: paper.descriptor.digest,
        subject: subject.to_owned(),
        digest,
        done: Vec::new(),
    };
    let is_image = matches!(&manifest.config.media_type[..], OCI_CONFIG | DOCKER_CONFIG);
    let mut checks = begin("manifest", paper.descriptor.digest);
    // Whoever read it saw to the digest.
    checks.add("digest", Ok(()));
    if is_image {
        checks.add("media types", media_types(&paper.descriptor.media_type, manifest));
    }
    let mut all = checks.done;
    let mut checks = begin("config", manifest.config.digest);
    let config = read_small(images, parcel, &manifest.config)?;
    checks.add("blob", config.as_ref().map(drop).map_err(Clone::clone));
    let mut diff_ids = Vec::new();
    if let (true, Ok(bytes)) = (is_image, config) {
        match serde_json::from_slice::<ImageConfig>(&bytes) {
            Err(error) => checks.add("content", Err(format!("it is no image config: {error}"))),
            Ok(config) => {
                checks.add("content", content(&config));
                checks.add("layers", same_count(&config, manifest));
                checks.add("history", history(&config));
                diff_ids.clone_from(&config.rootfs.diff_ids);
            }
        }
    }
    all.extend(checks.done);
    let layers: Vec<(usize, &Descriptor)> = manifest.layers.iter().enumerate().collect();
    let read = parallel::map(&layers, PARALLEL, |(number, blob)| {
        let mut checks = begin(&format!("layer {number}"), blob.digest);
        if is_image {
            layer(images, parcel, blob, diff_ids.get(*number), &mut checks)?;
        } else {
            checks.add("blob", read_through(images, parcel, blob)?);
        }
        Ok(checks.done)
    })?;
    all.extend(read.into_iter().flatten());
    Ok(all)
}

/// A manifest and all that it names are of one family.
fn media_types(own: &str, manifest: &Manifest) -> Result<(), String> {
    if manifest.schema_version != 2 {
        return Err(format!("its schemaVersion is {}, and not 2", manifest.schema_version));
    }
    let is_docker = own == DOCKER_MANIFEST;
    let family = |kind: &str| kind.starts_with("application/vnd.docker.") == is_docker;
    let layers = manifest.layers.iter().map(|layer| &layer.media_type);
    for kind in layers.clone().chain([&manifest.config.media_type]) {
        if !family(kind) {
            return Err(format!("it is a {own}, and names a {kind}"));
        }
    }
    match layers.into_iter().find(|kind| Compression::of_layer(kind).is_none()) {
        Some(kind) => Err(format!("`{kind}` is no layer")),
        None => Ok(()),
    }
}

fn content(config: &ImageConfig) -> Result<(), String> {
    if config.os.is_empty() || config.architecture.is_empty() {
        return Err("it does not say for which os and architecture it is".to_owned());
    }
    if config.rootfs.kind != "layers" {
        return Err(format!("its rootfs.type is `{}`, and not `layers`", config.rootfs.kind));
    }
    Ok(())
}

fn same_count(config: &ImageConfig, manifest: &Manifest) -> Result<(), String> {
    let (described, listed) = (config.rootfs.diff_ids.len(), manifest.layers.len());
    if described == listed {
        return Ok(());
    }
    Err(format!("it has {described} diff_ids, and the manifest {listed} layers"))
}

fn history(config: &ImageConfig) -> Result<(), String> {
    let made = config.history.iter().filter(|entry| !entry.empty_layer).count();
    let layers = config.rootfs.diff_ids.len();
    if config.history.is_empty() || made == layers {
        return Ok(());
    }
    Err(format!("its history tells of {made} layers, and there are {layers}"))
}

/// The content of a small blob, or what is wrong with it.
fn read_small(images: &Images<'_>, parcel: &Parcel, blob: &Descriptor) -> StepResult<Result<Vec<u8>, String>> {
    let reader = match open(images, parcel, blob)? {
        Ok(reader) => reader,
        Err(problem) => return Ok(Err(problem)),
    };
    let mut bytes = Vec::new();
    let read = reader.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes);
    if images.cancel.is_canceled() {
        return Err(StepError::Canceled);
    }
    Ok(match read {
        Err(error) => Err(error.to_string()),
        Ok(_) if bytes.len() as u64 > MAX_DOCUMENT => Err(format!("it is larger than {} MiB", MAX_DOCUMENT >> 20)),
        Ok(_) => is_named(blob, &Digest::of(&bytes), bytes.len() as u64).map(|()| bytes),
    })
}

fn read_through(images: &Images<'_>, parcel: &Parcel, blob: &Descriptor) -> StepResult<Result<(), String>> {
    let mut reader = match open(images, parcel, blob)? {
        Ok(reader) => reader,
        Err(problem) => return Ok(Err(problem)),
    };
    let mut hasher = Hasher::new();
    let copied = io::copy(&mut reader, &mut hasher);
    if images.cancel.is_canceled() {
        return Err(StepError::Canceled);
    }
    Ok(copied
        .map_err(|error| error.to_string())
        .and_then(|size| is_named(blob, &hasher.finish(), size)))
}

fn is_named(blob: &Descriptor, digest: &Digest, size: u64) -> Result<(), String> {
    if *digest != blob.digest {
        return Err(format!("its digest is {digest}"));
    }
    if size != blob.size {
        return Err(format!("it has {size} bytes, and is said to have {}", blob.size));
    }
    Ok(())
}

type Blob<'r> = Watched<'r, Box<dyn Read + Send + 'r>>;

/// Opens a blob; that it is not there is a problem of the image, and no error.
fn open<'r>(images: &Images<'r>, parcel: &Parcel, blob: &Descriptor) -> StepResult<Result<Blob<'r>, String>> {
    match parcel.open(images, blob, Box::new(|_| {})) {
        Ok(inner) => Ok(Ok(Watched {
            inner,
            cancel: images.cancel,
        })),
        Err(StepError::Invalid(problem)) => Ok(Err(problem)),
        Err(StepError::Registry(error)) if error.is_not_found() => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

fn layer(
    images: &Images<'_>,
    parcel: &Parcel,
    blob: &Descriptor,
    diff_id: Option<&Digest>,
    checks: &mut Checks,
) -> StepResult<()> {
    let opened = match open(images, parcel, blob)? {
        Ok(opened) => opened,
        Err(problem) => {
            checks.add("blob", Err(problem));
            return Ok(());
        }
    };
    let passed = Mutex::new(Passed::default());
    let mut raw = BufReader::new(Passing {
        inner: opened,
        passed: &passed,
    });
    let mut start = Vec::new();
    let kind = (&mut raw)
        .take(START)
        .read_to_end(&mut start)
        .map(|_| kiln_layer::sniff(&start));
    let mut tar_hasher = Hasher::new();
    let checked = kind.ok().map(|_| {
        let tar = kiln_layer::uncompressed(start.as_slice().chain(&mut raw))?;
        kiln_layer::check_layer(Hashing {
            inner: tar,
            hasher: &mut tar_hasher,
        })
    });
    // Whatever follows belongs to the blob.
    let _noted = io::copy(&mut raw, &mut io::sink());
    drop(raw);
    if images.cancel.is_canceled() {
        return Err(StepError::Canceled);
    }
    let passed = passed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let whole = match passed.failed {
        Some(error) => Err(error),
        None => is_named(blob, &passed.hasher.finish(), passed.size),
    };
    let is_whole = whole.is_ok();
    checks.add("blob", whole);
    if !is_whole {
        // What else is wrong comes of that.
        return Ok(());
    }
    checks.add(
        "media type",
        is_compressed_so(&blob.media_type, kiln_layer::sniff(&start)),
    );
    match checked {
        Some(Ok(problems)) => {
            checks.add("tar", Ok(()));
            let shown: Vec<String> = problems
                .iter()
                .map(|problem| format!("`{}`: {}", problem.path.display(), problem.what))
                .collect();
            checks.add(
                "paths",
                if shown.is_empty() {
                    Ok(())
                } else {
                    Err(shown.join("; "))
                },
            );
            checks.add("diff ID", has_diff_id(diff_id, &tar_hasher.finish()));
        }
        Some(Err(error)) => checks.add("tar", Err(error.to_string())),
        None => {}
    }
    Ok(())
}

fn has_diff_id(said: Option<&Digest>, found: &Digest) -> Result<(), String> {
    match said {
        Some(said) if said == found => Ok(()),
        Some(said) => Err(format!("its tar is {found}, and the config says {said}")),
        None => Err(format!("its tar is {found}, and the config does not say so")),
    }
}

fn is_compressed_so(media_type: &str, found: Option<ArchiveKind>) -> Result<(), String> {
    let said = Compression::of_layer(media_type).map(ArchiveKind::from);
    // A tar of nothing begins with zeros, which are no sign of anything.
    let found = found.unwrap_or(ArchiveKind::Tar);
    if said.is_none_or(|said| said == found) {
        return Ok(());
    }
    Err(format!("it is a {media_type}, and its content is {found:?}").to_lowercase())
}

/// What came out of a blob's reader.
#[derive(Default)]
struct Passed {
    hasher: Hasher,
    size: u64,
    failed: Option<String>,
}

/// Notes what passes, and the error that ended it.
struct Passing<'a, R> {
    inner: R,
    passed: &'a Mutex<Passed>,
}

impl<R: Read> Read for Passing<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        match &read {
            Ok(count) => {
                passed.hasher.update(&buffer[..*count]);
                passed.size += *count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                passed.failed.get_or_insert_with(|| error.to_string());
            }
        }
        read
    }
}

/// Digests what passes.
struct Hashing<'a, R> {
    inner: R,
    hasher: &'a mut Hasher,
}

impl<R: Read> Read for Hashing<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
