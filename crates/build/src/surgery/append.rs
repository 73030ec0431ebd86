//! More layers on top of an image.

use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::path::{Path, PathBuf};

use kiln_image::Digest;
use kiln_layer::{ArchiveKind, CopyOptions, Times};
use kiln_store::LayerId;
use rustix::fd::AsFd as _;
use rustix::fs::{Mode, OFlags};

use super::{Draft, Edit, Made, Subject};
use crate::assemble;
use crate::builder::Builder;
use crate::cancel::{Cancel, Watched};
use crate::error::{Error, StepError, StepResult};
use crate::event::Sink;
use crate::images::{Images, chain_ids};
use crate::load::{keep_unpacked, unpack_blob};

impl Builder {
    /// Puts layers on top of an image, one for each path: an archive's is that archive, whiteouts and all; a directory's has
    /// its files, which are root's then.
    pub fn append(&self, edit: &Edit<'_>, paths: &[PathBuf], sink: &dyn Sink, cancel: &Cancel) -> Result<Made, Error> {
        self.work(format!("append to {}", edit.image), sink, cancel, |images| {
            let mut draft = Subject::open(images, edit.image, edit.platform)?.draft(edit.epoch);
            for path in paths {
                append(images, &mut draft, path)?;
            }
            draft.keep(images, edit.names)
        })
    }
}

fn append(images: &Images<'_>, draft: &mut Draft, path: &Path) -> StepResult<()> {
    let file = File::open(path).map_err(StepError::io("open", path))?;
    let kind = file.metadata().map_err(StepError::io("examine", path))?;
    let layer = if kind.is_dir() {
        of_directory(images, draft, path)?
    } else {
        let named = |error| match error {
            StepError::Layer(source) => StepError::Unpack {
                what: path.display().to_string(),
                source,
            },
            error => error,
        };
        of_archive(images, &draft.layers, file, path).map_err(named)?
    };
    draft.layers.push(layer);
    // Not the whole path: it says where somebody works, not what the image is made of.
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    draft.note("kiln append", name, false);
    Ok(())
}

fn of_directory(images: &Images<'_>, draft: &Draft, path: &Path) -> StepResult<LayerId> {
    let layer = images.store.new_layer()?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = |path: &Path| rustix::fs::open(path, flags, Mode::empty()).map_err(StepError::errno("open", path));
    let (from, to) = (open(path)?, open(&layer.fs())?);
    let options = CopyOptions {
        owner: Some((0, 0)),
        times: draft.epoch.map_or(Times::Keep, Times::AtMost),
        ..CopyOptions::default()
    };
    let root = Path::new("/");
    kiln_layer::copy_tree(from.as_fd(), root, to.as_fd(), root, &options)?;
    images.keep_layer(&layer, &draft.layers)
}

fn of_archive(images: &Images<'_>, below: &[LayerId], mut file: File, path: &Path) -> StepResult<LayerId> {
    let mut prefix = Vec::new();
    let read = |file: &mut File, prefix: &mut Vec<u8>| -> io::Result<()> {
        file.take(512).read_to_end(prefix)?;
        file.rewind()
    };
    read(&mut file, &mut prefix).map_err(StepError::io("read", path))?;
    let kind = kiln_layer::sniff(&prefix);
    let Some(kind) = kind else {
        let what = format!("{} is neither a directory nor a tar", path.display());
        return Err(StepError::Invalid(what));
    };
    // Layers are compressed by gzip and zstd, or not at all: what is otherwise compressed is taken apart.
    let content: Box<dyn Read> = match kind {
        ArchiveKind::Tar | ArchiveKind::Gzip | ArchiveKind::Zstd => Box::new(file),
        ArchiveKind::Bzip2 | ArchiveKind::Xz => kiln_layer::uncompressed(file)?,
    };
    let blob = put(images, content, path)?;
    let (directory, diff_id) = unpack_blob(images, &blob, below)?;
    let facts = assemble::layer_facts(images, below)?;
    let diff_ids: Vec<Digest> = facts.iter().map(|layer| layer.diff_id).chain([diff_id]).collect();
    let id = chain_ids(&diff_ids).pop().expect("there is one layer at least");
    keep_unpacked(images.store, &directory, &id, &blob, &diff_id)?;
    Ok(id)
}

fn put(images: &Images<'_>, content: Box<dyn Read + '_>, path: &Path) -> StepResult<Digest> {
    let mut content = Watched {
        inner: content,
        cancel: images.cancel,
    };
    let mut writer = images.store.blob_writer(None)?;
    io::copy(&mut content, &mut writer).map_err(StepError::io("read", path))?;
    Ok(writer.commit(None)?.0)
}
