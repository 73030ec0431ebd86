//! What can go wrong in the sandbox.

use std::io;
use std::path::PathBuf;

/// A failure to mount, to set up or to follow a step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An overlay could not be mounted.
    #[error("cannot mount an overlay: {step} {}: {source}{}", .path.display(), overlay_hint(.source))]
    Overlay {
        /// The operation that failed.
        step: &'static str,
        /// The directory or option it was about.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// More directories than the kernel lays over one another.
    #[error(
        "{found} layers over one another, the kernel takes {limit}: let fewer instructions make a layer, or copy the \
         files into a new stage (`FROM scratch` and `COPY --from`)"
    )]
    TooManyLayers {
        /// The directories given.
        found: usize,
        /// The kernel's limit.
        limit: usize,
    },
    /// Something in the [`Spec`](crate::Spec) makes no sense.
    #[error("{0}")]
    InvalidSpec(String),
    /// A preparation for the step failed before its process was started.
    #[error("cannot set up the step: {step} {subject}: {source}")]
    Setup {
        /// The operation that failed.
        step: &'static str,
        /// The mount target, host path or option it was about; may be empty.
        subject: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The command is in no directory of `PATH`, or the path given does not exist.
    #[error("exec: {command:?}: not found")]
    CommandNotFound {
        /// The command as given.
        command: String,
    },
    /// The command exists but cannot be executed.
    #[error("exec: {command:?}: {source}")]
    CommandNotExecutable {
        /// The command as given.
        command: String,
        /// The kernel's answer, such as "permission denied" or "exec format error".
        source: io::Error,
    },
    /// A resource limit was asked for that this process may not set.
    #[error("cannot limit {limit}: {reason}")]
    Limit {
        /// The limit, such as `memory`.
        limit: &'static str,
        /// Why not, and what would help.
        reason: String,
    },
    /// The running step could not be waited for or signalled.
    #[error("cannot {step} the step: {source}")]
    Follow {
        /// The operation that failed.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl Error {
    /// The exit code that a shell would report for a command that could not be started: 127 where it was not found,
    /// 126 where it could not be executed; `None` for every other failure.
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            Self::CommandNotFound { .. } => Some(127),
            Self::CommandNotExecutable { .. } => Some(126),
            _ => None,
        }
    }

    pub(crate) fn setup(step: &'static str, subject: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Setup {
            step,
            subject: subject.into(),
            source: source.into(),
        }
    }
}

fn overlay_hint(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::ENODEV) => " (this kernel has no overlay file system; load the module `overlay`)",
        Some(libc::EPERM) => " (overlays in a user namespace need Linux 5.11 or later)",
        Some(libc::ENOSPC) => " (disk full, or the limit fs.mount-max is reached)",
        _ => "",
    }
}
