//! What names are compared with, and searches that are done piece by piece, so that no key waits for them.

use kiln_inspect::Moments;
use regex_lite::Regex;

/// A regular expression, or text that means only itself.
#[derive(Debug, Clone)]
pub(crate) enum Pattern {
    Text(String),
    Regex(Regex),
}

impl Pattern {
    /// Reads one. What is no regular expression is said why.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.contains(|c| "\\+*?()|[]{}^$.".contains(c)) {
            let regex = Regex::new(text).map_err(|error| format!("no regular expression: {error}"))?;
            return Ok(Self::Regex(regex));
        }
        Ok(Self::Text(text.to_owned()))
    }

    /// Whether a path, which begins with a slash, has it.
    pub(crate) fn is_in(&self, path: &[u8]) -> bool {
        let text = String::from_utf8_lossy(path);
        match self {
            Self::Text(part) => text.contains(part),
            Self::Regex(regex) => regex.is_match(&text),
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text(text) => text,
            Self::Regex(regex) => regex.as_str(),
        })
    }
}

/// A path with a slash before it.
pub(crate) fn rooted(moments: &Moments<'_>, node: u32) -> Vec<u8> {
    [b"/", &moments.path(node)[..]].concat()
}

/// A set of nodes.
#[derive(Debug, Clone, Default)]
struct Nodes(Vec<u64>);

impl Nodes {
    fn new(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn has(&self, node: u32) -> bool {
        self.0[node as usize / 64] >> (node % 64) & 1 == 1
    }

    fn add(&mut self, node: u32) {
        self.0[node as usize / 64] |= 1 << (node % 64);
    }
}

/// What is left of a tree when only paths that a pattern is in are shown, and the way to them.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub(crate) pattern: Pattern,
    next: u32,
    count: u32,
    shown: Nodes,
    above: Nodes,
}

impl Filter {
    /// A filter that has not looked at anything yet.
    pub(crate) fn new(pattern: Pattern, moments: &Moments<'_>) -> Self {
        Self {
            pattern,
            next: 1,
            count: u32::try_from(moments.len()).unwrap_or(u32::MAX),
            shown: Nodes::new(moments.len()),
            above: Nodes::new(moments.len()),
        }
    }

    /// Looks at some more nodes: at those that are there, of which the caller knows.
    pub(crate) fn work(&mut self, moments: &Moments<'_>, nodes: u32, is_there: impl Fn(u32) -> bool) {
        let end = self.next.saturating_add(nodes).min(self.count);
        for node in self.next..end {
            if !is_there(node) || !self.pattern.is_in(&rooted(moments, node)) {
                continue;
            }
            self.shown.add(node);
            let mut at = node;
            while at != 0 {
                at = moments.parent(at);
                if self.above.has(at) {
                    break;
                }
                self.above.add(at);
            }
        }
        self.next = self.next.max(end);
    }

    /// Whether it has looked at all nodes.
    pub(crate) const fn is_done(&self) -> bool {
        self.next >= self.count
    }

    /// Whether it lets a node be seen.
    pub(crate) fn shows(&self, node: u32) -> bool {
        self.shown.has(node) || self.above.has(node)
    }

    /// Whether there is a way through this directory to what was looked for.
    pub(crate) fn is_above(&self, node: u32) -> bool {
        self.above.has(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, path, expected) in [
            ("bin", "/usr/bin/env", true),
            ("r/b", "/usr/bin/env", true),
            ("Bin", "/usr/bin/env", false),
            ("env$", "/usr/bin/env", true),
            ("bin$", "/usr/bin/env", false),
            ("^/usr", "/usr/bin/env", true),
            ("(?i)BIN", "/usr/bin", true),
            (r"\.so\.\d+", "/lib/a.so.6", true),
        ] {
            let found = Pattern::parse(pattern).unwrap().is_in(path.as_bytes());
            assert_eq!(found, expected, "{pattern} {path}");
        }
        assert!(Pattern::parse("(").is_err());
    }
}
