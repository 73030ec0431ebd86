//! The files of an image out of the store, and back into it as a layer of what was changed.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use kiln_image::{Digest, Platform, Reference};
use kiln_layer::{CopyOptions, Times};
use rustix::fd::AsFd as _;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::squash::write_difference;
use super::{Made, Subject, runtime};
use crate::builder::Builder;
use crate::cancel::{Cancel, Watched};
use crate::error::{Error, StepError, StepResult};
use crate::event::Sink;
use crate::export;
use crate::images::{Images, MAX_DOCUMENT};
use crate::request::Destination;

/// What a directory of an unpacked image has: its files, and what it was unpacked from. With `config.json` of the
/// runtime specification it is a bundle that runtimes start.
pub(super) const ROOTFS: &str = "rootfs";
const RUNTIME: &str = "config.json";
const ORIGIN: &str = "kiln.json";

/// What a directory was unpacked from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Origin {
    /// The name or ID that it was asked for by.
    image: String,
    /// The digest of its config.
    id: Digest,
    /// The digest of its manifest, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    manifest: Option<Digest>,
    platform: Platform,
}

impl Builder {
    /// Writes the files of an image as one tar.
    pub fn export_files(
        &self,
        image: &str,
        platform: Option<&Platform>,
        dest: &Destination,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<(), Error> {
        self.work(format!("export {image}"), sink, cancel, |images| {
            let subject = Subject::open(images, image, platform)?;
            tell_lacking(images, &subject)?;
            let tree = images.tree(&subject.layers)?;
            let trees = [(PathBuf::new(), tree.root)];
            export::with_destination(dest, |out| {
                let mut out = Watched { inner: out, cancel };
                export::write_tar(&trees, Times::Keep, &mut out)
            })
        })
    }

    /// Writes the files of an image into `directory`, which is made or is empty, with what [`Builder::repack`] and runtimes
    /// need to know.
    pub fn unpack(
        &self,
        image: &str,
        platform: Option<&Platform>,
        directory: &Path,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<(), Error> {
        self.work(format!("unpack {image}"), sink, cancel, |images| {
            check_empty(directory)?;
            let subject = Subject::open(images, image, platform)?;
            std::fs::create_dir_all(directory).map_err(StepError::io("create", directory))?;
            tell_lacking(images, &subject)?;
            let id = subject.keep(images)?;
            let tree = images.tree(&subject.layers)?;
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let target =
                rustix::fs::open(directory, flags, Mode::empty()).map_err(StepError::errno("open", directory))?;
            let (from, to) = (Path::new("/"), Path::new(ROOTFS));
            kiln_layer::copy_tree(tree.root.as_fd(), from, target.as_fd(), to, &CopyOptions::default())?;
            let origin = Origin {
                image: image.to_owned(),
                id,
                manifest: subject.manifest.as_ref().map(|(digest, _)| *digest),
                platform: subject.config.platform(),
            };
            write_json(&directory.join(RUNTIME), &runtime::spec(&subject.config, &tree.root)?)?;
            // Last: with it the directory is whole.
            write_json(&directory.join(ORIGIN), &origin)
        })
    }

    /// Makes an image of a directory that [`Builder::unpack`] wrote and somebody changed: with one layer more, of what is
    /// different.
    pub fn repack(
        &self,
        directory: &Path,
        names: &[Reference],
        epoch: Option<i64>,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<Made, Error> {
        self.work(format!("repack {}", directory.display()), sink, cancel, |images| {
            let origin = read_origin(directory)?;
            let subject = origin.open(images)?;
            let rootfs = directory.join(ROOTFS);
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let new = rustix::fs::open(&rootfs, flags, Mode::empty()).map_err(StepError::errno("open", &rootfs))?;
            let layer = images.store.new_layer()?;
            let mut draft = subject.draft(epoch);
            if write_difference(images, &draft.layers, new.as_fd(), &layer)? {
                let id = images.keep_layer(&layer, &draft.layers)?;
                draft.layers.push(id);
                draft.note("kiln repack", String::new(), false);
            }
            draft.keep(images, names)
        })
    }
}

fn tell_lacking(images: &Images<'_>, subject: &Subject) -> StepResult<()> {
    if let Some(paths) = images.lacking(&subject.layers)? {
        let what = format!("without device nodes, which only root can make: {paths}");
        images.tasks.notice(what);
    }
    Ok(())
}

/// The directory may be there if it is empty.
fn check_empty(directory: &Path) -> StepResult<()> {
    let mut entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(StepError::io("read", directory))?,
    };
    if entries.next().is_none() {
        return Ok(());
    }
    Err(StepError::Invalid(format!(
        "{} is not empty: an image is unpacked into a directory of its own",
        directory.display()
    )))
}

fn write_json(path: &Path, value: &impl Serialize) -> StepResult<()> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|error| StepError::Invalid(format!("cannot encode {}: {error}", path.display())))?;
    text.push(b'\n');
    std::fs::write(path, text).map_err(StepError::io("write", path))
}

fn read_origin(directory: &Path) -> StepResult<Origin> {
    let path = directory.join(ORIGIN);
    let file = File::open(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => StepError::Invalid(format!(
            "{} has no {ORIGIN}: only what `kiln unpack` wrote can be repacked",
            directory.display()
        )),
        _ => StepError::io("open", &path)(error),
    })?;
    let mut text = Vec::new();
    file.take(MAX_DOCUMENT)
        .read_to_end(&mut text)
        .map_err(StepError::io("read", &path))?;
    serde_json::from_slice(&text).map_err(|error| StepError::Invalid(format!("{}: {error}", path.display())))
}

impl Origin {
    /// Opens the image: by its ID, or once more from its registry if the store has it no more.
    fn open(&self, images: &Images<'_>) -> StepResult<Subject> {
        if images.store.image(&self.id)?.is_some() {
            return Subject::open(images, &self.id.to_string(), None);
        }
        let name: Option<Reference> = self.image.parse().ok();
        let Some((name, manifest)) = name.zip(self.manifest) else {
            return Err(StepError::Invalid(format!(
                "the image {} ({}) that this was unpacked from is not in the store any more",
                self.image, self.id
            )));
        };
        Subject::open(images, &name.pinned(manifest).to_string(), Some(&self.platform))
    }
}
