//! What a cache's document says of mounts.

use std::collections::{BTreeMap, BTreeSet};

use kiln_image::{Descriptor, Digest};
use serde::{Deserialize, Serialize};

use super::cut::LONGEST;
use crate::error::{StepError, StepResult};

/// The media type of packs.
pub(super) const PACK_TYPE: &str = "application/vnd.kiln.cache.pack.v1";
/// A pack that has so much is full.
pub(super) const FULL_PACK: u64 = 64 << 20;
/// No pack is larger: the last chunk may go beyond.
const LARGEST_PACK: u64 = FULL_PACK + 2 * LONGEST as u64;
/// Bytes of the document that mounts may take: half of what there is.
const MOST_BYTES: usize = 2 << 20;

/// The mounts that a cache has, by their whole identities, and the packs that have their chunks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mounts {
    pub(super) mounts: BTreeMap<String, StoredMount>,
    pub(crate) packs: BTreeMap<Digest, Descriptor>,
}

/// A cache mount: a tar in chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredMount {
    /// What people know it by.
    pub(super) id: String,
    /// When a build had it, in seconds since 1970; to the day.
    pub(super) used: i64,
    pub(super) chunks: Vec<Chunk>,
}

/// Where a piece of a tar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Of its content.
    pub(super) digest: Digest,
    /// Bytes of its content.
    pub(super) length: u32,
    pub(super) pack: Digest,
    /// Where in the pack its zstd frame is.
    pub(super) offset: u64,
    /// Bytes of the frame.
    pub(super) stored: u32,
}

/// [`Mounts`] in JSON.
#[derive(Serialize, Deserialize)]
pub(in crate::cache) struct WrittenMounts {
    packs: Vec<Descriptor>,
    mounts: Vec<WrittenMount>,
}

#[derive(Serialize, Deserialize)]
struct WrittenMount {
    name: String,
    id: String,
    /// Bytes of the tar, for people.
    size: u64,
    used: i64,
    chunks: Vec<WrittenChunk>,
}

/// Digest, length, number of the pack, offset, length in the pack: many of them.
type WrittenChunk = (Digest, u32, usize, u64, u32);

impl StoredMount {
    /// Bytes of the tar.
    pub(super) fn size(&self) -> u64 {
        self.chunks.iter().map(|chunk| u64::from(chunk.length)).sum()
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        let digests = |mount: &Self| mount.chunks.iter().map(|chunk| chunk.digest).collect::<Vec<_>>();
        digests(self) == digests(other)
    }
}

impl WrittenMounts {
    /// Nothing where there are none.
    pub(in crate::cache) fn new(mounts: &Mounts) -> Option<Self> {
        if mounts.mounts.is_empty() {
            return None;
        }
        let numbers: BTreeMap<&Digest, usize> = mounts.packs.keys().zip(0..).collect();
        let chunk = |chunk: &Chunk| {
            let pack = numbers[&chunk.pack];
            (chunk.digest, chunk.length, pack, chunk.offset, chunk.stored)
        };
        let mount = |(name, mount): (&String, &StoredMount)| WrittenMount {
            name: name.clone(),
            id: mount.id.clone(),
            size: mount.size(),
            used: mount.used,
            chunks: mount.chunks.iter().map(chunk).collect(),
        };
        Some(Self {
            packs: mounts.packs.values().cloned().collect(),
            mounts: mounts.mounts.iter().map(mount).collect(),
        })
    }

    /// Refuses what cannot be.
    pub(in crate::cache) fn read(self) -> StepResult<Mounts> {
        let invalid = |what: &str| StepError::Invalid(format!("it is no cache of Kiln: {what}"));
        if self.packs.iter().any(|pack| pack.size > LARGEST_PACK) {
            return Err(invalid("a pack is too large"));
        }
        let chunk = |(digest, length, pack, offset, stored): WrittenChunk| {
            let pack = self.packs.get(pack)?;
            let end = offset.checked_add(u64::from(stored))?;
            // A frame of what cannot be compressed is a little longer than that.
            let fits = length as usize <= LONGEST && stored as usize <= 2 * LONGEST && end <= pack.size;
            fits.then_some(Chunk {
                digest,
                length,
                pack: pack.digest,
                offset,
                stored,
            })
        };
        let mut mounts = Mounts::default();
        for written in self.mounts {
            let chunks = written.chunks.into_iter().map(chunk).collect::<Option<Vec<_>>>();
            let mount = StoredMount {
                id: written.id,
                used: written.used,
                chunks: chunks.ok_or_else(|| invalid("a chunk lies outside of its pack, or is too large"))?,
            };
            mounts.mounts.insert(written.name, mount);
        }
        mounts.packs = self.packs.into_iter().map(|pack| (pack.digest, pack)).collect();
        mounts.forget_packs();
        Ok(mounts)
    }
}

impl Mounts {
    /// Adds what a later build has.
    pub(in crate::cache) fn update(&mut self, later: &Self) {
        let mounts = later.mounts.iter().map(|(name, mount)| (name.clone(), mount.clone()));
        self.mounts.extend(mounts);
        self.packs.extend(later.packs.clone());
        self.forget_packs();
    }

    /// Drops the mounts of these names.
    pub(super) fn forget(&mut self, names: &BTreeSet<String>) {
        self.mounts.retain(|name, _| !names.contains(name));
        self.forget_packs();
    }

    /// Keeps the mounts whose packs are all there.
    pub(in crate::cache) fn retain(&mut self, is_there: impl Fn(&Descriptor) -> bool) {
        self.packs.retain(|_, pack| is_there(pack));
        let packs = &self.packs;
        let whole = |mount: &StoredMount| mount.chunks.iter().all(|chunk| packs.contains_key(&chunk.pack));
        self.mounts.retain(|_, mount| whole(mount));
        self.forget_packs();
    }

    /// Bytes of each pack that some mount uses.
    pub(super) fn used_bytes(&self) -> BTreeMap<Digest, u64> {
        let mut seen = BTreeSet::new();
        let mut used = BTreeMap::new();
        for chunk in self.mounts.values().flat_map(|mount| &mount.chunks) {
            if seen.insert((chunk.pack, chunk.offset)) {
                *used.entry(chunk.pack).or_default() += u64::from(chunk.stored);
            }
        }
        used
    }

    fn forget_packs(&mut self) {
        let used = self.used_bytes();
        self.packs.retain(|digest, _| used.contains_key(digest));
    }

    /// Drops mounts until the document has room for them: the least recently used first, those of `keep` last. Gives the
    /// ids of those.
    pub(super) fn bound(&mut self, keep: &BTreeSet<String>) -> Vec<String> {
        let mut order: Vec<_> = self
            .mounts
            .iter()
            .map(|(name, mount)| (keep.contains(name), mount.used, name.clone()))
            .collect();
        order.sort_unstable();
        let mut dropped = Vec::new();
        for (_, _, name) in order {
            if self.written_size() <= MOST_BYTES {
                break;
            }
            dropped.extend(self.mounts.remove(&name).map(|mount| mount.id));
        }
        self.forget_packs();
        dropped
    }

    /// About how long it is in JSON.
    fn written_size(&self) -> usize {
        const CHUNK: usize = 130;
        const MOUNT: usize = 200;
        let mount = |(name, mount): (&String, &StoredMount)| {
            MOUNT + 2 * name.len() + 2 * mount.id.len() + CHUNK * mount.chunks.len()
        };
        self.mounts.iter().map(mount).sum()
    }
}
