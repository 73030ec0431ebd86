//! Wildcards of one path segment, with the rules of Go's `filepath.Match`.

/// The pattern cannot be read: a `[` without `]`, an escape at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub struct BadPattern;

/// Whether a text has wildcards: `*`, `?`, `[` or an escape.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

/// Whether a name fits a pattern entirely. `*` and `?` never match `/`.
pub fn matches(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    let _ = (pattern, name);
    unimplemented!()
}
