//! Things that have names in directories, found by both: a table of numbers, which the names themselves are no part of.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};

/// No number.
const NONE: u32 = u32::MAX;

/// Finds numbers by a directory's number and a name in it. The names are foreign: the table is keyed anew each time, so that
/// nobody can make them collide.
#[derive(Debug, Default)]
pub(crate) struct Names {
    keys: RandomState,
    /// The last number whose directory and name have that hash.
    last: HashMap<u32, u32, BuildHasherDefault<Same>>,
    /// The one before of the same hash, by number.
    before: Vec<u32>,
}

/// What is a hash already.
#[derive(Debug, Default)]
pub(crate) struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u32(&mut self, hash: u32) {
        // The table uses bits of both ends.
        self.0 = u64::from(hash) << 32 | u64::from(hash);
    }
}

impl Names {
    /// The number of that name; `has` says whether a number has it.
    pub(crate) fn find(&self, directory: u32, name: &[u8], has: impl Fn(u32) -> bool) -> Option<u32> {
        let mut number = *self.last.get(&self.hash(directory, name))?;
        while number != NONE {
            if has(number) {
                return Some(number);
            }
            number = self.before[number as usize];
        }
        None
    }

    /// Half of a hash is enough: those who share one are told apart.
    #[expect(clippy::cast_possible_truncation, reason = "half of it is taken")]
    fn hash(&self, directory: u32, name: &[u8]) -> u32 {
        self.keys.hash_one((directory, name)) as u32
    }

    /// Adds the next number, counted from 0.
    pub(crate) fn add(&mut self, directory: u32, name: &[u8]) {
        let number = u32::try_from(self.before.len()).unwrap_or(NONE);
        let before = self.last.insert(self.hash(directory, name), number);
        self.before.push(before.unwrap_or(NONE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_their_directories() {
        let all = [(0, "a"), (0, "b"), (1, "a"), (2, "")];
        let mut names = Names::default();
        for (directory, name) in all {
            names.add(directory, name.as_bytes());
        }
        let find = |directory, name: &str| {
            names.find(directory, name.as_bytes(), |number| {
                all[number as usize] == (directory, name)
            })
        };
        for (number, (directory, name)) in (0..).zip(all) {
            assert_eq!(find(directory, name), Some(number));
        }
        assert_eq!((find(1, "b"), find(3, "")), (None, None));
    }
}
