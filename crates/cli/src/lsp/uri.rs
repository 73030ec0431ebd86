//! `file:` URIs (RFC 8089).

use std::path::{Path, PathBuf};

use crate::format::encoding;

/// The path of a `file:` URI of this machine.
pub(super) fn path(uri: &str) -> Option<PathBuf> {
    let rest = uri.strip_prefix("file://")?;
    let rest = rest.strip_prefix("localhost").unwrap_or(rest);
    let path = rest.split(['?', '#']).next().filter(|path| path.starts_with('/'))?;
    let mut bytes = Vec::with_capacity(path.len());
    let mut left = path.as_bytes();
    while let Some((&byte, rest)) = left.split_first() {
        left = rest;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        left = &rest[2..];
    }
    let path = PathBuf::from(String::from_utf8(bytes).ok()?);
    (!path.to_string_lossy().contains('\0')).then_some(path)
}

/// The URI of an absolute path.
pub(super) fn of(path: &Path) -> String {
    format!("file://{}", encoding::uri(&path.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_back() {
        assert_eq!(path("file:///a%20b/%C3%A9"), Some(PathBuf::from("/a b/é")));
        assert_eq!(path("file://localhost/a"), Some(PathBuf::from("/a")));
        for wrong in [
            "untitled:1",
            "file://other/a",
            "file:///%",
            "file:///%g0",
            "file:///%ff",
            "file:///a%00",
        ] {
            assert_eq!(path(wrong), None, "{wrong}");
        }
        let original = Path::new("/a b/é#?%");
        assert_eq!(path(&of(original)).as_deref(), Some(original));
    }
}
