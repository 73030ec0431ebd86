//! Slash-separated paths as text. Nothing here looks at a file system: `..` is resolved by words alone, as Go's
//! `path.Clean` does it and so BuildKit.

/// `path` as an absolute path without `.`, `..`, doubled or trailing slashes; relative to `base`.
pub(crate) fn absolute(base: &str, path: &str) -> String {
    let base = if path.starts_with('/') { "" } else { base };
    let mut parts = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Where COPY and ADD put files: absolute, with a final `/` where the text says that it is a directory.
pub(crate) fn destination(base: &str, path: &str) -> String {
    let is_directory = matches!(path, "" | "." | "..") || ["/", "/.", "/.."].iter().any(|end| path.ends_with(end));
    let path = absolute(base, path);
    if is_directory && path != "/" { path + "/" } else { path }
}

/// A source path of COPY or ADD: relative to the root of where it comes from, `.` for all of it. With `pivot`
/// (`--parents`) the first `/./` stays.
pub(crate) fn source(path: &str, pivot: bool) -> String {
    if pivot && let Some((above, below)) = path.split_once("/./") {
        return format!("{}/./{}", source(above, false), source(below, false));
    }
    match &absolute("/", path)[1..] {
        "" => ".".to_owned(),
        path => path.to_owned(),
    }
}

/// The last component; empty for `/`.
pub(crate) fn base_name(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_and_cleaned() {
        for (base, path, expected) in [
            ("/", "", "/"),
            ("/", "..", "/"),
            ("/app", "", "/app"),
            ("/app", "x/../y//z/", "/app/y/z"),
            ("/app", "../../..", "/"),
            ("/app", "/x/./y", "/x/y"),
            ("", "x", "/x"),
        ] {
            assert_eq!(absolute(base, path), expected, "{base} {path}");
        }
    }

    #[test]
    fn destinations_keep_what_makes_them_directories() {
        for (path, expected) in [
            ("", "/app/"),
            (".", "/app/"),
            ("./", "/app/"),
            ("x", "/app/x"),
            ("x/", "/app/x/"),
            ("x/.", "/app/x/"),
            ("/", "/"),
            ("/x", "/x"),
            ("..", "/"),
        ] {
            assert_eq!(destination("/app", path), expected, "{path}");
        }
    }

    #[test]
    fn sources_stay_inside() {
        for (path, pivot, expected) in [
            ("/", false, "."),
            (".", false, "."),
            ("../../x", false, "x"),
            ("/a/b/", false, "a/b"),
            ("a/./b", false, "a/b"),
            ("a/./b/../c", true, "a/./c"),
            ("./x", true, "x"),
        ] {
            assert_eq!(source(path, pivot), expected, "{path}");
        }
    }
}
