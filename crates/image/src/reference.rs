//! Image references: `[registry/]repository[:tag][@digest]`, in the grammar of
//! `distribution/reference`, with docker's defaults (docker.io, library/, latest).

use std::fmt;
use std::str::FromStr;

use crate::{Digest, DigestError};

/// The registry of references that name none.
const DEFAULT_REGISTRY: &str = "docker.io";
/// The tag of references that name neither tag nor digest.
const DEFAULT_TAG: &str = "latest";
/// The longest repository, `library/` included, in bytes.
const LONGEST_REPOSITORY: usize = 255;

/// A complete reference to an image. `FromStr` fills in docker's defaults.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a string is no image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing there.
    #[error("an image reference must not be empty")]
    Empty,
    /// Upper-case letters in the repository.
    #[error("image reference `{0}`: the repository name must be lower-case")]
    Uppercase(String),
    /// A part of the repository breaks the grammar.
    #[error(
        "image reference `{0}`: the repository name may have lower-case letters, digits and single separators (`.`, `_`, `__`, `-`) between them"
    )]
    Repository(String),
    /// The tag breaks the grammar.
    #[error(
        "image reference `{0}`: a tag has at most 128 letters, digits, `_`, `.` and `-`, and starts with none of `.` and `-`"
    )]
    Tag(String),
    /// The digest is none.
    #[error("image reference `{0}`: {1}")]
    Digest(String, DigestError),
}

impl Reference {
    /// The reference with the given parts; `repository` without registry.
    pub fn new(registry: &str, repository: &str, tag: Option<&str>, digest: Option<Digest>) -> Self {
        Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag: tag.map(ToOwned::to_owned),
            digest,
        }
    }

    /// Host and optional port: `docker.io`, `127.0.0.1:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path within the registry: `library/debian`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if the reference has one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if the reference is pinned.
    pub const fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// What the distribution protocol puts behind `/manifests/`: the digest if there is one, else the tag.
    pub fn selector(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => DEFAULT_TAG.to_owned(),
        }
    }

    /// The same repository at another registry.
    #[must_use]
    pub fn at(&self, registry: &str, repository: &str) -> Self {
        Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            ..self.clone()
        }
    }

    /// The same image, pinned to `digest` (the tag is kept for people to read).
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// As docker shows it: without `docker.io/` and `library/`.
    pub fn familiar(&self) -> String {
        let mut text = self.familiar_name();
        if let Some(tag) = &self.tag {
            text = format!("{text}:{tag}");
        }
        if let Some(digest) = self.digest {
            text = format!("{text}@{digest}");
        }
        text
    }

    /// The REPOSITORY column of docker's tables.
    pub fn familiar_name(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return format!("{}/{}", self.registry, self.repository);
        }
        match self.repository.strip_prefix("library/") {
            Some(name) if !name.contains('/') => name.to_owned(),
            _ => self.repository.clone(),
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        let (name, digest) = match text.split_once('@') {
            None => (text, None),
            Some((name, digest)) => {
                let digest = digest.parse().map_err(|e| ReferenceError::Digest(text.to_owned(), e))?;
                (name, Some(digest))
            }
        };
        let (registry, rest) = split_registry(name);
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        if let Some(tag) = tag
            && !good_tag(tag)
        {
            return Err(ReferenceError::Tag(text.to_owned()));
        }
        if repository.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(ReferenceError::Uppercase(text.to_owned()));
        }
        let repository = match registry {
            DEFAULT_REGISTRY if !repository.contains('/') => format!("library/{repository}"),
            _ => repository.to_owned(),
        };
        if repository.len() > LONGEST_REPOSITORY || !repository.split('/').all(good_component) {
            return Err(ReferenceError::Repository(text.to_owned()));
        }
        let tag = match (tag, digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, Some(_)) => None,
            (None, None) => Some(DEFAULT_TAG.to_owned()),
        };
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            tag,
            digest,
        })
    }
}

/// The first component is a registry if it has a dot, a colon, an upper-case letter, or is `localhost`.
fn split_registry(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((host, rest))
            if host == "localhost" || host.bytes().any(|b| b == b'.' || b == b':' || b.is_ascii_uppercase()) =>
        {
            let host = if matches!(host, "index.docker.io" | "registry-1.docker.io") {
                DEFAULT_REGISTRY
            } else {
                host
            };
            (host, rest)
        }
        _ => (DEFAULT_REGISTRY, name),
    }
}

fn good_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&tag.len()) && word(tag.as_bytes()[0]) && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn good_component(component: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    alphanumeric(first)
        && alphanumeric(last)
        && bytes
            .split(|&b| alphanumeric(b))
            .all(|gap| gap.is_empty() || matches!(gap, b"." | b"_" | b"__") || gap.iter().all(|&b| b == b'-'))
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_in_dockers_defaults() {
        // distribution/reference: normalize_test.go gives these pairs.
        for (text, full, familiar) in [
            ("debian", "docker.io/library/debian:latest", "debian:latest"),
            (
                "debian:bookworm-slim",
                "docker.io/library/debian:bookworm-slim",
                "debian:bookworm-slim",
            ),
            ("user/app", "docker.io/user/app:latest", "user/app:latest"),
            ("docker.io/debian", "docker.io/library/debian:latest", "debian:latest"),
            (
                "index.docker.io/library/debian",
                "docker.io/library/debian:latest",
                "debian:latest",
            ),
            ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
            (
                "127.0.0.1:5000/a/b/c:v1",
                "127.0.0.1:5000/a/b/c:v1",
                "127.0.0.1:5000/a/b/c:v1",
            ),
            (
                "ghcr.io/org/app__x--y.z",
                "ghcr.io/org/app__x--y.z:latest",
                "ghcr.io/org/app__x--y.z:latest",
            ),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), full, "{text}");
            assert_eq!(reference.familiar(), familiar, "{text}");
        }
        let digest = Digest::of(b"");
        let pinned: Reference = format!("debian@{digest}").parse().unwrap();
        assert_eq!(pinned.tag(), None);
        assert_eq!(pinned.selector(), digest.to_string());
    }

    #[test]
    fn refuses_what_is_no_reference() {
        for text in [
            "",
            "Debian",
            "a//b",
            "a/",
            "/a",
            "a:",
            "a:b c",
            "a@sha256:12",
            "-a",
            "a..b",
            "a___b",
            "example.com:5000/",
            "a b",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    /// Fuzzing found: `library/` made names of a reference that its own text could not be read as.
    #[test]
    fn the_longest_repository_has_its_library() {
        let longest = "a".repeat(LONGEST_REPOSITORY - "library/".len());
        let reference: Reference = longest.parse().unwrap();
        assert_eq!(reference.to_string().parse(), Ok(reference));
        assert!(format!("{longest}a").parse::<Reference>().is_err());
    }
}
