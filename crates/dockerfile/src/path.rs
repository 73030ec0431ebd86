//! Paths as text, with the rules of Go's `path` package, which decide names in images.

/// The shortest path that means the same, by text alone: no `.`, no `//`, no `x/..`; `.` for nothing. A trailing `/`
/// goes away.
pub fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// The last part of a path: `.` for nothing, `/` for the root.
pub fn base(path: &str) -> String {
    if path.is_empty() {
        return ".".to_owned();
    }
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit('/').next() {
        Some("") | None => "/".to_owned(),
        Some(last) => last.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{base, clean};

    #[test]
    fn cleaned() {
        let cases = [
            ("", "."),
            (".", "."),
            ("/", "/"),
            ("a/", "a"),
            ("a//b/./c", "a/b/c"),
            ("a/../b", "b"),
            ("a/..", "."),
            ("../a", "../a"),
            ("../../a", "../../a"),
            ("/../a", "/a"),
            ("a/../..", ".."),
        ];
        for (path, expected) in cases {
            assert_eq!(clean(path), expected, "{path}");
        }
    }

    #[test]
    fn last_parts() {
        for (path, expected) in [("", "."), ("/", "/"), ("//", "/"), ("a", "a"), ("/a/b/", "b")] {
            assert_eq!(base(path), expected, "{path}");
        }
    }
}
