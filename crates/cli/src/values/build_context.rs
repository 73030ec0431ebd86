//! Contexts: what PATH of `kiln build` and `--build-context NAME=…` may be.

use std::path::PathBuf;

use kiln_image::Reference;

/// A named context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NamedContext {
    /// A directory on this machine.
    Directory(PathBuf),
    /// `docker-image://REFERENCE`
    Image(Reference),
}

/// `--build-context NAME=VALUE`; the name in lower case.
pub(crate) fn parse(text: &str) -> Result<(String, NamedContext), String> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
        .ok_or_else(|| format!("`{text}`: wanted NAME=PATH or NAME=docker-image://REFERENCE"))?;
    let context = if let Some(reference) = value.strip_prefix("docker-image://") {
        NamedContext::Image(reference.parse().map_err(|error| format!("`{text}`: {error}"))?)
    } else if value.starts_with("oci-layout://") {
        return Err(format!("`{text}`: contexts in OCI layouts are not supported yet"));
    } else if let Some(kind) = remote(value) {
        return Err(format!(
            "`{text}`: {kind} as contexts are not supported yet; get it first and name its directory"
        ));
    } else {
        NamedContext::Directory(value.into())
    };
    Ok((name.to_lowercase(), context))
}

/// What kind of remote context this is, if it is one (BuildKit: `dfgitutil.ParseGitRef`, `IsURL`).
pub(crate) fn remote(text: &str) -> Option<&'static str> {
    const GIT: &str = "git repositories";
    let url = text.starts_with("http://") || text.starts_with("https://");
    let path = text.split(['#', '?']).next().unwrap_or(text);
    if ["git://", "ssh://", "git@", "github.com/"]
        .iter()
        .any(|prefix| text.starts_with(prefix))
    {
        return Some(GIT);
    }
    match (url, path.strip_suffix(".git").is_some()) {
        (true, true) => Some(GIT),
        (true, false) => Some("URLs"),
        (false, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_named_contexts() {
        let image = NamedContext::Image("debian:12".parse().unwrap());
        assert_eq!(parse("Base=docker-image://debian:12"), Ok(("base".to_owned(), image)));
        assert_eq!(
            parse("src=../x=y"),
            Ok(("src".to_owned(), NamedContext::Directory("../x=y".into())))
        );
        for text in [
            "src",
            "src=",
            "=x",
            "a=https://example.com/x.git",
            "a=oci-layout://x",
            "a=docker-image://X",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn knows_remote_contexts() {
        for (text, remote_kind) in [
            (".", None),
            ("my.git", None),
            ("https://example.com/a.git#main:dir", Some("git repositories")),
            ("https://example.com/a.tar.gz", Some("URLs")),
            ("git@example.com:a/b", Some("git repositories")),
            ("github.com/a/b", Some("git repositories")),
        ] {
            assert_eq!(remote(text), remote_kind, "{text}");
        }
    }
}
