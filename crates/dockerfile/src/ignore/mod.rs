//! `.dockerignore` and the patterns of `--exclude` and `--parents`, with moby's rules.
//!
//! Patterns are those of [`crate::glob`], and `**` for any number of directories; `!` lets paths in again; the last
//! pattern that fits decides; what fits a directory fits everything below it.

mod matcher;
mod plain;
mod read;

use matcher::Matcher;
use plain::Plain;

/// A pattern that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {cause}")]
pub struct IgnoreError {
    /// The line, counted from 1; for a list of patterns the pattern's place.
    pub line: usize,
    /// The pattern as written.
    pub pattern: String,
    /// What is wrong with it, with the pattern.
    pub cause: String,
}

/// What patterns say of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Decision {
    /// Whether the path is matched: excluded.
    pub excluded: bool,
    /// The line, from 1, that decided; `None` if no pattern has to do with the path.
    pub line: Option<usize>,
}

/// Patterns, in order; the last that fits decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns {
    all: Vec<Pattern>,
    plain: Plain,
    /// The other patterns, last first.
    others: Vec<(usize, Matcher)>,
    /// The patterns that let in, plain or not.
    inclusions: Vec<(usize, Matcher)>,
}

/// What an ignore file leaves out: [`Patterns`] read from its text.
pub type Ignore = Patterns;

/// One pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    line: usize,
    /// Whether it lets in (`!`).
    includes: bool,
    /// Cleaned, without `!`.
    text: String,
}

impl Patterns {
    /// Reads an ignore file.
    pub fn parse(text: &str) -> Result<Self, IgnoreError> {
        Self::build(read::lines(text))
    }

    /// Takes patterns one by one, as of `--exclude`. Other than in an ignore file, a leading `/` is not dropped.
    pub fn from_patterns<S: AsRef<str>>(patterns: &[S]) -> Result<Self, IgnoreError> {
        Self::build(
            patterns
                .iter()
                .enumerate()
                .map(|(index, pattern)| (index + 1, pattern.as_ref().to_owned())),
        )
    }

    fn build(lines: impl IntoIterator<Item = (usize, String)>) -> Result<Self, IgnoreError> {
        let mut patterns = Self::default();
        for (line, text) in lines {
            if let Some(pattern) = read::pattern(line, &text)? {
                patterns.add(pattern);
            }
        }
        // What comes later decides, so it is asked first.
        patterns.others.reverse();
        Ok(patterns)
    }

    fn add(&mut self, pattern: Pattern) {
        let index = self.all.len();
        if pattern.includes {
            self.inclusions.push((index, Matcher::new(&pattern.text)));
        }
        match read::plain(&pattern.text) {
            Some(read::Plain::Path) => self.plain.add_path(&pattern.text, index),
            Some(read::Plain::Name(name)) => self.plain.add_name(name, index),
            None => self.others.push((index, Matcher::new(&pattern.text))),
        }
        self.all.push(pattern);
    }

    /// What the patterns say of a path, relative and separated by `/`. A pattern that fits a parent directory fits
    /// everything below.
    pub fn decide(&self, path: &str) -> Decision {
        let path = normal(path);
        let Some(pattern) = self.last(path).and_then(|index| self.all.get(index)) else {
            return Decision::default();
        };
        Decision {
            excluded: !pattern.includes,
            line: Some(pattern.line),
        }
    }

    /// Whether something below an excluded directory may be let in again, so that a walker must descend. Always true
    /// for directories that are not excluded.
    pub fn may_reinclude_below(&self, directory: &str) -> bool {
        let directory = normal(directory);
        let last = self.last(directory);
        if last
            .and_then(|index| self.all.get(index))
            .is_none_or(|pattern| pattern.includes)
        {
            return true;
        }
        // Only patterns behind the one that excludes the directory have a say below it.
        let later = last.map_or(0, |index| index + 1);
        let mut inclusions = self.inclusions.iter().filter(|(index, _)| *index >= later);
        inclusions.any(|(_, matcher)| matcher.may_match_below(directory))
    }

    /// Whether some pattern lets in (`!`).
    pub fn has_inclusions(&self) -> bool {
        !self.inclusions.is_empty()
    }

    /// Whether a pattern fits everything: `*`, `**`, `**/*`.
    pub fn excludes_all(&self) -> bool {
        let all = |pattern: &Pattern| !pattern.includes && matches!(pattern.text.as_str(), "*" | "**" | "**/*");
        self.all.iter().any(all)
    }

    /// Whether there are no patterns.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The last pattern that fits the path or a parent of it.
    fn last(&self, path: &str) -> Option<usize> {
        if path.is_empty() {
            return None;
        }
        let slashes = path
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'/')
            .map(|(place, _)| place);
        let ends: Vec<usize> = slashes.chain(std::iter::once(path.len())).collect();
        let mut last = self.plain.last(path);
        for (index, matcher) in &self.others {
            if last.is_some_and(|last| last > *index) {
                break;
            }
            if matcher.fits(path, &ends) {
                last = Some(*index);
            }
        }
        last
    }
}

/// A path without `./` and slashes around it; empty for the root.
fn normal(path: &str) -> &str {
    let mut path = path.trim_matches('/');
    while let Some(rest) = path.strip_prefix("./") {
        path = rest.trim_start_matches('/');
    }
    if path == "." { "" } else { path }
}
