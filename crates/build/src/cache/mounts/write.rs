//! Writing chunks into packs: those that the cache does not have.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use kiln_image::{Descriptor, Digest, Hasher};
use kiln_store::{LayerDir, MountId, Store};

use super::cut::Cutter;
use super::document::{Chunk, FULL_PACK, Mounts, StoredMount, packed};
use super::packs::Packs;
use crate::cache::backend::Backend;
use crate::error::{StepError, StepResult};
use crate::session::Task;

/// How hard chunks are compressed: zstd's own default.
const LEVEL: i32 = 3;
/// A pack that is smaller is to be put together with others …
const SMALL_PACK: u64 = 8 << 20;
/// … once there are more of them.
const MOST_SMALL_PACKS: usize = 16;

/// The packs of one cache.
pub(super) struct Writer<'w> {
    backend: &'w dyn Backend,
    task: &'w Task<'w>,
    /// Asked before each chunk: whether there is no point in going on.
    is_over: &'w dyn Fn() -> bool,
    directory: LayerDir,
    /// Chunks that are in packs.
    known: HashMap<Digest, Chunk>,
    packs: BTreeMap<Digest, Descriptor>,
    open: Option<OpenPack>,
}

/// The pack that is being filled.
struct OpenPack {
    path: PathBuf,
    file: File,
    hasher: Hasher,
    size: u64,
    /// Those in it: digest, length, offset, stored.
    chunks: Vec<(Digest, u32, u64, u32)>,
    digests: HashSet<Digest>,
}

impl<'w> Writer<'w> {
    /// Goes on from what is there.
    pub(super) fn new(
        backend: &'w dyn Backend,
        old: &Mounts,
        store: &Store,
        task: &'w Task<'w>,
        is_over: &'w dyn Fn() -> bool,
    ) -> StepResult<Self> {
        let chunks = old.mounts.values().flat_map(|mount| &mount.chunks);
        Ok(Self {
            backend,
            task,
            is_over,
            directory: store.new_layer()?,
            known: chunks.map(|chunk| (chunk.digest, *chunk)).collect(),
            packs: old.packs.clone(),
            open: None,
        })
    }

    /// Takes what a directory holds; gives the digests of its chunks. An error if its archive has more than `most` bytes.
    pub(super) fn directory(&mut self, directory: &Path, most: u64) -> StepResult<Vec<Digest>> {
        let mut digests = Vec::new();
        let mut left = most;
        let mut cutter = Cutter::new(|chunk: &[u8]| {
            let too_large = || io::Error::other(format!("it has more than {most} bytes (mount-max=SIZE allows more)"));
            left = left.checked_sub(chunk.len() as u64).ok_or_else(too_large)?;
            digests.push(self.add(chunk).map_err(io::Error::other)?);
            Ok(())
        });
        kiln_layer::pack_whole(directory, &mut cutter)?;
        cutter.end().map_err(StepError::io("pack", directory))?;
        Ok(digests)
    }

    fn add(&mut self, chunk: &[u8]) -> StepResult<Digest> {
        if (self.is_over)() {
            return Err(StepError::Canceled);
        }
        let digest = Digest::of(chunk);
        let is_open = |open: &OpenPack| open.digests.contains(&digest);
        if !self.known.contains_key(&digest) && !self.open.as_ref().is_some_and(is_open) {
            let frame = zstd::bulk::compress(chunk, LEVEL).map_err(StepError::io("compress", "a chunk"))?;
            self.append(digest, chunk.len(), &frame)?;
        }
        Ok(digest)
    }

    fn append(&mut self, digest: Digest, length: usize, frame: &[u8]) -> StepResult<()> {
        let open = match &mut self.open {
            Some(open) => open,
            closed => closed.insert(OpenPack::create(self.directory.fs().join("pack"))?),
        };
        open.append(digest, length, frame)?;
        if open.size >= FULL_PACK {
            self.close()?;
        }
        Ok(())
    }

    /// Sends the pack that is open, if one is.
    fn close(&mut self) -> StepResult<()> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let pack = packed(open.hasher.finish(), open.size);
        let part = pack.digest.short();
        let report = |bytes| self.task.progress(&part, bytes, Some(pack.size));
        self.backend.put(&pack, &open.path, &report)?;
        for (digest, length, offset, stored) in open.chunks {
            let chunk = Chunk {
                digest,
                length,
                pack: pack.digest,
                offset,
                stored,
            };
            self.known.insert(digest, chunk);
        }
        self.packs.insert(pack.digest, pack);
        Ok(())
    }

    /// Makes mounts of chunks, all of which have been taken, and puts them beside those that are there, or in their places.
    pub(super) fn end(mut self, there: Mounts, new: Vec<NewMount>, store: &Store) -> StepResult<Mounts> {
        self.close()?;
        self.packs.extend(there.packs);
        let mut all = Mounts {
            mounts: there.mounts,
            packs: self.packs.clone(),
        };
        for NewMount {
            name,
            id,
            used,
            digests,
        } in new
        {
            let chunks = digests.iter().map(|digest| self.known[digest]).collect();
            let mut mount = StoredMount { id, used, chunks };
            if let Some(old) = all.mounts.get(&name)
                && old.is_same(&mount)
                && used.abs_diff(old.used) < A_DAY
            {
                mount.used = old.used;
            }
            all.mounts.insert(name, mount);
        }
        self.tidy(&mut all, store)?;
        Ok(all)
    }

    /// Writes anew what is used of packs that have much that is not, or of many small ones. What cannot be read stays
    /// where it is.
    fn tidy(&mut self, all: &mut Mounts, store: &Store) -> StepResult<()> {
        let poor = poor(all);
        if poor.is_empty() {
            return Ok(());
        }
        let before = all.clone();
        let mut tried = HashSet::new();
        let used = before.mounts.values().flat_map(|mount| &mount.chunks);
        let in_poor = |chunk: &&Chunk| poor.contains(&chunk.pack) && tried.insert(chunk.digest);
        let chunks: Vec<Chunk> = used.filter(in_poor).copied().collect();
        let mut packs = Packs::new(self.backend, &before, &chunks, store, self.task)?;
        for chunk in &chunks {
            if let Ok((frame, content)) = packs.chunk(chunk) {
                self.append(chunk.digest, content.len(), &frame)?;
            }
        }
        self.close()?;
        for chunk in all.mounts.values_mut().flat_map(|mount| &mut mount.chunks) {
            if let Some(now) = self.known.get(&chunk.digest).filter(|_| tried.contains(&chunk.digest)) {
                *chunk = *now;
            }
        }
        all.packs = self.packs.clone();
        Ok(())
    }
}

/// Seconds after which a mount that did not change is noted to be in use still.
const A_DAY: u64 = 24 * 60 * 60;

/// A mount whose chunks were taken.
pub(super) struct NewMount {
    pub(super) name: String,
    pub(super) id: MountId,
    pub(super) used: i64,
    pub(super) digests: Vec<Digest>,
}

/// The packs that should be others.
fn poor(all: &Mounts) -> HashSet<Digest> {
    let used = all.used_bytes();
    let small = |pack: &Descriptor| pack.size < SMALL_PACK;
    let many = used.keys().filter(|digest| small(&all.packs[*digest])).count() > MOST_SMALL_PACKS;
    let poor = |(digest, used): (&Digest, &u64)| {
        let pack = &all.packs[digest];
        used * 2 < pack.size || many && small(pack)
    };
    used.iter()
        .filter(|&(digest, used)| poor((digest, used)))
        .map(|(digest, _)| *digest)
        .collect()
}

impl OpenPack {
    fn create(path: PathBuf) -> StepResult<Self> {
        Ok(Self {
            file: File::create(&path).map_err(StepError::io("create", &path))?,
            path,
            hasher: Hasher::new(),
            size: 0,
            chunks: Vec::new(),
            digests: HashSet::new(),
        })
    }

    fn append(&mut self, digest: Digest, length: usize, frame: &[u8]) -> StepResult<()> {
        let too_long = |_| StepError::Invalid("a chunk is too long".to_owned());
        let length = u32::try_from(length).map_err(too_long)?;
        let stored = u32::try_from(frame.len()).map_err(too_long)?;
        self.file.write_all(frame).map_err(StepError::io("write", &self.path))?;
        self.hasher.update(frame);
        self.chunks.push((digest, length, self.size, stored));
        self.digests.insert(digest);
        self.size += u64::from(stored);
        Ok(())
    }
}
