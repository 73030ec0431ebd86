//! What can go wrong, told so that a person knows what to do.

use std::fmt;
use std::io;
use std::path::PathBuf;

use kiln_image::{Digest, DocumentError};

use crate::retry::RetryAfter;

/// A failure of the registry client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// 401: the registry wants credentials, or other ones.
    #[error("{0}: not authorized ({1}); {hint}", hint = .1.login_hint())]
    Unauthorized(What, Box<Refusal>),
    /// 403: the credentials are good, but not for this.
    #[error("{0}: access denied ({1}); {hint}", hint = .1.login_hint())]
    Denied(What, Box<Refusal>),
    /// 404: no such repository, manifest or blob.
    #[error("{0}: not found ({1})")]
    NotFound(What, Box<Refusal>),
    /// Any other status that is no success.
    #[error("{0}: the server answered {1}")]
    Status(What, Box<Refusal>),
    /// The server could not be reached, or the connection broke.
    #[error("{what}: {doing} failed: {reason}")]
    Transport {
        /// What was asked for.
        what: What,
        /// `connecting`, `sending`, `receiving`.
        doing: &'static str,
        /// The whole chain of causes.
        reason: String,
        /// Whether no connection came to stand.
        connect: bool,
    },
    /// No bytes moved for the time that the settings allow.
    #[error("{what}: {doing} stalled: nothing moved for {seconds} s")]
    Stalled {
        /// What was asked for.
        what: What,
        /// What stalled.
        doing: &'static str,
        /// How long nothing moved.
        seconds: u64,
    },
    /// The bytes are not the ones that the digest names.
    #[error("{what}: the registry sent bytes with digest {got} instead of {wanted}; they were not used")]
    DigestMismatch {
        /// What was asked for.
        what: What,
        /// The digest that was asked for.
        wanted: Digest,
        /// The digest of what came.
        got: Digest,
    },
    /// The bytes are more or fewer than the descriptor says.
    #[error("{what}: the descriptor says {wanted} bytes, but the registry sends {got}; they were not used")]
    SizeMismatch {
        /// What was asked for.
        what: What,
        /// The size that the descriptor names.
        wanted: u64,
        /// `1234`, or `more`.
        got: String,
    },
    /// An answer is larger than anything honest.
    #[error("{what}: the answer is larger than {limit} bytes, the most that Kiln reads here")]
    TooLarge {
        /// What was asked for.
        what: What,
        /// The limit in bytes.
        limit: u64,
    },
    /// A manifest cannot be read.
    #[error("{0}: {1}")]
    Document(What, DocumentError),
    /// An answer breaks the protocol.
    #[error("{what}: the registry breaks the protocol: {reason}")]
    Protocol {
        /// What was asked for.
        what: What,
        /// How.
        reason: String,
    },
    /// The index has no image for the platform.
    #[error("{reference} has no image for {wanted}; it has {}", list(.offered))]
    Platform {
        /// The image.
        reference: String,
        /// The platform that was wanted.
        wanted: String,
        /// The platforms on offer.
        offered: Vec<String>,
    },
    /// The server sends us to a place where we will not go.
    #[error("{what}: refused to follow a redirect to {to}: {reason}")]
    Redirect {
        /// What was asked for.
        what: What,
        /// The target, without its query.
        to: String,
        /// Why not.
        reason: String,
    },
    /// `registries.conf` forbids it.
    #[error("{reference}: registries.conf blocks `{prefix}` (blocked = true)")]
    Blocked {
        /// The image.
        reference: String,
        /// The prefix of the entry.
        prefix: String,
    },
    /// The name of a registry or repository is none.
    #[error("`{name}` names no registry: {reason}")]
    Registry {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// All mirrors and the registry itself failed.
    #[error("{last}{}", told(.mirrors))]
    Mirrors {
        /// What each mirror said, in the order in which they were asked.
        mirrors: Vec<(String, Error)>,
        /// What the last place said.
        last: Box<Error>,
    },
    /// A configuration file cannot be read, understood or written.
    #[error("{}: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A credential helper failed.
    #[error("credential helper `{helper}` ({action} for {registry}): {reason}")]
    Helper {
        /// The program.
        helper: String,
        /// `get`, `store` or `erase`.
        action: &'static str,
        /// For which registry.
        registry: String,
        /// What went wrong.
        reason: String,
    },
    /// [`Stop`](crate::Stop) ended it.
    #[error("{0}: stopped")]
    Stopped(What),
    /// The client cannot be set up.
    #[error("cannot set up the HTTP client: {0}")]
    Setup(String),
    /// Reading what is to be pushed failed.
    #[error("{what}: reading the local data failed: {source}")]
    Source {
        /// What was being pushed.
        what: What,
        /// Why.
        source: io::Error,
    },
    /// Writing what was pulled failed.
    #[error("{what}: writing the received data failed: {source}")]
    Sink {
        /// What was being pulled.
        what: What,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// The registry error within an I/O error that [`BlobReader`](crate::BlobReader) gave.
    pub fn from_io(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Whether the registry says that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::NotFound(..) => true,
            Self::Mirrors { last, .. } => last.is_not_found(),
            _ => false,
        }
    }

    /// The HTTP status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Unauthorized(_, refusal)
            | Self::Denied(_, refusal)
            | Self::NotFound(_, refusal)
            | Self::Status(_, refusal) => Some(refusal.status),
            _ => None,
        }
    }

    /// Whether this is about a file ([`Client::download`](crate::Client::download)), and not about an image.
    pub fn is_about_file(&self) -> bool {
        match self {
            Self::NotFound(what, _) | Self::Status(what, _) | Self::Transport { what, .. } => what.0.action == DOWNLOAD,
            _ => false,
        }
    }

    /// Whether the registry wants credentials, or other ones.
    pub fn is_unauthorized(&self) -> bool {
        match self {
            Self::Unauthorized(..) | Self::Denied(..) => true,
            Self::Mirrors { last, .. } => last.is_unauthorized(),
            _ => false,
        }
    }

    /// Whether the registry takes no such manifest, because of blobs that it names: not because it is down, or nobody may
    /// write there.
    pub fn is_refused_manifest(&self) -> bool {
        match self {
            Self::NotFound(what, refusal) | Self::Status(what, refusal) => {
                what.0.action == PUSH_MANIFEST && refusal.is_of_manifest()
            }
            _ => false,
        }
    }

    /// Whether the same request may succeed a little later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::Stalled { .. } => true,
            Self::Status(_, refusal) | Self::NotFound(_, refusal) => refusal.is_transient(),
            _ => false,
        }
    }

    /// Whether no connection came to stand.
    pub(crate) fn is_connect(&self) -> bool {
        matches!(self, Self::Transport { connect: true, .. })
    }

    /// Whether another place may do better: not where the fault is on our side.
    pub(crate) fn another_place_may_help(&self) -> bool {
        !matches!(
            self,
            Self::Sink { .. } | Self::Source { .. } | Self::Setup(_) | Self::Stopped(_)
        )
    }
}

/// What is done with files that belong to no image.
pub(crate) const DOWNLOAD: &str = "download";

/// What is done with manifests that are written.
pub(crate) const PUSH_MANIFEST: &str = "push manifest";

/// The object of a request, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct What(Box<Object>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Object {
    action: &'static str,
    registry: String,
    repository: String,
    selector: String,
}

impl What {
    /// `action` is `pull manifest`, `push blob`, …; repository and selector (tag or digest) are empty where
    /// the request has none.
    pub(crate) fn new(action: &'static str, registry: &str, repository: &str, selector: &str) -> Self {
        Self(Box::new(Object {
            action,
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            selector: selector.to_owned(),
        }))
    }

    /// The registry's host and port.
    pub fn registry(&self) -> &str {
        &self.0.registry
    }

    /// The repository; empty where the request has none.
    pub fn repository(&self) -> &str {
        &self.0.repository
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Object {
            action,
            registry,
            repository,
            selector,
        } = &*self.0;
        write!(f, "{action} {registry}")?;
        if !repository.is_empty() {
            write!(f, "/{repository}")?;
        }
        match selector.as_str() {
            "" => Ok(()),
            digest if digest.contains(':') => write!(f, "@{digest}"),
            tag => write!(f, ":{tag}"),
        }
    }
}

/// How a server refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The server's error codes and messages, cleaned of control characters; may be empty.
    pub message: String,
    /// The registry to log in to.
    pub registry: String,
    /// Where the credentials that were used came from; `None` for anonymous.
    pub credentials: Option<String>,
    /// When to come back, if the server said so.
    pub(crate) retry_after: Option<RetryAfter>,
}

impl Refusal {
    /// A manifest is only sent once the registry has said that it has all blobs: where it knows one no more, somebody
    /// pushes the same blob at that moment (distribution specification 1.1, "Error Codes").
    fn is_transient(&self) -> bool {
        matches!(self.status, 408 | 425 | 429 | 500 | 502 | 503 | 504) || self.message.contains("MANIFEST_BLOB_UNKNOWN")
    }

    /// Whether what was sent is at fault (distribution specification 1.1, "Error Codes").
    fn is_of_manifest(&self) -> bool {
        const CODES: [&str; 3] = ["BLOB_UNKNOWN", "MANIFEST_INVALID", "MANIFEST_UNVERIFIED"];
        (400..500).contains(&self.status) && CODES.iter().any(|code| self.message.contains(code))
    }

    fn login_hint(&self) -> String {
        match &self.credentials {
            None => format!("no credentials were used: try `kiln login {}`", self.registry),
            Some(source) => format!(
                "the credentials from {source} were used: try `kiln login {}` with others",
                self.registry
            ),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = reqwest::StatusCode::from_u16(self.status)
            .ok()
            .and_then(|status| status.canonical_reason());
        write!(f, "{}", self.status)?;
        if let Some(reason) = reason {
            write!(f, " {reason}")?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        match &self.retry_after {
            Some(after) if self.is_transient() => write!(f, " (come back in {} s)", after.0.as_secs()),
            _ => Ok(()),
        }
    }
}

fn list(words: &[String]) -> String {
    match words {
        [] => "none".to_owned(),
        words => words.join(", "),
    }
}

fn told(failures: &[(String, Error)]) -> String {
    failures.iter().fold(String::new(), |text, (mirror, error)| {
        format!("{text}\n  mirror {mirror}: {error}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_refusals_are_about_the_manifest() {
        for (action, status, message, expected) in [
            (
                PUSH_MANIFEST,
                400,
                "MANIFEST_BLOB_UNKNOWN: blob unknown to registry",
                true,
            ),
            (PUSH_MANIFEST, 404, "BLOB_UNKNOWN", true),
            (PUSH_MANIFEST, 400, "MANIFEST_INVALID: manifest invalid", true),
            (PUSH_MANIFEST, 400, "TAG_INVALID", false),
            (PUSH_MANIFEST, 404, "NAME_UNKNOWN", false),
            (PUSH_MANIFEST, 413, "", false),
            (PUSH_MANIFEST, 429, "TOOMANYREQUESTS", false),
            (PUSH_MANIFEST, 500, "MANIFEST_INVALID", false),
            ("push blob", 404, "BLOB_UNKNOWN", false),
        ] {
            let refusal = Box::new(Refusal {
                status,
                message: message.to_owned(),
                registry: "registry.test".to_owned(),
                credentials: None,
                retry_after: None,
            });
            let what = What::new(action, "registry.test", "app", "cache");
            let error = match status {
                404 => Error::NotFound(what, refusal),
                _ => Error::Status(what, refusal),
            };
            assert_eq!(error.is_refused_manifest(), expected, "{error}");
        }
    }
}
