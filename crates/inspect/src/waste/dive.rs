//! The efficiency score of dive 0.13, by its formula, for people who compare with it or have limits in its terms.
//!
//! Of each layer only names without others below count. A path weighs what all layers have there; what a deletion of a
//! directory weighs is everything that was below, of a file nothing. The score is the sum of each path's smallest weight
//! by the sum of all. So a directory that is deleted costs nothing, and opaque directories do not exist: that is how it is,
//! and [`super::Waste`] counts otherwise.

use crate::index::{Entry, Kind, LayerIndex};
use crate::names::Names;

/// The score and what goes with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Dive {
    /// 1 is best.
    pub efficiency: f64,
    /// Bytes of all paths that more than one layer has something at.
    pub wasted_bytes: u64,
    /// Bytes of all layers.
    pub size_bytes: u64,
    /// Bytes of all layers but the lowest.
    pub user_size_bytes: u64,
    /// Those paths, the heaviest first.
    pub references: Vec<Reference>,
}

/// A path that several layers have something at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The path, with a slash before it.
    pub path: Vec<u8>,
    /// In how many layers.
    pub count: u64,
    /// What it weighs in all of them.
    pub bytes: u64,
}

/// No node.
const NONE: u32 = u32::MAX;

#[derive(Debug, Clone)]
struct Node {
    parent: u32,
    /// The layer and the entry that have its name.
    name: (u32, u32),
    first_child: u32,
    next: u32,
    /// What the layers so far show there.
    is_there: bool,
    is_directory: bool,
    size: u64,
    /// What all layers so far weigh there.
    count: u32,
    sum: u64,
    least: u64,
}

struct Scale<'a> {
    layers: &'a [LayerIndex],
    nodes: Vec<Node>,
    names: Names,
}

impl Dive {
    /// Of the layers of an image, the lowest first.
    pub fn of(layers: &[LayerIndex]) -> Self {
        let mut scale = Scale::new(layers);
        for number in (0..).take(layers.len()) {
            scale.layer(number);
        }
        let nodes = || scale.nodes.iter().filter(|node| node.count > 0);
        let (least, sum) = nodes().fold((0, 0), |(least, sum), node| (least + node.least, sum + node.sum));
        let mut references: Vec<Reference> = (0..)
            .zip(&scale.nodes)
            .filter(|(_, node)| node.count > 1)
            .map(|(number, node)| Reference {
                path: scale.path(number),
                count: node.count.into(),
                bytes: node.sum,
            })
            .collect();
        references.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.path.cmp(&b.path)));
        let bytes = |layers: &[LayerIndex]| layers.iter().map(LayerIndex::bytes).sum();
        Self {
            efficiency: if sum == 0 { 1.0 } else { ratio(least, sum) },
            wasted_bytes: references.iter().map(|reference| reference.bytes).sum(),
            size_bytes: bytes(layers),
            user_size_bytes: bytes(layers.get(1..).unwrap_or_default()),
            references,
        }
    }

    /// The wasted part of all layers but the lowest: 1 is all.
    pub fn wasted_user_share(&self) -> f64 {
        if self.user_size_bytes == 0 {
            return 0.0;
        }
        ratio(self.wasted_bytes, self.user_size_bytes)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share of petabytes is no more exact than that"
)]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

impl<'a> Scale<'a> {
    fn layer(&mut self, number: u32) {
        let layer = &self.layers[number as usize];
        let mut has_children = vec![false; layer.entries().len()];
        for entry in &layer.entries()[1..] {
            has_children[entry.parent as usize] = true;
        }
        let mut nodes: Vec<u32> = vec![0];
        for ((at, entry), has_children) in (0..).zip(layer.entries()).zip(has_children).skip(1) {
            let node = self.node(nodes[entry.parent as usize], (number, at));
            nodes.push(node);
            if !has_children {
                self.weigh(node, entry);
            }
        }
        // What is there changes after all was weighed: a deletion is of what lower layers have.
        for (entry, node) in layer.entries().iter().zip(nodes).skip(1) {
            if entry.kind == Kind::Whiteout {
                self.remove(node);
            } else {
                let node = &mut self.nodes[node as usize];
                node.is_there = true;
                node.is_directory = entry.kind == Kind::Directory && !entry.is_implied;
                node.size = entry.size;
            }
        }
    }

    fn weigh(&mut self, number: u32, entry: &Entry) {
        let size = match entry.kind {
            Kind::Whiteout if self.nodes[number as usize].is_directory => self.below(number),
            Kind::Whiteout => 0,
            _ => entry.size,
        };
        let node = &mut self.nodes[number as usize];
        node.least = if node.count == 0 { size } else { node.least.min(size) };
        node.sum += size;
        node.count += 1;
    }

    fn new(layers: &'a [LayerIndex]) -> Self {
        let mut scale = Self {
            layers,
            nodes: Vec::new(),
            names: Names::default(),
        };
        if !layers.is_empty() {
            scale.add(0, (0, 0));
        }
        scale
    }

    fn name(&self, (layer, entry): (u32, u32)) -> &'a [u8] {
        let layer = &self.layers[layer as usize];
        layer.name(layer.entry(entry))
    }

    fn node(&mut self, parent: u32, name: (u32, u32)) -> u32 {
        let text = self.name(name);
        let has = |number: u32| {
            let node = &self.nodes[number as usize];
            number != 0 && node.parent == parent && self.name(node.name) == text
        };
        if let Some(node) = self.names.find(parent, text, has) {
            return node;
        }
        let number = self.add(parent, name);
        self.nodes[number as usize].next = self.nodes[parent as usize].first_child;
        self.nodes[parent as usize].first_child = number;
        number
    }

    fn add(&mut self, parent: u32, name: (u32, u32)) -> u32 {
        let number = u32::try_from(self.nodes.len()).expect("there are fewer names than numbers");
        self.names.add(parent, self.name(name));
        self.nodes.push(Node {
            parent,
            name,
            first_child: NONE,
            next: NONE,
            is_there: false,
            is_directory: false,
            size: 0,
            count: 0,
            sum: 0,
            least: 0,
        });
        number
    }

    fn below(&self, number: u32) -> u64 {
        let mut sum = 0;
        let mut todo = vec![self.nodes[number as usize].first_child];
        while let Some(number) = todo.pop().filter(|number| *number != NONE) {
            let node = &self.nodes[number as usize];
            sum += if node.is_there { node.size } else { 0 };
            todo.extend(
                [node.next, node.first_child]
                    .into_iter()
                    .filter(|number| *number != NONE),
            );
        }
        sum
    }

    fn remove(&mut self, number: u32) {
        let mut todo = vec![self.nodes[number as usize].first_child];
        todo.retain(|number| *number != NONE);
        let top = &mut self.nodes[number as usize];
        (top.is_there, top.is_directory, top.size) = (false, false, 0);
        while let Some(number) = todo.pop() {
            let node = &mut self.nodes[number as usize];
            (node.is_there, node.is_directory, node.size) = (false, false, 0);
            todo.extend(
                [node.next, node.first_child]
                    .into_iter()
                    .filter(|number| *number != NONE),
            );
        }
    }

    fn path(&self, number: u32) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = number;
        while at != 0 {
            let node = &self.nodes[at as usize];
            names.push(self.name(node.name));
            at = node.parent;
        }
        names.push(b"");
        names.reverse();
        names.join(&b'/')
    }
}
