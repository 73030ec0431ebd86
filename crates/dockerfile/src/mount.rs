//! `RUN --mount`: typed, with BuildKit's rules.

use crate::expand::ExpandError;

/// The types of mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MountType {
    /// Files of the context, a stage or an image.
    #[default]
    Bind,
    /// A directory that outlives the build.
    Cache,
    /// Memory.
    Tmpfs,
    /// A secret as a file or variable.
    Secret,
    /// An SSH agent's socket.
    Ssh,
}

/// `sharing=` of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Sharing {
    /// Everybody at once.
    #[default]
    Shared,
    /// One each.
    Private,
    /// One after the other.
    Locked,
}

/// One `--mount`, values expanded and defaults not applied unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// `type`
    pub kind: MountType,
    /// `target`: as given, possibly relative to WORKDIR.
    pub target: Option<String>,
    /// `source` of bind and cache.
    pub source: Option<String>,
    /// `from` of bind and cache: stage, named context or image.
    pub from: Option<String>,
    /// Whether writing is forbidden; the type's default applied.
    pub read_only: bool,
    /// `id` of cache, secret (there also `source`), ssh.
    pub id: Option<String>,
    /// `sharing` of cache.
    pub sharing: Sharing,
    /// `size` of tmpfs, bytes.
    pub size: Option<u64>,
    /// `required` of secret and ssh.
    pub required: bool,
    /// `env` of secret: the variable.
    pub env: Option<String>,
    /// `mode` of cache, secret and ssh.
    pub mode: Option<u32>,
    /// `uid` of cache, secret and ssh.
    pub uid: Option<u32>,
    /// `gid` of cache, secret and ssh.
    pub gid: Option<u32>,
}

/// Why a `--mount` cannot be read. The messages are BuildKit's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// A value does not expand.
    #[error(transparent)]
    Expand(#[from] ExpandError),
}

impl Mount {
    /// Reads the text behind `--mount=`; `expand` expands a value in the environment of the instruction.
    pub fn parse(csv: &str, expand: &mut dyn FnMut(&str) -> Result<String, ExpandError>) -> Result<Self, MountError> {
        let _ = (csv, expand);
        unimplemented!()
    }

    /// The identity of a cache: `id`, or else the cleaned target.
    pub fn cache_id(&self) -> String {
        unimplemented!()
    }

    /// The mode: as given, or else 0755 for caches, 0400 for secrets, 0600 for agents.
    pub fn mode_or_default(&self) -> u32 {
        unimplemented!()
    }
}

/// The `from` of a `--mount`, which is needed before anything is expanded.
pub fn from_of(csv: &str) -> Result<Option<String>, MountError> {
    let _ = csv;
    unimplemented!()
}
