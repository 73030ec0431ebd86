//! Which paths of a layer are wanted.

use std::path::Path;

use crate::root::clean_in_root;

/// With more paths everything is wanted: an image may be made to have a million that lead from one to the next, and for each
/// entry all are gone through.
const MOST: usize = 64;

/// Paths that are wanted, each with all that is below it; and the directories that lead to them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// [Clean](crate::root::clean).
    paths: Vec<Vec<u8>>,
}

impl Wanted {
    /// Everything.
    pub fn all() -> Self {
        Self {
            paths: vec![Vec::new()],
        }
    }

    /// Whether everything is wanted.
    pub fn is_all(&self) -> bool {
        self.covers(b"")
    }

    /// Adds a path, as seen from the root. Says whether it was not wanted before; with 64 others, all is now.
    pub fn add(&mut self, path: &Path) -> bool {
        let path = clean_in_root(path);
        if self.covers(&path) {
            return false;
        }
        if self.paths.len() == MOST {
            *self = Self::all();
        } else {
            self.paths.push(path);
        }
        true
    }

    /// Whether all of what is at a clean path is wanted.
    pub(crate) fn covers(&self, path: &[u8]) -> bool {
        self.paths.iter().any(|wanted| is_above(wanted, path))
    }

    /// Whether something at a clean path is wanted, or leads to what is.
    pub(crate) fn takes(&self, path: &[u8]) -> bool {
        self.paths
            .iter()
            .any(|wanted| is_above(wanted, path) || is_above(path, wanted))
    }
}

/// Whether one path is the other, or a directory above it.
fn is_above(above: &[u8], path: &[u8]) -> bool {
    above.is_empty()
        || path
            .strip_prefix(above)
            .is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted() {
        let mut wanted = Wanted::default();
        for path in ["/a/b", "c", "/a/./b/x"] {
            wanted.add(Path::new(path));
        }
        assert_eq!(wanted.paths.len(), 2);
        for (path, takes, covers) in [
            ("", true, false),
            ("a", true, false),
            ("a/b", true, true),
            ("a/b/x", true, true),
            ("a/bc", false, false),
            ("a/c", false, false),
            ("c", true, true),
            ("cc", false, false),
        ] {
            assert_eq!(wanted.takes(path.as_bytes()), takes, "{path}");
            assert_eq!(wanted.covers(path.as_bytes()), covers, "{path}");
        }
        assert!(!wanted.add(Path::new("/a/b/y")) && wanted.add(Path::new("/..")));
        assert!(wanted.is_all() && wanted.covers(b"x"));
    }

    #[test]
    fn of_many_paths_none_is_kept() {
        let mut wanted = Wanted::default();
        for number in 0..100_000 {
            let is_new = wanted.add(Path::new(&number.to_string()));
            assert_eq!((is_new, wanted.is_all()), (number <= MOST, number >= MOST));
            assert!(wanted.paths.len() <= MOST);
        }
    }
}
