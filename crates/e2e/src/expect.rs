//! `case.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::text_or;

/// A whole case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// One sentence: what must hold.
    pub about: String,
    /// What it needs besides a user namespace: `root` runs as root only, `rootless` as an ordinary user only.
    #[serde(default)]
    pub only: Option<Rung>,
    /// It has steps for this architecture (`arm64`): played where `kiln doctor` says that they run.
    #[serde(default)]
    pub steps_for: Option<String>,
    /// Its outcome is the same for every user, so it is played once: by whoever runs the tests.
    #[serde(default)]
    pub once: bool,
    /// Shell commands run in the copy of the case's directory before anything else: for what git cannot hold.
    #[serde(default)]
    pub setup: Option<String>,
    /// The builds, one after the other, in one store.
    #[serde(default)]
    pub build: Vec<Build>,
    /// Commands afterwards.
    #[serde(default)]
    pub then: Vec<Then>,
}

/// A rung of the ladder of privileges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rung {
    /// As root.
    Root,
    /// As an ordinary user with a range of subordinate ids.
    Rootless,
}

/// One `kiln build`, and what must come of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Build {
    /// Shell commands before it: an edit.
    pub before: Option<String>,
    /// Options besides the runner's own.
    pub args: Vec<String>,
    /// The context; the case's directory where not given.
    pub context: Option<String>,
    /// A file for standard input.
    pub stdin: Option<String>,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// The exit code.
    pub exit: i32,
    /// Parts that standard error must contain.
    pub stderr: Vec<String>,
    /// Parts that neither stream may contain.
    pub silent: Vec<String>,
    /// Parts of names of steps that must come from the cache.
    pub cached: Vec<String>,
    /// Parts of names of steps that must really run.
    pub ran: Vec<String>,
    /// By parts of names of steps that must really run: a part of what `--explain` says of it.
    pub why: BTreeMap<String, String>,
    /// Parts of names that no step may have.
    pub no_step: Vec<String>,
    /// Paths of the final file tree; a text alone is a file's content.
    #[serde(deserialize_with = "text_or::map")]
    pub tree: BTreeMap<String, Entry>,
    /// All paths of the final file tree, without a leading slash; directories end in one.
    pub paths: Option<Vec<String>>,
    /// Paths that must not be in it. `*` ends a path for "nothing below".
    pub absent: Vec<String>,
    /// Fields of the image's `config`; others do not matter. `"<absent>"` for those that must not be there.
    pub config: Option<toml::Table>,
    /// Fields of the image itself.
    pub image: Option<toml::Table>,
    /// All `created_by` of the history, after those of the base; `*` matches anything.
    pub history: Option<Vec<String>>,
    /// The number of layers.
    pub layers: Option<usize>,
    /// Layers by position (from the end: -1 is the last) and what each holds.
    pub layer: Vec<Layer>,
    /// Do not ask for an OCI layout: the case has outputs of its own, or none.
    pub no_output: bool,
}

/// A path of the file tree; what is not given does not matter.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Entry {
    /// `file`, `dir`, `link`, `char`, `block`, `fifo`
    pub r#type: Option<String>,
    /// Octal.
    pub mode: Option<String>,
    /// `UID:GID`
    pub owner: Option<String>,
    /// A file's bytes, as text.
    pub content: Option<String>,
    /// A part of a file's bytes.
    pub contains: Option<String>,
    /// A file's size.
    pub size: Option<u64>,
    /// Where a symbolic link points.
    pub link: Option<String>,
    /// Another path that is the same file.
    pub same_as: Option<String>,
    /// Seconds since 1970.
    pub mtime: Option<u64>,
    /// Extended attributes.
    pub xattr: BTreeMap<String, String>,
}

impl From<String> for Entry {
    fn from(content: String) -> Self {
        Self {
            content: Some(content),
            ..Self::default()
        }
    }
}

/// What one layer's tar holds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// From the end: -1 is the last.
    pub at: i64,
    /// All its entries, in any order.
    pub entries: Vec<String>,
}

/// A shell command with `kiln` on the path.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Then {
    /// The command, for `sh -e`. `$OUT` is the directory for outputs, `$REGISTRY` a registry.
    pub run: String,
    /// The exit code.
    pub exit: i32,
    /// Parts that standard output must contain.
    pub stdout: Vec<String>,
    /// Parts that standard error must contain.
    pub stderr: Vec<String>,
    /// Parts that neither may contain.
    pub silent: Vec<String>,
}

/// Whether a text is like a pattern in which `*` stands for anything.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, pattern)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let (middle, last) = pattern.rsplit_once('*').unwrap_or(("", pattern));
    for part in middle.split('*') {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, wanted) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("*b*d", "abcd", true),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(matches(pattern, text), wanted, "{pattern} {text}");
        }
    }
}
