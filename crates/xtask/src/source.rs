//! Rust source without what is not code: comments, texts and unit tests. Good enough to look for words in it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// A source file of ours.
#[derive(Debug)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// How many lines it has, everything counted.
    pub lines: usize,
    /// Its code, without comments, texts and `#[cfg(test)]` modules.
    pub code: String,
}

/// All files under a directory whose name ends in `.rs`, but not those that hold tests only.
pub fn read_all(directory: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !tests_only(&path) {
                sources.push(read(path)?);
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

fn tests_only(path: &Path) -> bool {
    path.file_stem()
        .and_then(|stem| stem.to_str())
        .is_some_and(|stem| stem == "tests" || stem.ends_with("_tests"))
}

fn read(path: PathBuf) -> Result<Source> {
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().count();
    Ok(Source {
        path,
        lines,
        code: without_tests(&code(&text)),
    })
}

/// Cuts at the tests: by our convention they are the last thing in a file.
fn without_tests(code: &str) -> String {
    code.split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Replaces comments by nothing and texts by `""`.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if rest.starts_with("/*") {
            rest = rest.find("*/").map_or("", |end| &rest[end + 2..]);
        } else if let Some(length) = raw_text(rest) {
            code.push_str("\"\"");
            rest = &rest[length..];
        } else if first == '"' {
            code.push_str("\"\"");
            rest = &rest[quoted_text(rest)..];
        } else if let Some(length) = character(rest) {
            code.push_str("' '");
            rest = &rest[length..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

/// The length of `r"…"` or `r#"…"#` at the start, if one is there.
fn raw_text(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = rest.len() - body.len();
    Some(body.find(&end).map_or(rest.len(), |at| start + at + end.len()))
}

/// The length of `"…"` at the start.
fn quoted_text(rest: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of `'x'` or `'\n'` at the start; lifetimes are none.
fn character(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('\'')?;
    if let Some(escape) = body.strip_prefix('\\') {
        return escape
            .char_indices()
            .skip(1)
            .find(|&(_, c)| c == '\'')
            .map(|(at, _)| at + 3);
    }
    let first = body.chars().next()?;
    body[first.len_utf8()..]
        .starts_with('\'')
        .then_some(first.len_utf8() + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_remains() {
        let cases = [
            ("a // println!\nb", "a \nb"),
            ("a /* unsafe */ b", "a  b"),
            ("f(\"std::env \\\" x\") y", "f(\"\") y"),
            ("f(r#\"a \" b\"#) y", "f(\"\") y"),
            ("'\"' '\\'' '\\u{1}' &'a str", "' ' ' ' ' ' &'a str"),
        ];
        for (text, wanted) in cases {
            assert_eq!(code(text), wanted, "{text}");
        }
    }

    #[test]
    fn tests_are_cut_off() {
        assert_eq!(
            without_tests("fn a() {}\n#[cfg(test)]\nmod tests {\n unsafe {} }"),
            "fn a() {}\n"
        );
    }
}
