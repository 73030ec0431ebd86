//! Patterns without wildcards: looked up name by name instead of compared one after the other.

use std::collections::HashMap;

/// The last pattern, by its place, with each plain path, and with each name anywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plain {
    /// A number for each name that a pattern has.
    names: HashMap<String, usize>,
    /// The paths as a tree: from a place in it by a name to the next. The root is 0.
    ways: HashMap<(usize, usize), usize>,
    /// The patterns that end at places of the tree.
    paths: HashMap<usize, usize>,
    /// The patterns `**/NAME`.
    anywhere: HashMap<usize, usize>,
}

impl Plain {
    pub(super) fn add_path(&mut self, path: &str, pattern: usize) {
        let end = path.split('/').fold(0, |place, name| {
            let name = self.name(name);
            let new = self.ways.len() + 1;
            *self.ways.entry((place, name)).or_insert(new)
        });
        self.paths.insert(end, pattern);
    }

    pub(super) fn add_name(&mut self, name: &str, pattern: usize) {
        let name = self.name(name);
        self.anywhere.insert(name, pattern);
    }

    fn name(&mut self, name: &str) -> usize {
        let new = self.names.len();
        *self.names.entry(name.to_owned()).or_insert(new)
    }

    /// The last pattern that fits the path or a parent of it.
    pub(super) fn last(&self, path: &str) -> Option<usize> {
        let mut last = None;
        let mut place = Some(0);
        for name in path.split('/') {
            let name = self.names.get(name);
            place = place
                .zip(name)
                .and_then(|(place, name)| self.ways.get(&(place, *name)).copied());
            let path = place.and_then(|place| self.paths.get(&place));
            let name = name.and_then(|name| self.anywhere.get(name));
            last = last.max(path.copied()).max(name.copied());
        }
        last
    }
}
