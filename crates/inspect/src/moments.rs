//! A tree of files at several moments: after each layer of an image, or in one image and in another.
//!
//! All moments share one set of nodes. A node has a version for each moment at which something became of it, and a
//! directory has sums for each at which something became of what is in it. So what any moment shows, and what became of it
//! since any other, is looked up where it is asked for, and nothing is computed anew when one goes from moment to moment.

use std::collections::HashMap;

use crate::diff::{Both, Look};
use crate::index::{Entry, Kind, LayerIndex};
use crate::tree::{Place, Tree};

/// What became of a node between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// Nothing.
    None,
    /// It came into being.
    Added,
    /// Something of it is not the same, or, of a directory, of what is in it.
    Modified,
    /// It was written again as it was.
    Rewritten,
    /// It is gone.
    Removed,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    /// The entry that has its name.
    name: Place,
    parent: u32,
}

#[derive(Debug, Clone, Copy)]
struct Version {
    moment: u32,
    place: Option<Place>,
}

/// What is at a node and below it, from a moment on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    moment: u32,
    bytes: i64,
    files: i64,
}

/// Files at several moments.
#[derive(Debug)]
pub struct Moments<'a> {
    layers: Vec<&'a LayerIndex>,
    count: u32,
    nodes: Vec<Node>,
    children: Rows<u32>,
    versions: Rows<Version>,
    /// Of nodes with children: where their sums are.
    slots: HashMap<u32, u32>,
    sums: Rows<Sum>,
}

/// Rows of several values, by number, in two pieces of memory.
#[derive(Debug)]
struct Rows<T> {
    ends: Vec<u32>,
    values: Vec<T>,
}

impl<T: Copy> Rows<T> {
    fn empty() -> Self {
        Self {
            ends: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Values in the order that they come in, by the rows that they are of.
    fn of(rows: usize, all: &[(u32, T)]) -> Self {
        let mut starts = vec![0_u32; rows + 1];
        for (row, _) in all {
            starts[*row as usize + 1] += 1;
        }
        for row in 0..rows {
            starts[row + 1] += starts[row];
        }
        let mut order = vec![0_u32; all.len()];
        let mut next = starts.clone();
        for (at, (row, _)) in (0..).zip(all) {
            let place = &mut next[*row as usize];
            order[*place as usize] = at;
            *place += 1;
        }
        starts.remove(0);
        Self {
            ends: starts,
            values: order.into_iter().map(|at| all[at as usize].1).collect(),
        }
    }

    fn push(&mut self, row: &[T]) -> u32 {
        let number = u32::try_from(self.ends.len()).expect("there are fewer rows than nodes");
        self.values.extend_from_slice(row);
        self.ends
            .push(u32::try_from(self.values.len()).expect("a node has few moments"));
        number
    }

    fn row(&self, number: u32) -> &[T] {
        let number = number as usize;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.values[start as usize..self.ends[number] as usize]
    }
}

impl<'a> Moments<'a> {
    /// An image after each of its layers, the lowest first.
    pub fn of_layers(layers: &'a [LayerIndex]) -> Self {
        let (tree, log) = Tree::with_log(layers);
        let nodes = (0..)
            .take(tree.len())
            .map(|node| Node {
                name: tree.name(node),
                parent: tree.parent(node),
            })
            .collect();
        let mut versions: Vec<(u32, Version)> = Vec::with_capacity(log.len());
        for change in log {
            let version = Version {
                moment: change.layer,
                place: change.version,
            };
            versions.push((change.node, version));
        }
        let count = u32::try_from(layers.len()).expect("an image has few layers");
        Self::new(layers.iter().collect(), count, nodes, &versions)
    }

    /// Two images: the first moment is the one, the second the other. What is the same in both is the first one's.
    pub fn of_images(before: &'a [LayerIndex], after: &'a [LayerIndex]) -> Self {
        let trees = [Tree::of(before), Tree::of(after)];
        let offset = u32::try_from(before.len()).expect("an image has few layers");
        let mut nodes = vec![Node {
            name: Place { layer: 0, entry: 0 },
            parent: 0,
        }];
        let mut versions = Vec::new();
        let mut todo = vec![(0, [Some(0), Some(0)])];
        while let Some((directory, sides)) = todo.pop() {
            let mut names: HashMap<&[u8], Both> = HashMap::new();
            for (side, (tree, node)) in trees.iter().zip(sides).enumerate() {
                for (name, node, place) in node.into_iter().flat_map(|node| tree.children(node)) {
                    names.entry(name).or_default()[side] = Some((node, place));
                }
            }
            for both in names.into_values() {
                let [old, new] = both;
                let moved = |(_, place): (u32, Place)| Place {
                    layer: place.layer + offset,
                    ..place
                };
                let Some(name) = old.map(|(_, place)| place).or(new.map(moved)) else {
                    continue;
                };
                let node = u32::try_from(nodes.len()).expect("there are fewer names than numbers");
                nodes.push(Node {
                    name,
                    parent: directory,
                });
                if let Some((_, place)) = old {
                    let place = Some(place);
                    versions.push((node, Version { moment: 0, place }));
                }
                let looks = [(old, &trees[0]), (new, &trees[1])];
                let [was, is] = looks.map(|(found, tree)| found.map(|(_, place)| Look::of(tree, place)));
                if was != is {
                    let place = new.map(moved);
                    versions.push((node, Version { moment: 1, place }));
                }
                let is_directory = |(found, tree): (Option<(u32, Place)>, &Tree<'_>)| {
                    found.filter(|(_, place)| tree.entry(*place).kind == Kind::Directory)
                };
                let below = looks.map(|side| is_directory(side).map(|(node, _)| node));
                if below != [None, None] {
                    todo.push((node, below));
                }
            }
        }
        Self::new(before.iter().chain(after).collect(), 2, nodes, &versions)
    }

    /// `versions` are in the order of moments for each node; a parent comes before its children.
    fn new(layers: Vec<&'a LayerIndex>, count: u32, nodes: Vec<Node>, versions: &[(u32, Version)]) -> Self {
        let parents: Vec<(u32, u32)> = (0..)
            .zip(&nodes)
            .skip(1)
            .map(|(number, node)| (node.parent, number))
            .collect();
        let mut moments = Self {
            layers,
            count,
            children: Rows::of(nodes.len(), &parents),
            versions: Rows::of(nodes.len(), versions),
            nodes,
            slots: HashMap::new(),
            sums: Rows::empty(),
        };
        moments.add_up();
        moments
    }

    /// Children come behind their parents: from the last node to the first everything is added up once.
    fn add_up(&mut self) {
        let mut below: HashMap<u32, Vec<Sum>> = HashMap::new();
        let mut own = Vec::new();
        for number in (0..self.nodes.len()).rev() {
            let number = u32::try_from(number).expect("there are fewer nodes than numbers");
            self.own_sums(number, &mut own);
            let children = below.remove(&number);
            if let Some(mut sums) = children {
                merge(&mut sums, &own);
                std::mem::swap(&mut own, &mut sums);
                let mut total = Sum::default();
                let totals: Vec<Sum> = own
                    .iter()
                    .map(|sum| {
                        total.moment = sum.moment;
                        total.bytes = total.bytes.saturating_add(sum.bytes);
                        total.files += sum.files;
                        total
                    })
                    .collect();
                let slot = self.sums.push(&totals);
                self.slots.insert(number, slot);
            }
            if number > 0 {
                merge(below.entry(self.parent(number)).or_default(), &own);
            }
        }
    }

    /// By how much a node itself grew, moment by moment.
    fn own_sums(&self, node: u32, sums: &mut Vec<Sum>) {
        sums.clear();
        let mut before = (0, 0);
        let versions = self.versions.row(node);
        for (at, version) in versions.iter().enumerate() {
            if versions.get(at + 1).is_some_and(|next| next.moment == version.moment) {
                continue;
            }
            let is = version.place.map_or((0, 0), |place| {
                let entry = self.entry(place);
                let bytes = i64::try_from(entry.size).unwrap_or(i64::MAX);
                (bytes, i64::from(entry.kind != Kind::Directory))
            });
            sums.push(Sum {
                moment: version.moment,
                bytes: is.0 - before.0,
                files: is.1 - before.1,
            });
            before = is;
        }
    }

    /// How many moments there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// How many nodes there are at any moment. They are numbered: the root is 0, a directory comes before what is in it.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether nothing is there but the root, at any moment.
    pub fn is_empty(&self) -> bool {
        self.nodes.len() <= 1
    }

    /// What is at a node at a moment.
    pub fn at(&self, node: u32, moment: u32) -> Option<Place> {
        let versions = self.versions.row(node);
        let later = versions.partition_point(|version| version.moment <= moment);
        versions[..later].last()?.place
    }

    /// The entry at a place. Of a comparison, layers of the second image follow those of the first.
    pub fn entry(&self, place: Place) -> &'a Entry {
        self.layers[place.layer as usize].entry(place.entry)
    }

    /// The layer that a place is in.
    pub fn layer(&self, place: Place) -> &'a LayerIndex {
        self.layers[place.layer as usize]
    }

    /// The directory that a node is in; the root's is itself.
    pub fn parent(&self, node: u32) -> u32 {
        self.nodes[node as usize].parent
    }

    /// What is in a directory at any moment, in no order.
    pub fn children(&self, node: u32) -> &[u32] {
        self.children.row(node)
    }

    /// A node's name in its directory; empty for the root.
    pub fn name(&self, node: u32) -> &'a [u8] {
        let place = self.nodes[node as usize].name;
        let layer = self.layer(place);
        layer.name(layer.entry(place.entry))
    }

    /// The path of a node, without a slash before it; empty for the root.
    pub fn path(&self, node: u32) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = node;
        while at != 0 {
            names.push(self.name(at));
            at = self.parent(at);
        }
        names.reverse();
        names.join(&b'/')
    }

    /// The node of a path that is there at any moment.
    pub fn find(&self, path: &[u8]) -> Option<u32> {
        let mut names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        names.try_fold(0, |node, name| {
            self.children(node)
                .iter()
                .copied()
                .find(|child| self.name(*child) == name)
        })
    }

    /// Whether it is a directory at a moment. The root always is.
    pub fn is_directory(&self, node: u32, moment: u32) -> bool {
        node == 0
            || self
                .at(node, moment)
                .is_some_and(|place| self.entry(place).kind == Kind::Directory)
    }

    /// Bytes of a file, or of all files below a directory, at a moment. A file of several names counts at the first.
    pub fn bytes(&self, node: u32, moment: u32) -> u64 {
        match self.sum(node, moment) {
            Some(sum) => u64::try_from(sum.bytes).unwrap_or_default(),
            None => self.at(node, moment).map_or(0, |place| self.entry(place).size),
        }
    }

    /// How many files, links and devices there are at a node and below it at a moment.
    pub fn files(&self, node: u32, moment: u32) -> u64 {
        match self.sum(node, moment) {
            Some(sum) => u64::try_from(sum.files).unwrap_or_default(),
            None => u64::from(self.at(node, moment).is_some() && !self.is_directory(node, moment)),
        }
    }

    fn sum(&self, node: u32, moment: u32) -> Option<Sum> {
        let sums = self.sums.row(*self.slots.get(&node)?);
        let later = sums.partition_point(|sum| sum.moment <= moment);
        Some(sums[..later].last().copied().unwrap_or_default())
    }

    /// What became of a node after one moment up to another.
    pub fn change(&self, node: u32, from: u32, to: u32) -> Change {
        if from >= to {
            return Change::None;
        }
        let [was, is] = [from, to].map(|moment| self.at(node, moment));
        match (was, is) {
            (None, None) => Change::None,
            (None, Some(_)) => Change::Added,
            (Some(_), None) => Change::Removed,
            (Some(was), Some(is)) => {
                let is_same = was == is || self.look(was) == self.look(is);
                if !is_same {
                    Change::Modified
                } else if self.is_directory(node, to) {
                    let changed = self.has_changes(node, from, to);
                    if changed { Change::Modified } else { Change::None }
                } else if was == is {
                    Change::None
                } else {
                    Change::Rewritten
                }
            }
        }
    }

    /// Whether anything became of a node, or of what is below it, after one moment up to another.
    pub fn has_changes(&self, node: u32, from: u32, to: u32) -> bool {
        fn any<T>(row: &[T], from: u32, to: u32, moment: impl Fn(&T) -> u32) -> bool {
            let first = row.partition_point(|each| moment(each) <= from);
            row.get(first).is_some_and(|each| moment(each) <= to)
        }
        match self.slots.get(&node) {
            Some(slot) => any(self.sums.row(*slot), from, to, |sum| sum.moment),
            None => any(self.versions.row(node), from, to, |version| version.moment),
        }
    }

    fn look(&self, place: Place) -> Look {
        Look::at(self.layer(place), place.entry)
    }
}

/// Adds sums to others; both are in the order of moments.
fn merge(into: &mut Vec<Sum>, more: &[Sum]) {
    for sum in more {
        let at = into.partition_point(|known| known.moment < sum.moment);
        match into.get_mut(at).filter(|known| known.moment == sum.moment) {
            Some(known) => {
                known.bytes = known.bytes.saturating_add(sum.bytes);
                known.files += sum.files;
            }
            None => into.insert(at, *sum),
        }
    }
}
