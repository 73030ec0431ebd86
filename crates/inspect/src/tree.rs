//! The layers of an image laid over one another, and what that hides.
//!
//! Layers are applied from the lowest to the topmost on one tree. What a name stands for in one layer is a version; a
//! version ends when an upper layer deletes, hides or replaces it, and the bytes of a file are dead when the last of
//! its names has ended. So the bytes of all layers are those of what lives and those of what is dead, exactly.

use std::collections::HashMap;

use crate::index::{Entry, Kind, LayerIndex};
use crate::names::Names;

/// An entry of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The layer, the lowest is 0.
    pub layer: u32,
    /// The entry of its index.
    pub entry: u32,
}

/// Why a file's bytes are dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// It was deleted, by itself or with a directory above.
    Deleted,
    /// A directory above was made anew.
    Hidden,
    /// Another file, or something else, took its place.
    Replaced,
    /// The same content took its place: nothing but what is said of it changed, if anything did.
    Restored {
        /// Whether its permissions did.
        mode: bool,
        /// Whether its owner or group did.
        owner: bool,
    },
    /// It was deleted, and its content came into being under another name.
    Moved,
}

impl Cause {
    /// Its name, for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Hidden => "hidden",
            Self::Replaced => "replaced",
            Self::Restored {
                mode: true,
                owner: true,
            } => "restored-mode-owner",
            Self::Restored { mode: true, .. } => "restored-mode",
            Self::Restored { owner: true, .. } => "restored-owner",
            Self::Restored { .. } => "restored",
            Self::Moved => "moved",
        }
    }
}

/// The end of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Death {
    /// What ended: the last name of the file that did.
    pub place: Place,
    /// The layer that ended it.
    pub killer: u32,
    /// How.
    pub cause: Cause,
    /// Of a file that was moved: its new name, in the layer that ended it.
    pub moved_to: Option<Place>,
    /// Bytes of the file.
    pub bytes: u64,
}

/// A name of the merged tree.
#[derive(Debug, Clone)]
struct Node {
    /// The entry that has its name.
    name: Place,
    parent: u32,
    first_child: u32,
    next: u32,
    /// What it stands for now.
    version: Option<Place>,
}

const NONE: u32 = u32::MAX;

/// Layers laid over one another.
#[derive(Debug)]
pub struct Tree<'a> {
    layers: &'a [LayerIndex],
    nodes: Vec<Node>,
    by_name: Names,
    /// Of files with several names, by the first: how many of them live.
    names: HashMap<Place, u32>,
    deaths: Vec<Death>,
    /// What each layer made of each node, where somebody wants to know.
    log: Option<Vec<Change>>,
}

/// What a layer made of a node. Of several by the same layer the last one counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) layer: u32,
    pub(crate) node: u32,
    pub(crate) version: Option<Place>,
}

impl<'a> Tree<'a> {
    /// Lays layers over one another, the lowest first.
    pub fn of(layers: &'a [LayerIndex]) -> Self {
        Self::build(layers, None)
    }

    /// The same, and what each layer made of each node, in the order of layers.
    pub(crate) fn with_log(layers: &'a [LayerIndex]) -> (Self, Vec<Change>) {
        let mut tree = Self::build(layers, Some(Vec::new()));
        let log = tree.log.take().unwrap_or_default();
        (tree, log)
    }

    fn build(layers: &'a [LayerIndex], log: Option<Vec<Change>>) -> Self {
        let root = Node {
            name: Place { layer: 0, entry: 0 },
            parent: 0,
            first_child: NONE,
            next: NONE,
            version: None,
        };
        let mut tree = Self {
            layers,
            nodes: vec![root],
            by_name: Names::default(),
            names: HashMap::new(),
            deaths: Vec::new(),
            log,
        };
        tree.by_name.add(0, b"");
        for number in (0..).take(layers.len()) {
            tree.apply(number);
        }
        tree
    }

    /// The layers.
    pub fn layers(&self) -> &'a [LayerIndex] {
        self.layers
    }

    /// What is dead, by the layers that killed it. Files without content are not in it.
    pub fn deaths(&self) -> &[Death] {
        &self.deaths
    }

    /// The entry at a place.
    pub fn entry(&self, place: Place) -> &'a Entry {
        self.index(place.layer).entry(place.entry)
    }

    /// The entry at a place, of a file the one that has its content.
    pub fn content(&self, place: Place) -> (Place, &'a Entry) {
        let first = self.first(place);
        (first, self.entry(first))
    }

    fn index(&self, layer: u32) -> &'a LayerIndex {
        &self.layers[layer as usize]
    }

    fn first(&self, place: Place) -> Place {
        Place {
            entry: self.index(place.layer).first_name(place.entry),
            ..place
        }
    }

    fn apply(&mut self, layer: u32) {
        let index = self.index(layer);
        for entry in index.entries() {
            if let Some(entry) = entry.same_as {
                *self.names.entry(Place { layer, entry }).or_insert(1) += 1;
            }
        }
        let before = self.deaths.len();
        // The node of each entry, 0 where it has none because it deletes something that is not there.
        let mut nodes: Vec<u32> = Vec::with_capacity(index.entries().len());
        for (number, entry) in (0..).zip(index.entries()) {
            let place = Place { layer, entry: number };
            let parent = nodes.get(entry.parent as usize).copied().unwrap_or_default();
            let node = if number == 0 {
                0
            } else if entry.kind == Kind::Whiteout {
                self.child(parent, index.name(entry)).unwrap_or_default()
            } else {
                self.child_or_new(parent, place)
            };
            nodes.push(node);
            match entry.kind {
                Kind::Whiteout if node != 0 => self.end(node, layer, Cause::Deleted),
                Kind::Whiteout => {}
                Kind::Directory => self.directory(node, place, entry),
                _ => self.other(node, place, entry),
            }
        }
        self.find_moved(layer, before);
    }

    fn directory(&mut self, node: u32, place: Place, entry: &Entry) {
        let is_directory = |place| self.entry(place).kind == Kind::Directory;
        let version = self.nodes[node as usize].version;
        if version.is_some_and(|version| !is_directory(version)) {
            self.end(node, place.layer, Cause::Replaced);
        } else if entry.is_opaque {
            self.end_children(node, place.layer, Cause::Hidden);
        }
        // What is only implied says nothing of a directory that is there.
        if !entry.is_implied || self.nodes[node as usize].version.is_none() {
            self.set(node, place.layer, Some(place));
        }
    }

    fn other(&mut self, node: u32, place: Place, entry: &Entry) {
        if let Some(version) = self.nodes[node as usize].version {
            let cause = self.replaced(version, place, entry);
            self.end(node, place.layer, cause);
        }
        self.set(node, place.layer, Some(place));
    }

    /// Says what a node stands for from that layer on, and gives what it stood for.
    fn set(&mut self, node: u32, layer: u32, version: Option<Place>) -> Option<Place> {
        let before = std::mem::replace(&mut self.nodes[node as usize].version, version);
        if let Some(log) = self.log.as_mut().filter(|_| before != version) {
            log.push(Change { layer, node, version });
        }
        before
    }

    fn replaced(&self, old: Place, new: Place, entry: &Entry) -> Cause {
        let (was, is) = (self.content(old).1, self.content(new).1);
        if was.kind != Kind::File || is.kind != Kind::File || was.size == 0 || was.digest != is.digest {
            return Cause::Replaced;
        }
        let old = self.entry(old);
        Cause::Restored {
            mode: old.mode != entry.mode,
            owner: (old.uid, old.gid) != (entry.uid, entry.gid),
        }
    }

    /// Ends what a node stands for, and everything below.
    fn end(&mut self, node: u32, killer: u32, cause: Cause) {
        self.end_children(node, killer, cause);
        self.end_version(node, killer, cause);
    }

    fn end_children(&mut self, node: u32, killer: u32, cause: Cause) {
        let mut todo = vec![self.nodes[node as usize].first_child];
        while let Some(child) = todo.pop() {
            if child == NONE {
                continue;
            }
            todo.push(self.nodes[child as usize].next);
            todo.push(self.nodes[child as usize].first_child);
            self.end_version(child, killer, cause);
        }
    }

    fn end_version(&mut self, node: u32, killer: u32, cause: Cause) {
        let Some(place) = self.set(node, killer, None) else {
            return;
        };
        let (first, entry) = self.content(place);
        if entry.kind != Kind::File {
            return;
        }
        if let Some(names) = self.names.get_mut(&first) {
            *names -= 1;
            if *names > 0 {
                return;
            }
        }
        if entry.size > 0 {
            self.deaths.push(Death {
                place,
                killer,
                cause,
                moved_to: None,
                bytes: entry.size,
            });
        }
    }

    /// Files that this layer deleted, and whose content it has anew.
    fn find_moved(&mut self, layer: u32, from: usize) {
        let is_gone = |death: &Death| matches!(death.cause, Cause::Deleted | Cause::Hidden);
        if !self.deaths[from..].iter().any(is_gone) {
            return;
        }
        let entries = (0..).zip(self.index(layer).entries());
        let new: HashMap<&[u8; 32], u32> = entries
            .filter(|(_, entry)| entry.kind == Kind::File && entry.size > 0)
            .map(|(number, entry)| (&entry.digest, number))
            .collect();
        for at in from..self.deaths.len() {
            let death = self.deaths[at];
            if is_gone(&death)
                && let Some(&to) = new.get(&self.content(death.place).1.digest)
            {
                self.deaths[at].cause = Cause::Moved;
                self.deaths[at].moved_to = Some(Place { layer, entry: to });
            }
        }
    }

    fn name_of(&self, node: u32) -> &'a [u8] {
        let name = self.nodes[node as usize].name;
        let index = self.index(name.layer);
        index.name(index.entry(name.entry))
    }

    fn child(&self, parent: u32, name: &[u8]) -> Option<u32> {
        let has =
            |number: u32| number != 0 && self.nodes[number as usize].parent == parent && self.name_of(number) == name;
        self.by_name.find(parent, name, has)
    }

    fn child_or_new(&mut self, parent: u32, place: Place) -> u32 {
        let index = self.index(place.layer);
        let name = index.name(index.entry(place.entry));
        if let Some(node) = self.child(parent, name) {
            return node;
        }
        let node = u32::try_from(self.nodes.len()).expect("an index has far fewer entries than there are numbers");
        self.nodes.push(Node {
            name: place,
            parent,
            first_child: NONE,
            next: self.nodes[parent as usize].first_child,
            version: None,
        });
        self.nodes[parent as usize].first_child = node;
        self.by_name.add(parent, name);
        node
    }

    /// What is at a name in a directory of the merged tree. The root is node 0.
    pub fn look_up(&self, directory: u32, name: &[u8]) -> Option<(u32, Place)> {
        let node = self.child(directory, name)?;
        Some((node, self.nodes[node as usize].version?))
    }

    /// What a node stands for now.
    pub(crate) fn version(&self, node: u32) -> Option<Place> {
        self.nodes[node as usize].version
    }

    /// Everything that lives in a directory of the merged tree: name, node, and what it stands for; in no order.
    pub fn children(&self, directory: u32) -> impl Iterator<Item = (&'a [u8], u32, Place)> {
        let first = self.nodes[directory as usize].first_child;
        let next = |number: &u32| Some(self.nodes[*number as usize].next).filter(|next| *next != NONE);
        let all = std::iter::successors(Some(first).filter(|first| *first != NONE), next);
        all.filter_map(|number| {
            let node = &self.nodes[number as usize];
            Some((self.name_of(number), number, node.version?))
        })
    }

    /// The directory that a node is in; the root's is itself.
    pub fn parent(&self, node: u32) -> u32 {
        self.nodes[node as usize].parent
    }

    /// Everything that lives but the root, each with its node, in no order that means anything.
    pub fn live(&self) -> impl Iterator<Item = (u32, Place)> {
        let nodes = (0..).zip(&self.nodes).skip(1);
        nodes.filter_map(|(number, node): (u32, &Node)| Some((number, node.version?)))
    }

    /// Whether a live file is shown by its first living name, so that each file is counted once.
    pub fn live_files(&self) -> Vec<(u32, Place, &'a Entry)> {
        let mut seen = std::collections::HashSet::new();
        let mut files = Vec::new();
        for (node, place) in self.live() {
            let (first, entry) = self.content(place);
            if entry.kind == Kind::File && (!self.names.contains_key(&first) || seen.insert(first)) {
                files.push((node, place, entry));
            }
        }
        files
    }

    /// The path of a node, without a slash before it; empty for the root.
    pub fn path(&self, node: u32) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = node;
        while at != 0 {
            names.push(self.name_of(at));
            at = self.nodes[at as usize].parent;
        }
        names.reverse();
        names.join(&b'/')
    }

    /// The path of an entry in its layer, which is the same in the tree.
    pub fn path_of(&self, place: Place) -> Vec<u8> {
        self.index(place.layer).path(place.entry)
    }

    /// How many nodes there are, those that stand for nothing any more included.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The entry that has a node's name.
    pub(crate) fn name(&self, node: u32) -> Place {
        self.nodes[node as usize].name
    }
}
