//! Who we are at a registry.

use std::fmt;

use crate::Error;

/// A secret that a registry knows us by. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user name and a password or access token.
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: String,
    },
    /// A refresh token that the registry's token server issued (`identitytoken`).
    IdentityToken(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { username, .. } => f
                .debug_struct("Basic")
                .field("username", username)
                .finish_non_exhaustive(),
            Self::IdentityToken(_) => f.write_str("IdentityToken(…)"),
        }
    }
}

impl Credential {
    /// The user name, if the credential has one.
    pub fn username(&self) -> Option<&str> {
        match self {
            Self::Basic { username, .. } => Some(username),
            Self::IdentityToken(_) => None,
        }
    }
}

/// A credential and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The credential.
    pub credential: Credential,
    /// Where it was found, for error messages: a file's path, a helper's name.
    pub source: String,
}

/// Where credentials come from.
pub trait Credentials: Send + Sync {
    /// The credential for `repository` (empty where none is meant) at `registry` (host and optional port,
    /// `docker.io` for Docker Hub), or `None` to be anonymous. Asked once per client and repository.
    fn get(&self, registry: &str, repository: &str) -> Result<Option<Found>, Error>;
}

/// No credentials anywhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anonymous;

impl Credentials for Anonymous {
    fn get(&self, _registry: &str, _repository: &str) -> Result<Option<Found>, Error> {
        Ok(None)
    }
}
