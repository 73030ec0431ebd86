//! Reading chunks out of packs. All of it is hostile.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

use kiln_image::{Descriptor, Digest};
use kiln_store::{LayerDir, Store};

use super::document::{Chunk, Mounts, StoredMount};
use crate::cache::backend::Backend;
use crate::error::{StepError, StepResult};
use crate::session::Task;

/// Packs of one cache that were fetched: each when its first chunk is needed, and until its last one was read.
pub(super) struct Packs<'p> {
    backend: &'p dyn Backend,
    mounts: &'p Mounts,
    task: &'p Task<'p>,
    directory: LayerDir,
    files: BTreeMap<Digest, File>,
    /// How many chunks of each pack are still to be read.
    left: BTreeMap<Digest, usize>,
}

impl<'p> Packs<'p> {
    /// To read these chunks, each as often as it is there.
    pub(super) fn new(
        backend: &'p dyn Backend,
        mounts: &'p Mounts,
        chunks: &[Chunk],
        store: &Store,
        task: &'p Task<'p>,
    ) -> StepResult<Self> {
        let mut left = BTreeMap::new();
        for chunk in chunks {
            *left.entry(chunk.pack).or_default() += 1;
        }
        Ok(Self {
            backend,
            mounts,
            task,
            directory: store.new_layer()?,
            files: BTreeMap::new(),
            left,
        })
    }

    /// The frame of a chunk, and the chunk, which is what it should be.
    pub(super) fn chunk(&mut self, chunk: &Chunk) -> StepResult<(Vec<u8>, Vec<u8>)> {
        let read = self.read(chunk);
        if let Some(left) = self.left.get_mut(&chunk.pack) {
            *left -= 1;
            if *left == 0 {
                self.left.remove(&chunk.pack);
                self.files.remove(&chunk.pack);
            }
        }
        read
    }

    fn read(&mut self, chunk: &Chunk) -> StepResult<(Vec<u8>, Vec<u8>)> {
        let damaged = || StepError::Invalid(format!("chunk {} is damaged", chunk.digest));
        let mut frame = vec![0; chunk.stored as usize];
        let file = self.file(&chunk.pack)?;
        file.read_exact_at(&mut frame, chunk.offset).map_err(|_| damaged())?;
        let content = zstd::bulk::decompress(&frame, chunk.length as usize).map_err(|_| damaged())?;
        if Digest::of(&content) != chunk.digest || content.len() != chunk.length as usize {
            return Err(damaged());
        }
        Ok((frame, content))
    }

    fn file(&mut self, digest: &Digest) -> StepResult<&File> {
        if !self.files.contains_key(digest) {
            let pack = self.mounts.packs.get(digest);
            let pack = pack.ok_or_else(|| StepError::Invalid(format!("there is no pack {digest}")))?;
            let file = self.fetch(pack)?;
            self.files.insert(*digest, file);
        }
        Ok(&self.files[digest])
    }

    fn fetch(&self, pack: &Descriptor) -> StepResult<File> {
        let path = self.directory.fs().join(pack.digest.hex());
        let part = pack.digest.short();
        let report = |bytes| self.task.progress(&part, bytes, Some(pack.size));
        let mut content = self.backend.open(pack, Box::new(report))?;
        let mut options = File::options();
        let mut file = options
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(StepError::io("create", &path))?;
        // Without a name it goes when it is closed.
        std::fs::remove_file(&path).map_err(StepError::io("remove", &path))?;
        io::copy(&mut content, &mut file).map_err(StepError::io("fetch", &part))?;
        Ok(file)
    }
}

/// The tar of a mount.
pub(super) struct Content<'c, 'p> {
    packs: &'c mut Packs<'p>,
    chunks: std::slice::Iter<'c, Chunk>,
    at_hand: VecDeque<u8>,
}

impl<'c, 'p> Content<'c, 'p> {
    pub(super) fn new(packs: &'c mut Packs<'p>, mount: &'c StoredMount) -> Self {
        Self {
            packs,
            chunks: mount.chunks.iter(),
            at_hand: VecDeque::new(),
        }
    }
}

impl Read for Content<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at_hand.is_empty() {
            let Some(chunk) = self.chunks.next() else {
                return Ok(0);
            };
            let (_, content) = self.packs.chunk(chunk).map_err(io::Error::other)?;
            self.at_hand = content.into();
        }
        self.at_hand.read(buffer)
    }
}
