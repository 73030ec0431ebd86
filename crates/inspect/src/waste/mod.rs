//! Bytes that an image carries for nothing: those that are dead, exactly, and those that live and hardly need to.

mod dive;
mod junk;

use std::collections::BTreeMap;

pub use dive::{Dive, Reference};
pub use junk::Junk;

use crate::index::LayerIndex;
use crate::tree::{Cause, Place, Tree};

/// What an image carries.
#[derive(Debug, Clone, PartialEq)]
pub struct Waste {
    /// Bytes of the files of all layers: those that live and those that are dead.
    pub bytes: u64,
    /// Bytes of files that the image shows.
    pub live: u64,
    /// Bytes of files that it does not show any more.
    pub dead: u64,
    /// Of each layer, the lowest first.
    pub layers: Vec<LayerWaste>,
    /// What is wasted, most bytes first: those of the dead are all dead bytes; the others live.
    pub findings: Vec<Finding>,
}

/// A layer's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LayerWaste {
    /// Bytes of its files.
    pub bytes: u64,
    /// Those of them that upper layers killed.
    pub dead: u64,
    /// Bytes of lower layers that it killed.
    pub killed: u64,
}

/// Bytes that are wasted in the same way by the same layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// In which way.
    pub kind: FindingKind,
    /// Bytes.
    pub bytes: u64,
    /// Files.
    pub files: u64,
    /// The layer that brought them.
    pub added_by: u32,
    /// The layer that killed them; of a duplicate the one that has the first copy.
    pub other: Option<u32>,
    /// The directory that has all of them.
    pub directory: Vec<u8>,
    /// The largest of them.
    pub largest: Vec<Wasted>,
}

/// A file that is wasted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wasted {
    /// Its path.
    pub path: Vec<u8>,
    /// Its bytes.
    pub bytes: u64,
    /// Where the same content is: of a file that was moved, and of a duplicate.
    pub also: Option<Vec<u8>>,
}

/// How bytes are wasted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingKind {
    /// They are dead.
    Dead(Cause),
    /// They are there, and the same content is elsewhere too.
    Duplicate,
    /// They are there, and images need no such files to run.
    Junk(Junk),
}

impl FindingKind {
    /// Whether the bytes are dead.
    pub const fn is_dead(self) -> bool {
        matches!(self, Self::Dead(_))
    }

    /// Its name, for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dead(cause) => cause.name(),
            Self::Duplicate => "duplicate",
            Self::Junk(junk) => junk.name(),
        }
    }
}

/// Smaller files may be there several times: a link would hardly take less of a disk.
const SMALLEST_DUPLICATE: u64 = 4096;

/// How many files of a finding are named.
const NAMED: usize = 5;

/// Findings by kind and layers.
type Findings = BTreeMap<(FindingKind, u32, Option<u32>), Finding>;

impl Waste {
    /// What the layers of an image carry, the lowest first.
    pub fn of(layers: &[LayerIndex]) -> Self {
        let tree = Tree::of(layers);
        let mut waste = Self {
            bytes: 0,
            live: 0,
            dead: 0,
            layers: layers.iter().map(LayerWaste::of).collect(),
            findings: Vec::new(),
        };
        let mut findings = Findings::new();
        for death in tree.deaths() {
            waste.dead += death.bytes;
            waste.layers[death.place.layer as usize].dead += death.bytes;
            waste.layers[death.killer as usize].killed += death.bytes;
            let wasted = Wasted {
                path: tree.path_of(death.place),
                bytes: death.bytes,
                also: death.moved_to.map(|place| tree.path_of(place)),
            };
            let kind = FindingKind::Dead(death.cause);
            add(&mut findings, kind, death.place.layer, Some(death.killer), wasted);
        }
        waste.live = live(&tree, &mut findings);
        waste.bytes = waste.layers.iter().map(|layer| layer.bytes).sum();
        waste.findings = findings.into_values().collect();
        waste.findings.sort_by_key(|finding| {
            (
                std::cmp::Reverse(finding.bytes),
                finding.kind,
                finding.added_by,
                finding.other,
            )
        });
        waste
    }
}

impl LayerWaste {
    fn of(index: &LayerIndex) -> Self {
        Self {
            bytes: index.bytes(),
            ..Self::default()
        }
    }
}

/// Bytes that live, and what of them is of little use.
fn live(tree: &Tree<'_>, findings: &mut Findings) -> u64 {
    let mut bytes = 0;
    let mut large: Vec<(Place, u32)> = Vec::new();
    for (node, place, entry) in tree.live_files() {
        bytes += entry.size;
        if entry.size == 0 {
            continue;
        }
        let path = tree.path(node);
        if let Some(kind) = Junk::of(&path) {
            let wasted = Wasted {
                path,
                bytes: entry.size,
                also: None,
            };
            add(findings, FindingKind::Junk(kind), place.layer, None, wasted);
        } else if entry.size >= SMALLEST_DUPLICATE {
            large.push((place, node));
        }
    }
    let digest = |(place, _): &(Place, u32)| &tree.content(*place).1.digest;
    large.sort_unstable_by(|a, b| digest(a).cmp(digest(b)).then_with(|| a.cmp(b)));
    for copies in large
        .chunk_by(|a, b| digest(a) == digest(b))
        .filter(|copies| copies.len() > 1)
    {
        let (first, node) = copies[0];
        let also = tree.path(node);
        for (place, node) in &copies[1..] {
            let wasted = Wasted {
                path: tree.path(*node),
                bytes: tree.content(*place).1.size,
                also: Some(also.clone()),
            };
            add(findings, FindingKind::Duplicate, place.layer, Some(first.layer), wasted);
        }
    }
    bytes
}

fn add(findings: &mut Findings, kind: FindingKind, added_by: u32, other: Option<u32>, wasted: Wasted) {
    let directory = parent(&wasted.path);
    let finding = findings.entry((kind, added_by, other)).or_insert_with(|| Finding {
        kind,
        bytes: 0,
        files: 0,
        added_by,
        other,
        directory: directory.to_vec(),
        largest: Vec::new(),
    });
    finding.bytes += wasted.bytes;
    finding.files += 1;
    let common = common(&finding.directory, directory);
    finding.directory.truncate(common);
    let key = |wasted: &Wasted| (std::cmp::Reverse(wasted.bytes), wasted.path.clone());
    let at = finding.largest.partition_point(|known| key(known) < key(&wasted));
    if at < NAMED {
        finding.largest.insert(at, wasted);
        finding.largest.truncate(NAMED);
    }
}

fn parent(path: &[u8]) -> &[u8] {
    &path[..path.iter().rposition(|byte| *byte == b'/').unwrap_or(0)]
}

/// The length of the path of the directory that has both.
fn common(a: &[u8], b: &[u8]) -> usize {
    let mut length = 0;
    let mut at = 0;
    for (one, other) in a.split(|byte| *byte == b'/').zip(b.split(|byte| *byte == b'/')) {
        if one != other {
            break;
        }
        at += one.len();
        length = at;
        at += 1;
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_of_a_finding_has_all_its_files() {
        for (a, b, expected) in [
            ("", "", ""),
            ("a", "", ""),
            ("a", "a", "a"),
            ("a/b", "a/c", "a"),
            ("a/b", "a/bc", "a"),
            ("a/b/c", "a/b", "a/b"),
            ("x/b", "y/b", ""),
        ] {
            assert_eq!(&a[..common(a.as_bytes(), b.as_bytes())], expected, "{a} {b}");
        }
    }
}
