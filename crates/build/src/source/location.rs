//! What people write to say where an image is: a name, or one of the transports that skopeo and podman know.

use std::fmt;
use std::path::{Path, PathBuf};

use kiln_image::{Reference, ReferenceError};

use crate::error::{StepError, StepResult};

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// In the store, by its name, its ID or the beginning of that; else in the registry that the name says.
    Name(String),
    /// `docker://REFERENCE`: in a registry, which is asked whatever the store has.
    Registry(Reference),
    /// `oci:DIRECTORY[:TAG]`: an OCI layout.
    Layout(Files),
    /// `oci-archive:FILE[:TAG]`: an OCI layout in a tar.
    OciArchive(Files),
    /// `docker-archive:FILE[:NAME]`: what `docker save` writes.
    DockerArchive(Files),
    /// A path alone: a directory is an OCI layout, a file an archive of either kind.
    Path(Files),
}

/// A path, and which of the images there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The directory or file.
    pub path: PathBuf,
    /// What its index calls the image.
    pub tag: Option<String>,
}

/// What comes before a path, and what it says of it.
type Transport = (&'static str, fn(Files) -> Location);

/// Transports of other tools that have no place here, and what to do instead.
const OTHERS: &[(&str, &str)] = &[
    ("docker-daemon:", "`docker save NAME | kiln load` gets it from docker"),
    (
        "containers-storage:",
        "`podman save --format oci-archive -o FILE NAME` writes an archive that Kiln reads",
    ),
    (
        "dir:",
        "`skopeo copy dir:DIRECTORY oci:DIRECTORY2` makes an OCI layout of it",
    ),
    ("sif:", "Kiln reads no images of Singularity"),
    (
        "tarball:",
        "Kiln reads archives of images: docker-archive:FILE, oci-archive:FILE",
    ),
];

impl Location {
    /// Understands what was written, without a look at what is there.
    pub(super) fn parse(text: &str) -> StepResult<Self> {
        if let Some(name) = text.strip_prefix("docker://") {
            let reference = name.parse();
            return reference
                .map(Self::Registry)
                .map_err(|error: ReferenceError| StepError::Invalid(error.to_string()));
        }
        let transports: [Transport; 3] = [
            ("oci:", Self::Layout),
            ("oci-archive:", Self::OciArchive),
            ("docker-archive:", Self::DockerArchive),
        ];
        for (prefix, location) in transports {
            if let Some(rest) = text.strip_prefix(prefix) {
                let files = Files::of_transport(rest);
                if files.path.as_os_str().is_empty() {
                    return Err(StepError::Invalid(format!("`{text}` has no path after `{prefix}`")));
                }
                return Ok(location(files));
            }
        }
        for (prefix, hint) in OTHERS {
            if text.starts_with(prefix) && !text.starts_with(&format!("{prefix}//")) {
                return Err(StepError::Unsupported(format!(
                    "`{text}`: Kiln does not read `{prefix}`: {hint}"
                )));
            }
        }
        let is_path = text == "." || text == ".." || ["/", "./", "../"].iter().any(|start| text.starts_with(start));
        if is_path {
            return Ok(Self::Path(Files::of_path(text)));
        }
        Ok(Self::Name(text.to_owned()))
    }

    /// The archive or layout that a name is the path of.
    pub(super) fn path_of(name: &str) -> Option<Files> {
        let files = Files::of_path(name);
        let is_image = files.path.is_file() || files.path.join("index.json").is_file();
        is_image.then_some(files)
    }
}

impl Files {
    /// As skopeo splits it: the path has no colon.
    fn of_transport(text: &str) -> Self {
        let (path, tag) = text.split_once(':').unwrap_or((text, ""));
        Self::new(path, tag)
    }

    /// The whole is a path if there is something; else the last colon may end it.
    fn of_path(text: &str) -> Self {
        match text.rsplit_once(':') {
            Some((path, tag)) if !Path::new(text).exists() => Self::new(path, tag),
            _ => Self::new(text, ""),
        }
    }

    fn new(path: &str, tag: &str) -> Self {
        Self {
            path: PathBuf::from(path),
            tag: Some(tag.to_owned()).filter(|tag| !tag.is_empty()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (prefix, files) = match self {
            Self::Name(name) => return f.write_str(name),
            Self::Registry(reference) => return write!(f, "docker://{}", reference.familiar()),
            Self::Layout(files) => ("oci:", files),
            Self::OciArchive(files) => ("oci-archive:", files),
            Self::DockerArchive(files) => ("docker-archive:", files),
            Self::Path(files) => ("", files),
        };
        write!(f, "{prefix}{}", files.path.display())?;
        match &files.tag {
            Some(tag) => write!(f, ":{tag}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_images_are() {
        let files = |path: &str, tag: &str| Files::new(path, tag);
        for (text, expected) in [
            ("debian", Location::Name("debian".to_owned())),
            ("oci", Location::Name("oci".to_owned())),
            ("host:5000/a:b", Location::Name("host:5000/a:b".to_owned())),
            ("docker://a/b:1", Location::Registry("a/b:1".parse().unwrap())),
            ("oci:dir", Location::Layout(files("dir", ""))),
            ("oci:/a/dir:v1", Location::Layout(files("/a/dir", "v1"))),
            ("oci-archive:f.tar:x", Location::OciArchive(files("f.tar", "x"))),
            (
                "docker-archive:f.tar:host:5000/a:b",
                Location::DockerArchive(files("f.tar", "host:5000/a:b")),
            ),
            ("./dir:v1", Location::Path(files("./dir", "v1"))),
            ("/dir", Location::Path(files("/dir", ""))),
        ] {
            let found = Location::parse(text).unwrap();
            assert_eq!(found, expected, "{text}");
            let shown = if text.starts_with("docker://") {
                "docker://a/b:1"
            } else {
                text
            };
            assert_eq!(found.to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_place() {
        for (text, part) in [
            ("oci:", "no path"),
            ("docker-daemon:busybox:latest", "docker save"),
            ("containers-storage:busybox", "podman save"),
            ("docker://A b", "A b"),
        ] {
            let error = Location::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
