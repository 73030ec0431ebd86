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

fn value(moments: &Moments<'_>, last: u32, node: u32, name: &str, shown: &BTreeMap<u32, Shown>) -> Value {
    let mut tree = Vec::new();
    // Without recursion: the children of what is being made, and what is made of them so far.
    struct Open<'s> {
        node: u32,
        name: String,
        todo: std::slice::Iter<'s, u32>,
        made: Vec<Value>,
    }
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
