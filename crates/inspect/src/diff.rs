//! What is different between the file trees of two images.

use std::collections::BTreeMap;

use crate::index::{Kind, LayerIndex};
use crate::tree::{Place, Tree};

/// A path at which two images are not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The path, without a slash before it.
    pub path: Vec<u8>,
    /// What the first image has there.
    pub before: Option<Look>,
    /// What the second one has there.
    pub after: Option<Look>,
}

/// What there is at a path. Times do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// What it is.
    pub kind: Kind,
    /// Permissions, with setuid, setgid and sticky.
    pub mode: u16,
    /// User and group.
    pub owner: (u32, u32),
    /// Bytes of a file.
    pub size: u64,
    /// Digest of a file's content.
    pub digest: [u8; 32],
    /// Where a symbolic link leads.
    pub target: Vec<u8>,
}

/// The differences below a directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// Names that are only in the second image.
    pub added: u64,
    /// Names that are only in the first.
    pub removed: u64,
    /// Names that are in both and not the same.
    pub changed: u64,
    /// By how many bytes the second has more.
    pub growth: i64,
}

impl Difference {
    /// By how many bytes the second image has more there.
    pub fn growth(&self) -> i64 {
        let size = |look: &Option<Look>| {
            look.as_ref()
                .map_or(0, |look| i64::try_from(look.size).unwrap_or(i64::MAX))
        };
        size(&self.after).saturating_sub(size(&self.before))
    }
}

/// The node and the entry of a name in each of two trees.
pub(crate) type Both = [Option<(u32, Place)>; 2];

/// All differences between two trees, by path. Below a directory that only one has everything is listed.
pub fn diff(before: &Tree<'_>, after: &Tree<'_>) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut todo = vec![(Vec::new(), Some(0), Some(0))];
    while let Some((directory, old, new)) = todo.pop() {
        let mut names: BTreeMap<&[u8], Both> = BTreeMap::new();
        for (side, tree, node) in [(0, before, old), (1, after, new)] {
            for (name, node, place) in node.into_iter().flat_map(|node| tree.children(node)) {
                names.entry(name).or_default()[side] = Some((node, place));
            }
        }
        for (name, [old, new]) in names {
            let path = join(&directory, name);
            let difference = Difference {
                before: old.map(|(_, place)| Look::of(before, place)),
                after: new.map(|(_, place)| Look::of(after, place)),
                path,
            };
            let below = |tree: &Tree<'_>, found: Option<(u32, Place)>| {
                found
                    .filter(|(_, place)| tree.entry(*place).kind == Kind::Directory)
                    .map(|(node, _)| node)
            };
            let (old, new) = (below(before, old), below(after, new));
            if old.is_some() || new.is_some() {
                todo.push((difference.path.clone(), old, new));
            }
            if difference.before != difference.after {
                differences.push(difference);
            }
        }
    }
    differences.sort_by(|a, b| a.path.split(slash).cmp(b.path.split(slash)));
    differences
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what `split` asks for")]
fn slash(byte: &u8) -> bool {
    *byte == b'/'
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() {
        name.to_vec()
    } else {
        [directory, b"/", name].concat()
    }
}

/// The differences in each directory of that depth, what is deeper added to the directory above; the root has depth 0.
pub fn by_directory(differences: &[Difference], depth: usize) -> BTreeMap<Vec<u8>, Sum> {
    let mut sums: BTreeMap<Vec<u8>, Sum> = BTreeMap::new();
    for difference in differences {
        let names: Vec<&[u8]> = difference.path.split(slash).collect();
        let length = depth.min(names.len() - 1);
        let sum = sums.entry(names[..length].join(&b'/')).or_default();
        match (&difference.before, &difference.after) {
            (None, _) => sum.added += 1,
            (_, None) => sum.removed += 1,
            _ => sum.changed += 1,
        }
        sum.growth = sum.growth.saturating_add(difference.growth());
    }
    sums
}

impl Look {
    pub(crate) fn of(tree: &Tree<'_>, place: Place) -> Self {
        Self::at(&tree.layers()[place.layer as usize], place.entry)
    }

    /// Of an entry of a layer.
    pub(crate) fn at(layer: &LayerIndex, number: u32) -> Self {
        let entry = layer.entry(number);
        let content = layer.entry(layer.first_name(number));
        Self {
            kind: entry.kind,
            mode: if entry.kind == Kind::Symlink { 0o777 } else { entry.mode },
            owner: (entry.uid, entry.gid),
            size: content.size,
            digest: content.digest,
            target: layer.target(entry).to_vec(),
        }
    }
}
