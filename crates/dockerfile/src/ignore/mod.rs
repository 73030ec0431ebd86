//! `.dockerignore` and the patterns of `--exclude` and `--parents`, with moby's rules.

/// A pattern that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {cause}")]
pub struct IgnoreError {
    /// The line, counted from 1; for a list of patterns the pattern's place.
    pub line: usize,
    /// The pattern as written.
    pub pattern: String,
    /// What is wrong with it.
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
#[derive(Debug, Clone, Default)]
pub struct Patterns {}

/// What an ignore file leaves out: [`Patterns`] read from its text.
pub type Ignore = Patterns;

impl Patterns {
    /// Reads an ignore file.
    pub fn parse(text: &str) -> Result<Self, IgnoreError> {
        let _ = text;
        unimplemented!()
    }

    /// Takes patterns one by one, as of `--exclude`.
    pub fn from_patterns<S: AsRef<str>>(patterns: &[S]) -> Result<Self, IgnoreError> {
        let _ = patterns;
        unimplemented!()
    }

    /// What the patterns say of a path, relative and separated by `/`. A pattern that fits a parent directory fits
    /// everything below.
    pub fn decide(&self, path: &str) -> Decision {
        let _ = path;
        unimplemented!()
    }

    /// Whether something below an excluded directory may be let in again, so that a walker must descend.
    pub fn may_reinclude_below(&self, directory: &str) -> bool {
        let _ = directory;
        unimplemented!()
    }

    /// Whether there are no patterns.
    pub fn is_empty(&self) -> bool {
        true
    }
}
