//! What a cache's document says of mounts.

use std::collections::{BTreeMap, BTreeSet};

use kiln_image::{Descriptor, Digest};
use kiln_store::MountId;
use serde::{Deserialize, Serialize};

use super::cut::LONGEST;
use crate::error::{StepError, StepResult};

/// The media type of packs.
const PACK_TYPE: &str = "application/vnd.kiln.cache.pack.v1";
/// A pack that has so much is full.
pub(super) const FULL_PACK: u64 = 64 << 20;
/// No pack is larger: the last chunk may go beyond.
const LARGEST_PACK: u64 = FULL_PACK + 2 * LONGEST as u64;
/// Bytes of the document, and of the manifest, that mounts may take: half of what there is.
const MOST_BYTES: usize = 2 << 20;
/// A pack has no more of them.
const PACK_BYTES: usize = 250;

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
    pub(super) id: MountId,
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
    #[serde(default, skip_serializing_if = "String::is_empty")]
    key: String,
    /// Bytes of the tar, for people.
    size: u64,
    used: i64,
    chunks: Vec<WrittenChunk>,
}

/// Digest, length, number of the pack, offset, length in the pack: many of them.
type WrittenChunk = (Digest, u32, usize, u64, u32);

/// The pack of that digest.
pub(super) fn packed(digest: Digest, size: u64) -> Descriptor {
    Descriptor::new(PACK_TYPE, digest, size)
}

impl StoredMount {
    /// Bytes of the tar.
    pub(super) fn size(&self) -> u64 {
        self.chunks.iter().map(|chunk| u64::from(chunk.length)).sum()
    }

    /// No fewer bytes than it has in JSON, but for its packs.
    fn written_size(&self, name: &str) -> usize {
        const CHUNK: usize = 130;
        const MOUNT: usize = 200;
        // A byte of a text becomes six at most: `\u0001`.
        MOUNT + 6 * (name.len() + self.id.id.len() + self.id.key.len()) + CHUNK * self.chunks.len()
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
            id: mount.id.id.clone(),
            key: mount.id.key.clone(),
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
        // Others read what is written here of it, and it goes into manifests.
        if let Some(other) = self.packs.iter().find(|pack| **pack != packed(pack.digest, pack.size)) {
            return Err(invalid(&format!("{} is no pack, or more is said of it", other.digest)));
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
                id: MountId {
                    id: written.id,
                    key: written.key,
                },
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

/// Whether somebody left something else in a mount.
fn is_changed(old: Option<&StoredMount>, new: Option<&StoredMount>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => !old.is_same(new),
        (old, new) => old.is_some() || new.is_some(),
    }
}

impl Mounts {
    /// What a build left that began with `before` and has `own` now, where others have made it `theirs` meanwhile: of what
    /// both changed, its own. A mount that was only packed anew does not replace one in which others left something else.
    pub(in crate::cache) fn merged(before: &Self, own: &Self, theirs: &Self) -> Self {
        let names: BTreeSet<&String> = own.mounts.keys().chain(theirs.mounts.keys()).collect();
        let mount = |name: &String| {
            let (mine, old, new) = (own.mounts.get(name), before.mounts.get(name), theirs.mounts.get(name));
            let is_newer = new.is_some() && !is_changed(old, mine) && is_changed(old, new);
            let mount = if mine == old || is_newer { new } else { mine };
            Some((name.clone(), mount?.clone()))
        };
        let mut merged = Self {
            mounts: names.into_iter().filter_map(mount).collect(),
            packs: theirs.packs.clone(),
        };
        merged.packs.extend(own.packs.clone());
        merged.forget_packs();
        merged
    }

    /// Makes `own` no change where others changed what was `seen` to `theirs`: what they have is taken then.
    pub(in crate::cache) fn yield_changed(&mut self, own: &Self, seen: &Self, theirs: &Self) {
        let changed = |name: &&String| is_changed(seen.mounts.get(*name), theirs.mounts.get(*name));
        let names: BTreeSet<&String> = seen.mounts.keys().chain(theirs.mounts.keys()).collect();
        for name in names.into_iter().filter(changed) {
            match own.mounts.get(name) {
                Some(mount) => self.mounts.insert(name.clone(), mount.clone()),
                None => self.mounts.remove(name),
            };
        }
    }

    /// Drops the mounts of these names.
    pub(super) fn forget(&mut self, names: &BTreeSet<String>) {
        self.mounts.retain(|name, _| !names.contains(name));
        self.forget_packs();
    }

    /// The packs that have chunks of these mounts.
    pub(super) fn packs_of(&self, is_one: impl Fn(&str) -> bool) -> impl Iterator<Item = &Descriptor> {
        let mounts = self.mounts.iter().filter(|(name, _)| is_one(name));
        let chunks = mounts.flat_map(|(_, mount)| &mount.chunks);
        let packs: BTreeSet<&Digest> = chunks.map(|chunk| &chunk.pack).collect();
        packs.into_iter().filter_map(|pack| self.packs.get(pack))
    }

    /// Keeps the mounts whose packs are all there.
    pub(in crate::cache) fn retain(&mut self, is_there: impl Fn(&Descriptor) -> bool) {
        self.packs.retain(|_, pack| is_there(pack));
        let packs = &self.packs;
        let whole = |mount: &StoredMount| mount.chunks.iter().all(|chunk| packs.contains_key(&chunk.pack));
        self.mounts.retain(|_, mount| whole(mount));
        self.forget_packs();
    }

    /// Bytes of the packs that have chunks of a mount.
    pub(super) fn pack_bytes(&self, mount: &StoredMount) -> u64 {
        let packs: BTreeSet<&Digest> = mount.chunks.iter().map(|chunk| &chunk.pack).collect();
        packs
            .iter()
            .filter_map(|digest| self.packs.get(*digest))
            .map(|pack| pack.size)
            .sum()
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

    /// Drops the mounts for which the document has no room: those of `first` get theirs first, then those that were used
    /// last. Gives the ids of what was dropped.
    pub(in crate::cache) fn bound(&mut self, first: &BTreeSet<String>) -> Vec<MountId> {
        let mut order: Vec<_> = self
            .mounts
            .iter()
            .map(|(name, mount)| (first.contains(name), mount.used, name.clone()))
            .collect();
        order.sort_unstable();
        let mut room = MOST_BYTES;
        let mut packs = BTreeSet::new();
        let mut dropped = Vec::new();
        for (_, _, name) in order.into_iter().rev() {
            let mount = &self.mounts[&name];
            let new: BTreeSet<Digest> = mount.chunks.iter().map(|chunk| chunk.pack).collect();
            let new: Vec<Digest> = new.difference(&packs).copied().collect();
            match room.checked_sub(mount.written_size(&name) + PACK_BYTES * new.len()) {
                Some(left) => {
                    room = left;
                    packs.extend(new);
                }
                None => dropped.extend(self.mounts.remove(&name).map(|mount| mount.id)),
            }
        }
        self.forget_packs();
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(what: &str) -> Digest {
        Digest::of(what)
    }

    fn id_of(name: &str) -> MountId {
        MountId {
            id: format!("id of {name}"),
            key: "linux/amd64".to_owned(),
        }
    }

    /// Mounts with so many chunks each, in packs of their own, used at these times.
    fn mounts(all: &[(&str, usize, i64)]) -> Mounts {
        let mut mounts = Mounts::default();
        for (name, chunks, used) in all {
            let pack = packed(digest(name), 1 << 20);
            let chunk = |number: usize| Chunk {
                digest: digest(&format!("{name} {number}")),
                length: 7,
                pack: pack.digest,
                offset: number as u64,
                stored: 1,
            };
            let mount = StoredMount {
                id: id_of(name),
                used: *used,
                chunks: (0..*chunks).map(chunk).collect(),
            };
            mounts.mounts.insert((*name).to_owned(), mount);
            mounts.packs.insert(pack.digest, pack);
        }
        mounts
    }

    fn names(mounts: &Mounts) -> Vec<&str> {
        mounts.names().map(|(name, _)| name).collect()
    }

    #[test]
    fn they_keep_to_their_part_of_the_document() {
        const MANY: usize = 7_000;
        let mut all = mounts(&[("own", MANY, 1), ("old", MANY, 2), ("small", 1, 3), ("new", MANY, 4)]);
        let own = BTreeSet::from(["own".to_owned()]);
        assert_eq!(all.bound(&own), [id_of("old")]);
        assert_eq!(names(&all), ["new", "own", "small"]);
        assert_eq!(all.packs.len(), 3);
        let written = serde_json::to_vec(&WrittenMounts::new(&all).unwrap()).unwrap();
        assert!(written.len() <= MOST_BYTES, "{}", written.len());
        assert!(all.bound(&own).is_empty());
    }

    #[test]
    fn what_has_no_room_at_all_takes_nobody_elses() {
        let mut all = mounts(&[("own", 100_000, 1), ("other", 1, 2)]);
        assert_eq!(all.bound(&BTreeSet::from(["own".to_owned()])), [id_of("own")]);
        assert_eq!(names(&all), ["other"]);
    }

    /// Their descriptors are in the document and in the manifest.
    #[test]
    fn packs_take_room_too() {
        let packs: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
        let packs: Vec<_> = packs.iter().map(|name| (name.as_str(), 1, 0)).collect();
        let mut all = mounts(&packs);
        assert!(!all.bound(&BTreeSet::new()).is_empty());
        let written = serde_json::to_vec(&WrittenMounts::new(&all).unwrap()).unwrap();
        assert!(written.len() <= MOST_BYTES, "{}", written.len());
    }

    #[test]
    fn what_two_builds_left() {
        let before = mounts(&[
            ("same", 1, 1),
            ("mine", 1, 1),
            ("both", 1, 1),
            ("dropped", 1, 1),
            ("gone", 1, 1),
        ]);
        let own = mounts(&[
            ("same", 1, 1),
            ("mine", 2, 1),
            ("both", 2, 1),
            ("gone", 1, 1),
            ("my new", 1, 1),
        ]);
        let theirs = mounts(&[
            ("same", 1, 2),
            ("mine", 1, 1),
            ("both", 3, 1),
            ("dropped", 1, 1),
            ("their new", 1, 1),
        ]);
        let expected = mounts(&[
            ("same", 1, 2),
            ("mine", 2, 1),
            ("both", 2, 1),
            ("my new", 1, 1),
            ("their new", 1, 1),
        ]);
        assert_eq!(Mounts::merged(&before, &own, &theirs), expected);
    }

    #[test]
    fn what_is_left_when_others_wrote_first() {
        let seen = mounts(&[("mine", 1, 1), ("theirs", 1, 1), ("both", 1, 1)]);
        let own = mounts(&[("mine", 2, 1), ("theirs", 1, 1), ("both", 2, 1), ("new", 2, 1)]);
        let theirs = mounts(&[("mine", 1, 2), ("theirs", 3, 1), ("both", 3, 1), ("new", 3, 1)]);
        let mut before = seen.clone();
        before.yield_changed(&own, &seen, &theirs);
        let left = Mounts::merged(&before, &own, &theirs);
        let expected = mounts(&[("mine", 2, 1), ("theirs", 3, 1), ("both", 3, 1), ("new", 3, 1)]);
        assert_eq!(left, expected);
        // What was given up stays so.
        before.yield_changed(&own, &theirs, &theirs);
        assert_eq!(Mounts::merged(&before, &own, &theirs), expected);
    }

    #[test]
    fn what_is_packed_anew_does_not_replace_what_is_newer() {
        let before = mounts(&[("it", 1, 1)]);
        let mut own = before.clone();
        own.mounts.get_mut("it").unwrap().chunks[0].offset += 1;
        for (theirs, expected) in [
            (mounts(&[("it", 2, 1)]), mounts(&[("it", 2, 1)])),
            (before.clone(), own.clone()),
            (Mounts::default(), own.clone()),
        ] {
            assert_eq!(Mounts::merged(&before, &own, &theirs), expected);
        }
        let removed = Mounts::merged(&before, &before, &Mounts::default());
        assert_eq!(removed, Mounts::default());
    }

    #[test]
    fn refuses_packs_of_which_more_is_said() {
        let all = mounts(&[("it", 1, 1)]);
        let text = serde_json::to_string(&WrittenMounts::new(&all).unwrap()).unwrap();
        let read = |text: &str| serde_json::from_str::<WrittenMounts>(text).unwrap().read();
        assert_eq!(read(&text).unwrap(), all);
        for (part, lie) in [
            ("\"size\":1048576}", "\"size\":1048576,\"urls\":[\"http://a\"]}"),
            ("\"size\":1048576}", "\"size\":1048576,\"annotations\":{\"a\":\"b\"}}"),
            ("\"size\":1048576}", "\"size\":104857600}"),
            (PACK_TYPE, "text/html"),
        ] {
            assert!(text.contains(part), "{part}: {text}");
            assert!(read(&text.replace(part, lie)).is_err(), "{lie}");
        }
    }
}
