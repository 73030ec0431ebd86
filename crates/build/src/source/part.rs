//! A part of an image that is anywhere: its layers are read where they are, and none is kept.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use kiln_layer::{UnpackOptions, Unpacked};

use super::{Blobs, SourceImage};
use crate::cancel::Watched;
use crate::error::{StepError, StepResult};
use crate::images::{Images, Tee};
use crate::part::Layers;
use crate::session::Task;

/// The layers of such an image.
pub(crate) struct OfSource<'a> {
    images: &'a Images<'a>,
    image: &'a SourceImage,
    task: &'a Task<'a>,
    /// What came from a registry, for as long as more may be wanted of it.
    fetched: RefCell<HashMap<usize, File>>,
}

impl<'a> OfSource<'a> {
    pub(crate) fn new(images: &'a Images<'a>, image: &'a SourceImage, task: &'a Task<'a>) -> Self {
        Self {
            images,
            image,
            task,
            fetched: RefCell::default(),
        }
    }

    fn unpack_from(
        &self,
        number: usize,
        blob: impl Read,
        into: &Path,
        options: &UnpackOptions,
    ) -> StepResult<Unpacked> {
        let unpacked =
            kiln_layer::unpack(blob, None, into, options).map_err(|source| self.image.unreadable(number, source))?;
        self.image.check_layer(number, unpacked.diff_id)?;
        Ok(unpacked)
    }

    /// As [`unpack_from`](Self::unpack_from), with a copy of what comes.
    fn unpack_and_keep(
        &self,
        number: usize,
        mut blob: impl Read + Send,
        into: &Path,
        options: &UnpackOptions,
    ) -> StepResult<Unpacked> {
        let mut copy = BufWriter::new(self.images.store.scratch_file()?);
        let mut tee = Tee {
            reader: &mut blob,
            copy: &mut copy,
        };
        let unpacked = self.unpack_from(number, &mut tee, into, options)?;
        let kept = io::copy(&mut tee, &mut io::sink()).and_then(|_| copy.flush());
        kept.map_err(StepError::io("read", self.image.layer_name(number)))?;
        let copy = copy.into_inner().map_err(io::IntoInnerError::into_error);
        let copy = copy.map_err(StepError::io("keep", self.image.layer_name(number)))?;
        self.fetched.borrow_mut().insert(number, copy);
        Ok(unpacked)
    }
}

impl Layers for OfSource<'_> {
    fn count(&self) -> usize {
        self.image.layers.len()
    }

    fn directory(&self, number: usize) -> StepResult<Option<PathBuf>> {
        let (store, layer) = (self.images.store, &self.image.layers[number].id);
        Ok(store.layer(layer)?.map(|_| store.layer_path(layer)))
    }

    fn unpack(&self, number: usize, into: &Path, options: &UnpackOptions) -> StepResult<Unpacked> {
        let (store, cancel) = (self.images.store, self.images.cancel);
        let kept = self.fetched.borrow().get(&number).map(File::try_clone).transpose();
        let failed = || StepError::io("read", self.image.layer_name(number));
        if let Some(mut inner) = kept.map_err(failed())? {
            inner.seek(SeekFrom::Start(0)).map_err(failed())?;
            return self.unpack_from(number, Watched { inner, cancel }, into, options);
        }
        let blob = self.image.open_layer(number, store, self.task, cancel)?;
        match self.image.blobs {
            Blobs::Registry(..) => self.unpack_and_keep(number, blob, into, options),
            Blobs::Store | Blobs::Files(..) => self.unpack_from(number, blob, into, options),
        }
    }
}
