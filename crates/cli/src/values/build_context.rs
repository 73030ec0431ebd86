//! `--build-context NAME=…`

use std::path::PathBuf;

use kiln_build::request::Layout;
use kiln_image::Reference;
use kiln_plan::Remote;

/// A named context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NamedContext {
    /// A directory on this machine.
    Directory(PathBuf),
    /// `docker-image://REFERENCE`
    Image(Reference),
    /// `oci-layout://PATH[:TAG][@DIGEST]`
    Layout(Layout),
    /// A repository or a file by HTTP.
    Remote(Remote),
}

/// `--build-context NAME=VALUE`; the name in lower case.
pub(crate) fn parse(text: &str) -> Result<(String, NamedContext), String> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
        .ok_or_else(|| {
            format!("`{text}`: wanted NAME=PATH, NAME=URL, NAME=docker-image://REFERENCE or NAME=oci-layout://PATH")
        })?;
    let wrong = |error: String| format!("`{text}`: {error}");
    let context = if let Some(reference) = value.strip_prefix("docker-image://") {
        NamedContext::Image(reference.parse().map_err(|error| format!("`{text}`: {error}"))?)
    } else if let Some(layout) = value.strip_prefix("oci-layout://") {
        NamedContext::Layout(parse_layout(layout).map_err(wrong)?)
    } else if value.starts_with("target:") {
        return Err(wrong(
            "targets are those of a bake file; here a stage of the same Dockerfile can be named without it".to_owned(),
        ));
    } else if let Some(remote) = Remote::parse(value).map_err(wrong)? {
        NamedContext::Remote(remote)
    } else {
        NamedContext::Directory(value.into())
    };
    Ok((name.to_lowercase(), context))
}

/// As buildx takes it apart: a path may have colons, before its last slash.
fn parse_layout(text: &str) -> Result<Layout, String> {
    let (rest, digest) = match text.rsplit_once('@') {
        Some((rest, digest)) if digest.contains(':') => {
            let digest = digest.parse().map_err(|error| format!("`{digest}`: {error}"))?;
            (rest, Some(digest))
        }
        _ => (text, None),
    };
    let (path, tag) = match rest.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag.to_owned())),
        _ => (rest, None),
    };
    if path.is_empty() || tag.as_deref() == Some("") {
        return Err("wanted oci-layout://PATH[:TAG][@DIGEST]".to_owned());
    }
    Ok(Layout {
        path: path.into(),
        tag,
        digest,
    })
}

#[cfg(test)]
mod tests {
    use kiln_plan::GitSource;

    use super::*;

    #[test]
    fn reads_named_contexts() {
        let image = NamedContext::Image("debian:12".parse().unwrap());
        assert_eq!(parse("Base=docker-image://debian:12"), Ok(("base".to_owned(), image)));
        assert_eq!(
            parse("src=../x=y"),
            Ok(("src".to_owned(), NamedContext::Directory("../x=y".into())))
        );
        let git = Remote::Git(GitSource::of("https://example.com/x.git"));
        assert_eq!(
            parse("a=https://example.com/x.git"),
            Ok(("a".to_owned(), NamedContext::Remote(git)))
        );
        for text in [
            "src",
            "src=",
            "=x",
            "a=https://example.com/x.git?what=x",
            "a=oci-layout://",
            "a=oci-layout://x:",
            "a=oci-layout://x@sha256:12",
            "a=docker-image://X",
            "a=target:x",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_layouts() {
        let digest = kiln_image::Digest::of("x");
        let at = format!("/a:b/c:tag@{digest}");
        for (text, path, tag, digest) in [
            ("dir", "dir", None, None),
            ("../a:b/c", "../a:b/c", None, None),
            ("dir:v1", "dir", Some("v1"), None),
            ("dir@home", "dir@home", None, None),
            (at.as_str(), "/a:b/c", Some("tag"), Some(digest)),
        ] {
            let layout = Layout {
                path: path.into(),
                tag: tag.map(str::to_owned),
                digest,
            };
            assert_eq!(parse_layout(text), Ok(layout));
        }
    }
}
