//! What can be wrong with a `--mount`.

use super::MountType;
use crate::expand::ExpandError;

/// Why a `--mount` cannot be read. The messages are BuildKit's, but for those about `key`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// A value does not expand.
    #[error(transparent)]
    Expand(#[from] ExpandError),
    /// The text is not comma-separated values.
    #[error("failed to parse csv mounts: {0}")]
    Csv(&'static str),
    /// A variable in `from`.
    #[error("'from' doesn't support variable expansion, define alias stage instead")]
    FromVariable,
    /// A key without value.
    #[error("invalid field '{0}' must be a key=value pair")]
    NoValue(String),
    /// A key that no mount has.
    #[error("unexpected key '{key}' in '{field}'{hint}")]
    UnknownKey {
        /// The key in lower case.
        key: String,
        /// Key and value.
        field: String,
        /// ` (did you mean …?)` or nothing.
        hint: String,
    },
    /// A key that mounts of this type do not have; the type must come before it.
    #[error("unexpected key '{key}' for mount type '{kind}'")]
    KeyForType {
        /// The key.
        key: String,
        /// The type so far.
        kind: MountType,
    },
    /// A type that is none.
    #[error("unsupported mount type {value:?}{hint}")]
    UnknownType {
        /// As written.
        value: String,
        /// ` (did you mean …?)` or nothing.
        hint: String,
    },
    /// A sharing mode that is none.
    #[error("unsupported sharing value {value:?}{hint}")]
    UnknownSharing {
        /// As written.
        value: String,
        /// ` (did you mean …?)` or nothing.
        hint: String,
    },
    /// A value that is no boolean or size.
    #[error("invalid value for {key}: {value}")]
    BadValue {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
    /// A mode, user or group that is no number.
    #[error("invalid value {value} for {key}")]
    BadNumber {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
    /// A key of a cache that says nothing.
    #[error("key= has no value: write a text, platform, base or file:PATTERN")]
    EmptyKey,
    /// Mode, user, group or key where the type has none.
    #[error("{key} not allowed for \"{kind}\" type mounts")]
    NotAllowed {
        /// The key.
        key: &'static str,
        /// The type.
        kind: MountType,
    },
    /// `sharing` where the type has none.
    #[error("invalid cache sharing set for {0} mount")]
    SharingForType(MountType),
    /// A secret from somewhere.
    #[error("secret mount should not have a from")]
    SecretFrom,
    /// A shared secret.
    #[error("secret mount should not define sharing")]
    SecretSharing,
    /// A secret without any name.
    #[error("invalid secret mount. one of source, target required")]
    SecretWithoutName,
    /// A secret with two names.
    #[error("both source and id can't be set")]
    SourceAndId,
    /// An agent's socket with a source.
    #[error("ssh does not support source")]
    SshSource,
}
