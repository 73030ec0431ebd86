//! What an image may be: limits and things that must or must not be there.

use std::collections::BTreeSet;

use crate::image::Image;
use crate::index::Kind;
use crate::tree::{Place, Tree};

/// Files of an image that have a property, by path: with the layer that has them.
pub type Files = Vec<(Vec<u8>, u32)>;

/// A limit for waste.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// So many bytes.
    Bytes(u64),
    /// So much of all bytes of the image: 1 is all.
    Share(f64),
}

impl Limit {
    /// The bytes that it allows of an image of that size.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share between 0 and 1 of what there is"
    )]
    pub fn of(self, bytes: u64) -> u64 {
        match self {
            Self::Bytes(limit) => limit,
            Self::Share(share) => (bytes as f64 * share.clamp(0.0, 1.0)) as u64,
        }
    }
}

/// The files that one of the patterns means: a pattern with a slash is a path of the image in which `*` stands for any
/// characters; one without is the name of a command, wherever PATH would find it.
pub fn matching(image: &Image, tree: &Tree<'_>, patterns: &[String]) -> Files {
    let directories: BTreeSet<u32> = crate::start::search_path(image)
        .iter()
        .filter_map(|path| tree.resolve(0, path.as_bytes()).ok())
        .map(|found| found.node)
        .collect();
    let mut files = Files::new();
    for (node, place) in tree.live() {
        if matches!(tree.entry(place).kind, Kind::Directory | Kind::Whiteout) {
            continue;
        }
        let path = tree.path(node);
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(&path);
        let is_command = directories.contains(&tree.parent(node));
        let is_meant = |pattern: &String| match pattern.strip_prefix('/') {
            Some(pattern) => is_like(&path, pattern.as_bytes()),
            None if pattern.contains('/') => is_like(&path, pattern.as_bytes()),
            None => is_command && is_like(name, pattern.as_bytes()),
        };
        if patterns.iter().any(is_meant) {
            files.push((path, place.layer));
        }
    }
    files.sort();
    files
}

/// The files that run with the rights of their owner or group, whoever starts them.
pub fn setuid(tree: &Tree<'_>) -> Files {
    let has_right = |place: Place| {
        let entry = tree.entry(place);
        entry.kind == Kind::File && entry.mode & 0o111 != 0 && entry.mode & 0o6000 != 0
    };
    let found = tree.live().filter(|(_, place)| has_right(*place));
    let mut files: Files = found.map(|(node, place)| (tree.path(node), place.layer)).collect();
    files.sort();
    files
}

/// Whether a text is like a pattern in which `*` stands for any characters. Takes time in proportion to both.
pub fn is_like(text: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut in_pattern) = (0, 0);
    // Where the last star is, and how much of the text it stands for so far.
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(in_pattern) {
            Some(b'*') => {
                star = Some((in_pattern, at));
                in_pattern += 1;
            }
            Some(byte) if *byte == text[at] => {
                at += 1;
                in_pattern += 1;
            }
            _ => {
                let Some((place, taken)) = star else { return false };
                star = Some((place, taken + 1));
                at = taken + 1;
                in_pattern = place + 1;
            }
        }
    }
    pattern[in_pattern..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (text, pattern, expected) in [
            ("a", "a", true),
            ("a", "b", false),
            ("", "*", true),
            ("", "", true),
            ("abc", "a*", true),
            ("abc", "*c", true),
            ("abc", "a*b", false),
            ("abcbc", "a*bc", true),
            ("a/b/c", "a/*/c", true),
            ("a/b", "a/b*x", false),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "*a*a*a*a*a*a*c", false),
        ] {
            assert_eq!(
                is_like(text.as_bytes(), pattern.as_bytes()),
                expected,
                "{text} {pattern}"
            );
        }
    }

    #[test]
    fn limits() {
        assert_eq!(
            [
                Limit::Bytes(5).of(100),
                Limit::Share(0.25).of(100),
                Limit::Share(7.0).of(100)
            ],
            [5, 25, 100]
        );
    }
}
