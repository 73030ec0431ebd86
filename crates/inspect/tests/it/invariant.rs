//! The bytes of all layers are those that live and those that are dead, whatever the layers: compared with a model that
//! knows nothing but a map of paths.

use std::collections::BTreeMap;

use kiln_inspect::waste::Waste;
use kiln_inspect::{Change as Became, Kind, LayerIndex, Moments, Place, Tree};
use proptest::collection::vec;
use proptest::prelude::*;

use super::support::Tar;

/// What a layer does at a path.
#[derive(Debug, Clone)]
enum Change {
    File(u8, bool),
    Directory,
    /// A directory that hides what was below.
    Opaque,
    Delete,
    /// A further name of the file that the layer has at that path, if it has one.
    Link(usize),
}

/// Few names, so that much happens at the same.
const PATHS: &[&str] = &["a", "a/a", "a/b", "a/b/a", "a/b/b", "b", "b/a", "b-a", "c", "c/a/b"];

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (0_u8..4, any::<bool>()).prop_map(|(content, mode)| Change::File(content, mode)),
        2 => Just(Change::Directory),
        1 => Just(Change::Opaque),
        2 => Just(Change::Delete),
        1 => (0..PATHS.len()).prop_map(Change::Link),
    ]
}

/// The names of files: path to content and the identity of the file.
type Model = BTreeMap<&'static str, (usize, usize)>;

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

/// One layer: at each path at most one thing, and nothing below what is no directory.
fn layer(changes: &[(usize, Change)]) -> BTreeMap<&'static str, Change> {
    let mut layer: BTreeMap<&'static str, Change> = BTreeMap::new();
    for (at, change) in changes {
        let path = PATHS[*at];
        let blocked = |other: &&str| {
            let is_directory = |change: &Change| matches!(change, Change::Directory | Change::Opaque);
            (is_below(path, other) && !is_directory(&layer[*other])) || (is_below(other, path) && !is_directory(change))
        };
        if layer.contains_key(path) || layer.keys().any(blocked) {
            continue;
        }
        if let Change::Link(file) = change
            && !matches!(layer.get(PATHS[*file]), Some(Change::File(..)))
        {
            continue;
        }
        layer.insert(path, change.clone());
    }
    layer
}

fn size(content: u8) -> usize {
    usize::from(content) * 3
}

fn tar(layer: &BTreeMap<&'static str, Change>) -> Tar {
    let mut tar = Tar::default();
    let mut links = Vec::new();
    for (path, change) in layer {
        tar = match change {
            Change::File(content, mode) => tar.file_as(
                path,
                vec![*content; size(*content)],
                if *mode { 0o755 } else { 0o644 },
                0,
            ),
            Change::Directory => tar.directory(path),
            Change::Opaque => tar.directory(path).mark(&format!("{path}/.wh..wh..opq")),
            Change::Delete => {
                let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
                tar.mark(&format!("{directory}/.wh.{name}"))
            }
            Change::Link(file) => {
                links.push((path, PATHS[*file]));
                tar
            }
        };
    }
    for (path, file) in links {
        tar = tar.link(path, file);
    }
    tar
}

/// Applies a layer to what lower ones show, and gives the bytes of its files.
fn apply(model: &mut Model, layer: &BTreeMap<&'static str, Change>, files: &mut usize) -> usize {
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    let mut bytes = 0;
    let below = |model: &mut Model, path: &str| model.retain(|other, _| !is_below(other, path));
    for (path, change) in layer {
        // What a path leads through is a directory.
        model.retain(|other, _| !is_below(path, other));
        match change {
            Change::Directory => {
                model.remove(path);
            }
            Change::Opaque | Change::Delete | Change::File(..) | Change::Link(_) => {
                model.remove(path);
                below(model, path);
            }
        }
    }
    for (path, change) in layer {
        if let Change::File(content, _) = change {
            *files += 1;
            names.insert(path, *files);
            bytes += size(*content);
            model.insert(path, (size(*content), *files));
        }
    }
    for (path, change) in layer {
        if let Change::Link(file) = change {
            let file = model[PATHS[*file]];
            model.insert(path, file);
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn all_bytes_live_or_are_dead(stack in vec(vec((0..PATHS.len(), change()), 0..8), 0..6)) {
        let stack: Vec<_> = stack.iter().map(|changes| layer(changes)).collect();
        let layers: Vec<LayerIndex> = stack.iter().map(|layer| tar(layer).index()).collect();
        let waste = Waste::of(&layers);
        let mut model = Model::new();
        let mut files = 0;
        let mut bytes = 0;
        for (layer, found) in stack.iter().zip(&waste.layers) {
            let of_layer = apply(&mut model, layer, &mut files);
            prop_assert_eq!(found.bytes, of_layer as u64);
            bytes += of_layer;
        }
        let live: BTreeMap<usize, usize> = model.values().map(|(size, file)| (*file, *size)).collect();
        prop_assert_eq!(waste.bytes, bytes as u64);
        prop_assert_eq!(waste.live, live.values().sum::<usize>() as u64);
        prop_assert_eq!(waste.dead, waste.bytes - waste.live);
        // Every dead byte has somebody who brought it, and somebody who killed it.
        let sum = |of: fn(&kiln_inspect::waste::LayerWaste) -> u64| waste.layers.iter().map(of).sum::<u64>();
        prop_assert_eq!(sum(|layer| layer.dead), waste.dead);
        prop_assert_eq!(sum(|layer| layer.killed), waste.dead);
        let dead = waste.findings.iter().filter(|finding| finding.kind.is_dead());
        prop_assert_eq!(dead.map(|finding| finding.bytes).sum::<u64>(), waste.dead);
        // What is kept of a layer is the layer.
        for layer in &layers {
            let again = LayerIndex::from_bytes(&layer.to_bytes());
            prop_assert_eq!(again.as_ref(), Some(layer));
        }
        // In whatever order its tar has it.
        for (changes, layer) in stack.iter().zip(&layers) {
            prop_assert_eq!(&tar(changes).backwards().index(), layer);
        }
    }
    /// What is at each moment is what the layers up to it show, and every sum is that of what is there.
    #[test]
    fn moments_are_the_trees_of_the_layers_up_to_them(stack in vec(vec((0..PATHS.len(), change()), 0..8), 1..6)) {
        let layers: Vec<LayerIndex> = stack.iter().map(|changes| tar(&layer(changes)).index()).collect();
        let moments = Moments::of_layers(&layers);
        let mut before = BTreeMap::new();
        for moment in 0..moments.count() {
            let tree = Tree::of(&layers[..=moment as usize]);
            let expected: BTreeMap<Vec<u8>, Place> = tree.live().map(|(node, place)| (tree.path(node), place)).collect();
            let nodes = (1..).take(moments.len() - 1);
            let found: BTreeMap<Vec<u8>, Place> = nodes
                .clone()
                .filter_map(|node| Some((moments.path(node), moments.at(node, moment)?)))
                .collect();
            prop_assert_eq!(&found, &expected);
            for node in 0..u32::try_from(moments.len()).unwrap() {
                let path = moments.path(node);
                prop_assert_eq!(moments.find(&path), Some(node));
                let inside = |other: &[u8]| {
                    node == 0 || other == path || other.strip_prefix(&path[..]).is_some_and(|rest| rest[0] == b'/')
                };
                let below: Vec<Place> = expected.iter().filter(|(other, _)| inside(other)).map(|(_, place)| *place).collect();
                let files = below.iter().filter(|place| tree.entry(**place).kind != Kind::Directory);
                prop_assert_eq!(moments.bytes(node, moment), below.iter().map(|place| tree.entry(*place).size).sum::<u64>());
                prop_assert_eq!(moments.files(node, moment), files.count() as u64);
                if let (Some(last), 1..) = (moment.checked_sub(1), node) {
                    let change = moments.change(node, last, moment);
                    let is_there = [before.contains_key(&path), expected.contains_key(&path)];
                    let is_kind = match is_there {
                        [false, false] => change == Became::None,
                        [false, true] => change == Became::Added,
                        [true, false] => change == Became::Removed,
                        [true, true] => !matches!(change, Became::Added | Became::Removed),
                    };
                    prop_assert!(is_kind, "{:?} {:?} {:?}", String::from_utf8_lossy(&path), change, is_there);
                    if change != Became::None {
                        prop_assert!(moments.has_changes(node, last, moment));
                    }
                }
            }
            before = expected;
        }
    }
}
