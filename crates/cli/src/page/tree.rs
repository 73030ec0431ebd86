//! A tree of files, as much of it as a page can hold: what is large by itself, what is small together.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use kiln_inspect::Moments;
use serde_json::{Value, json};

use crate::progress::text::{cut, sanitise};

/// How many names of a directory are there by themselves.
const WIDEST: usize = 250;

/// How much of a name is there.
const LONGEST: usize = 120;

/// The root of a tree at its last moment: `[name, bytes, files, children]`, children only of directories. The name of what
/// stands for several small files is empty. There are no more than about `budget` names, those of the largest directories.
pub(super) fn tree(moments: &Moments<'_>, name: &str, budget: usize) -> Value {
    let last = moments.count().saturating_sub(1);
    let mut shown: BTreeMap<u32, Shown> = BTreeMap::new();
    let mut todo = BinaryHeap::from([(moments.bytes(0, last), Reverse(0))]);
    let mut left = budget;
    while let Some((_, Reverse(directory))) = todo.pop() {
        let is_there = |node: &&u32| moments.at(**node, last).is_some();
        let mut children: Vec<(u64, u32)> = moments
            .children(directory)
            .iter()
            .filter(is_there)
            .map(|node| (moments.bytes(*node, last), *node))
            .collect();
        children.sort_unstable_by_key(|(bytes, node)| (Reverse(*bytes), moments.name(*node)));
        let count = children.len().min(WIDEST).min(left);
        left -= count;
        let rest = children.split_off(count);
        for (bytes, node) in &children {
            if moments.is_directory(*node, last) {
                todo.push((*bytes, Reverse(*node)));
            }
        }
        let shown_here = Shown {
            children: children.into_iter().map(|(_, node)| node).collect(),
            rest: rest.iter().map(|(bytes, _)| bytes).sum(),
            rest_files: rest.iter().map(|(_, node)| moments.files(*node, last)).sum(),
        };
        shown.insert(directory, shown_here);
        if left == 0 {
            break;
        }
    }
    value(moments, last, 0, name, &shown)
}

/// What is shown of a directory.
struct Shown {
    children: Vec<u32>,
    /// Bytes of what is not.
    rest: u64,
    rest_files: u64,
}

/// Directories are opened from the top: how deep they nest is bounded by how many names there are. A page is not to be nested
/// deeper than any reader of it allows.
const DEEPEST: usize = 100;

/// A directory that is being made: its children to come, and what was made of those before.
struct Open<'s> {
    node: u32,
    name: String,
    todo: std::slice::Iter<'s, u32>,
    made: Vec<Value>,
}

fn value(moments: &Moments<'_>, last: u32, node: u32, name: &str, shown: &BTreeMap<u32, Shown>) -> Value {
    let mut tree = Vec::new();
    let open = |node: u32, name: String| Open {
        node,
        name,
        todo: shown.get(&node).map_or([].iter(), |shown| shown.children.iter()),
        made: Vec::new(),
    };
    tree.push(open(node, name.to_owned()));
    loop {
        let depth = tree.len();
        let top = tree.last_mut().expect("the root is open until it is returned");
        if let Some(child) = top.todo.next() {
            let name = cut(&sanitise(moments.name(*child)), LONGEST, '…');
            if depth < DEEPEST && shown.contains_key(child) {
                let child = open(*child, name);
                tree.push(child);
            } else {
                top.made
                    .push(json!([name, moments.bytes(*child, last), moments.files(*child, last)]));
            }
            continue;
        }
        let mut done = tree.pop().expect("it was the last one");
        if let Some(rest) = shown.get(&done.node).filter(|shown| shown.rest_files > 0) {
            done.made.push(json!(["", rest.rest, rest.rest_files]));
        }
        let value = json!([
            done.name,
            moments.bytes(done.node, last),
            moments.files(done.node, last),
            done.made
        ]);
        match tree.last_mut() {
            Some(parent) => parent.made.push(value),
            None => return value,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use kiln_inspect::LayerIndex;
    use kiln_layer::tar::{Entry, Kind, Writer};

    use super::*;

    fn layer(files: impl IntoIterator<Item = (String, u64)>) -> Vec<LayerIndex> {
        let mut writer = Writer::new(Vec::new());
        for (path, size) in files {
            let entry = Entry {
                size,
                ..Entry::new(path, Kind::File, 0o644)
            };
            writer.entry(&entry).unwrap();
            writer.data(&vec![0; usize::try_from(size).unwrap()]).unwrap();
        }
        vec![LayerIndex::of_tar(&writer.finish().unwrap()[..], Path::new("test")).unwrap()]
    }

    /// Bytes and files of what a directory has in it, and how many names that are.
    fn sums(tree: &Value) -> (u64, u64, usize) {
        let Some(children) = tree.get(3).and_then(Value::as_array) else {
            return (tree[1].as_u64().unwrap(), tree[2].as_u64().unwrap(), 1);
        };
        let all = children.iter().map(sums);
        let sum = all.fold((0, 0, 1), |sum, child| {
            (sum.0 + child.0, sum.1 + child.1, sum.2 + child.2)
        });
        assert_eq!(
            (sum.0, sum.1),
            (tree[1].as_u64().unwrap(), tree[2].as_u64().unwrap()),
            "{}",
            tree[0]
        );
        sum
    }

    #[test]
    fn what_is_small_is_a_sum() {
        let files = (0..20_000).map(|number| (format!("d{}/{}/file-{number}", number % 40, number % 7), number % 90));
        let layers = layer(files);
        let tree = tree(&Moments::of_layers(&layers), "/", 1000);
        let (bytes, files, names) = sums(&tree);
        assert_eq!(
            (bytes, files),
            ((0..20_000).map(|number| number % 90).sum::<u64>(), 20_000)
        );
        // Besides names there are sums, one for each directory at most.
        assert!(names <= 1001 + 321, "{names}");
        assert!(tree.to_string().len() < 100_000);
    }

    #[test]
    fn deep_directories_and_odd_names() {
        let deep = "d/".repeat(3000) + "f";
        let layers = layer([(deep, 5), ("\u{1b}[2Jx".to_owned(), 1), ("n".repeat(200), 2)]);
        let tree = tree(&Moments::of_layers(&layers), "/", 10_000);
        let text = tree.to_string();
        assert!(
            serde_json::from_str::<Value>(&text).is_err() || text.matches('[').count() < 250,
            "too deep for readers"
        );
        assert!(!text.contains('\u{1b}') && text.contains("\"x\""), "{text}");
        assert_eq!(tree[1], 8);
    }

    #[test]
    fn an_empty_image() {
        assert_eq!(tree(&Moments::of_layers(&layer([])), "/", 10), json!(["/", 0, 0, []]));
    }
}
