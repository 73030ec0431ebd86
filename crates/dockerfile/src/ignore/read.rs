//! The text of an ignore file to patterns.

use super::{IgnoreError, Pattern};
use crate::{glob, path};

/// The lines that hold patterns, numbered, as moby's reader of ignore files hands them on: `/` in front dropped.
pub(super) fn lines(text: &str) -> Vec<(usize, String)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let numbered = text.split('\n').enumerate().map(|(index, line)| (index + 1, line));
    // Only in the first column `#` makes a comment.
    let wanted = numbered.filter(|(_, line)| !line.starts_with('#') && !line.trim().is_empty());
    wanted.map(|(number, line)| (number, rooted(line.trim()))).collect()
}

fn rooted(line: &str) -> String {
    let (sign, pattern) = line.strip_prefix('!').map_or(("", line), |rest| ("!", rest.trim()));
    if pattern.is_empty() {
        return sign.to_owned();
    }
    let clean = path::clean(pattern);
    let relative = clean
        .strip_prefix('/')
        .filter(|rest| !rest.is_empty())
        .unwrap_or(&clean);
    format!("{sign}{relative}")
}

/// One pattern; `None` for an empty one.
pub(super) fn pattern(line: usize, written: &str) -> Result<Option<Pattern>, IgnoreError> {
    let trimmed = written.trim();
    if trimmed.is_empty() {
        return Ok(None);
    }
    let wrong = |cause: String| IgnoreError {
        line,
        pattern: trimmed.to_owned(),
        cause,
    };
    let clean = path::clean(trimmed);
    let (includes, text) = clean
        .strip_prefix('!')
        .map_or((false, clean.as_str()), |rest| (true, rest));
    if text.is_empty() {
        return Err(wrong("illegal exclusion pattern: \"!\"".to_owned()));
    }
    glob::Pattern::new(text).map_err(|cause| wrong(format!("{cause} `{trimmed}`")))?;
    Ok(Some(Pattern {
        line,
        includes,
        text: text.to_owned(),
    }))
}

/// Patterns without wildcards, which are looked up instead of compared.
pub(super) enum Plain<'a> {
    Path,
    /// `**/NAME`
    Name(&'a str),
}

pub(super) fn plain(text: &str) -> Option<Plain<'_>> {
    let is_plain = |text: &str| !glob::is_pattern(text) && !text.contains(']');
    if is_plain(text) {
        return Some(Plain::Path);
    }
    let name = text.strip_prefix("**/")?;
    (is_plain(name) && !name.contains('/')).then_some(Plain::Name(name))
}
