//! Why a build, a transfer or an export failed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kiln_dockerfile::diagnostic::Diagnostic;
use kiln_image::Platform;
use kiln_store::LayerId;

use crate::processors::NotRunnable;

/// Anything that ends a build.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Dockerfile cannot be built; each diagnostic has its place.
    #[error("the Dockerfile cannot be built")]
    Dockerfile(Vec<Diagnostic>),
    /// A step failed.
    #[error("{name}")]
    Step {
        /// The step as shown to people.
        name: String,
        /// Its lines in the Dockerfile, from 1.
        lines: Option<(u32, u32)>,
        /// Why.
        #[source]
        error: Box<StepError>,
    },
    /// The build was cancelled.
    #[error("the build was canceled")]
    Canceled,
    /// The ignore file has a line that is no pattern.
    #[error("{file}, line {line}: {message}")]
    Ignore {
        /// The file's name.
        file: String,
        /// From 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// An image is not in the store.
    #[error("no image `{0}` in the store")]
    NoSuchImage(String),
    /// The beginning of several IDs.
    #[error("`{0}` is ambiguous: the IDs of {1} images begin so")]
    AmbiguousImage(String, usize),
    /// What was to be read is not an image.
    #[error("{path}: {message}")]
    NotAnImage {
        /// What was read.
        path: String,
        /// What is wrong with it.
        message: String,
    },
    /// Everything else.
    #[error(transparent)]
    Other(#[from] StepError),
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// Its process ended with a code other than 0.
    #[error("process \"{command}\" did not complete successfully: exit code: {code}")]
    Exit {
        /// The command as BuildKit quotes it.
        command: String,
        /// The code.
        code: i32,
        /// The last lines of its output.
        tail: Vec<String>,
        /// Its cache mounts that a step had left which was killed.
        left: Vec<String>,
    },
    /// Its process was ended by a signal.
    #[error("process \"{command}\" was killed by signal {signal}{reason}")]
    Signal {
        /// The command as BuildKit quotes it.
        command: String,
        /// The signal's number.
        signal: i32,
        /// What is known of the cause.
        reason: String,
        /// The last lines of its output.
        tail: Vec<String>,
        /// Its cache mounts that a step had left which was killed.
        left: Vec<String>,
    },
    /// Its process was ended because of a limit that the build has.
    #[error("process \"{command}\" {by}")]
    Stopped {
        /// The command as BuildKit quotes it.
        command: String,
        /// Which limit.
        by: StoppedBy,
        /// The last lines of its output.
        tail: Vec<String>,
    },
    /// A source of COPY or ADD, or of a bind mount, is not there.
    #[error("{0}")]
    Missing(Missing),
    /// A value of the instruction makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// This build of Kiln cannot do it.
    #[error("{0}")]
    Unsupported(String),
    /// What it runs is for another processor.
    #[error("programs for {platform} cannot run on this machine: {reason}")]
    NotRunnable {
        /// What it is for.
        platform: Platform,
        /// Why they cannot.
        reason: Arc<NotRunnable>,
    },
    /// Images of several platforms, and none for the one that is wanted.
    #[error("{what} has no image for {wanted}; it has {}", .offered.join(", "))]
    NoPlatform {
        /// What they are in.
        what: String,
        /// The platform that was wanted.
        wanted: String,
        /// The platforms on offer.
        offered: Vec<String>,
    },
    /// A shell is wanted where there is none, and there is none to bring along.
    #[error("there is no shell, and no toolbox to bring one along: {reason}")]
    NoToolbox {
        /// Where one was looked for.
        reason: String,
    },
    /// A required secret was not given.
    #[error("secret `{0}` is required and was not given")]
    Secret(String),
    /// A required SSH agent was not given.
    #[error("SSH agent `{0}` is required and was not given")]
    Agent(String),
    /// A blob is needed that nobody has any more.
    #[error("layer {layer} of `{image}` is not in the store and its registry is not known")]
    LostLayer {
        /// The layer.
        layer: String,
        /// The image.
        image: String,
    },
    /// The files of a layer of the store are not those that were written.
    #[error("layer {layer} of the store is damaged: its files are not those that were written")]
    DamagedLayer {
        /// The layer.
        layer: LayerId,
    },
    /// Stopped from outside.
    #[error("canceled")]
    Canceled,
    /// The sandbox.
    #[error(transparent)]
    Sandbox(#[from] kiln_sandbox::Error),
    /// A user or group.
    #[error(transparent)]
    User(#[from] kiln_sandbox::UserError),
    /// The store.
    #[error(transparent)]
    Store(#[from] kiln_store::Error),
    /// A layer.
    #[error(transparent)]
    Layer(#[from] kiln_layer::Error),
    /// A layer cannot be said as an archive.
    #[error("{source}")]
    Pack {
        /// Which.
        layer: LayerId,
        /// Why.
        source: kiln_layer::Error,
    },
    /// A layer, or a context that is an archive.
    #[error("cannot unpack {what}: {source}")]
    Unpack {
        /// Which.
        what: String,
        /// Why.
        source: kiln_layer::Error,
    },
    /// A registry.
    #[error(transparent)]
    Registry(#[from] kiln_registry::Error),
    /// A file.
    #[error("{operation} {path}: {source}")]
    Io {
        /// What was done: `open`, `read`, …
        operation: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The limit that ended a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoppedBy {
    /// Memory, in bytes.
    Memory {
        /// What it was given.
        limit: u64,
        /// The most that it had.
        peak: Option<u64>,
    },
    /// Time.
    Time {
        /// What it was given.
        limit: Duration,
    },
}

impl fmt::Display for StoppedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { limit, peak } => {
                write!(f, "was killed by its memory limit of {}", Bytes(*limit))?;
                peak.map_or(Ok(()), |peak| write!(f, " (peak {})", Bytes(peak)))
            }
            Self::Time { limit } => write!(f, "was stopped: it took longer than its limit of {limit:?}"),
        }
    }
}

/// Bytes in the units in which memory is given: powers of 1024.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let Some((shift, unit)) = units.into_iter().find(|(shift, _)| self.0 >> shift > 0) else {
            return write!(f, "{}B", self.0);
        };
        let tenths = (u128::from(self.0) * 10) >> shift;
        match tenths % 10 {
            0 => write!(f, "{}{unit}", tenths / 10),
            tenth => write!(f, "{}.{tenth}{unit}", tenths / 10),
        }
    }
}

/// A path that COPY, ADD or a mount names and that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// As written.
    pub path: String,
    /// Where it was looked for: `the build context`, `stage "build"`.
    pub place: String,
    /// Why, as far as it is known.
    pub cause: MissingCause,
}

/// Why a path is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissingCause {
    /// Nothing like it; the nearest path that exists.
    Absent {
        /// Something with a similar name.
        nearest: Option<String>,
    },
    /// There is one that differs in upper and lower case.
    Case {
        /// That one.
        actual: String,
    },
    /// It is there, but a line of the ignore file excludes it.
    Excluded {
        /// The ignore file.
        file: String,
        /// Its line, from 1.
        line: usize,
        /// The pattern.
        pattern: String,
    },
    /// It was written to lead out of the context, where it exists.
    Outside,
    /// It is a symbolic link to nothing in there, or in circles.
    DanglingLink {
        /// Where it leads.
        target: String,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` not found in {}", self.path, self.place)?;
        match &self.cause {
            MissingCause::Excluded { file, line, .. } => {
                write!(f, ": it is there, but excluded by line {line} of {file}")
            }
            MissingCause::Case { actual } => write!(f, ": `{actual}` differs in upper and lower case"),
            MissingCause::Outside => write!(f, ": paths cannot lead out of it"),
            MissingCause::DanglingLink { target } => write!(
                f,
                ": it is a symbolic link to `{target}`, and that leads to nothing in there"
            ),
            MissingCause::Absent { .. } => Ok(()),
        }
    }
}

impl StepError {
    /// For `map_err` on input and output.
    pub(crate) fn io(operation: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io {
            operation,
            path,
            source,
        }
    }

    /// For `map_err` on system calls.
    pub(crate) fn errno(operation: &'static str, path: impl AsRef<Path>) -> impl FnOnce(rustix::io::Errno) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io {
            operation,
            path,
            source: source.into(),
        }
    }

    /// What to do about it, where that is known; several lines are as many things.
    pub fn hint(&self) -> Option<String> {
        let left = match self {
            Self::Exit { left, .. } | Self::Signal { left, .. } => &left[..],
            _ => &[],
        };
        let of_left = |id: &String| {
            format!(
                "the cache mount `{id}` was left by a step that was killed, which may be the cause: `kiln cache rm {id}` \
                 empties it"
            )
        };
        let lines: Vec<String> = left.iter().map(of_left).chain(self.own_hint()).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::Missing(missing) => missing.hint(),
            Self::Exit { code: 127, .. } => Some(
                "exit code 127 is the shell's for a command that it cannot find: is it installed in this stage?"
                    .to_owned(),
            ),
            Self::Exit { code: 126, .. } => Some(
                "exit code 126 is the shell's for a file that it may not execute: check its mode and its interpreter"
                    .to_owned(),
            ),
            Self::Exit { code: 137, .. } => Some(
                "exit code 137 is the shell's for a process that signal 9 ended, mostly the kernel's when memory runs \
                 out: try fewer --jobs or a larger --memory"
                    .to_owned(),
            ),
            Self::Signal { signal: 9, .. } => Some(
                "signal 9 mostly comes from the kernel's out-of-memory killer: try fewer --jobs or a larger --memory"
                    .to_owned(),
            ),
            Self::Stopped { by, .. } => Some(
                match by {
                    StoppedBy::Memory { .. } => {
                        "give it more with --memory, or make it use less: fewer jobs of `make`, say"
                    }
                    StoppedBy::Time { .. } => {
                        "give it more with --step-timeout, or see in its output what it waits for"
                    }
                }
                .to_owned(),
            ),
            Self::NotRunnable { reason, .. } => Some(reason.hint()),
            Self::NoToolbox { .. } => Some(
                "install a busybox that is linked statically (`apt-get install busybox-static`), or name an image or a \
                 directory that has one: --toolbox IMAGE|DIR"
                    .to_owned(),
            ),
            Self::Secret(id) => Some(format!(
                "give it with --secret id={id},src=FILE or --secret id={id},env=VARIABLE"
            )),
            Self::Agent(id) => Some(format!(
                "give it with --ssh {id} (the agent of $SSH_AUTH_SOCK) or --ssh {id}=SOCKET"
            )),
            Self::DamagedLayer { .. } => Some("`kiln doctor --store` looks at all the rest".to_owned()),
            Self::LostLayer { .. } => Some("pull or build the image again".to_owned()),
            Self::Io { path, source, .. } if source.kind() == io::ErrorKind::StorageFull => Some(format!(
                "the disk of {} is full; if Kiln's store is on it, `kiln prune` frees what no image needs",
                path.display()
            )),
            Self::Store(kiln_store::Error::NoSpace { .. }) => {
                Some("the disk is full: `kiln prune` frees what no image needs".to_owned())
            }
            _ => None,
        }
    }
}

impl Missing {
    fn hint(&self) -> Option<String> {
        match &self.cause {
            MissingCause::Absent { nearest } => nearest.as_ref().map(|path| format!("did you mean `{path}`?")),
            MissingCause::Case { actual } => Some(format!("write `{actual}`")),
            MissingCause::Excluded { pattern, file, .. } => Some(format!(
                "add `!{}` below `{pattern}` in {file}, or copy something else",
                self.path.trim_start_matches('/')
            )),
            MissingCause::Outside => {
                Some("choose a context that contains it, or name its directory with --build-context".to_owned())
            }
            MissingCause::DanglingLink { .. } => None,
        }
    }
}

/// What most functions of this crate give.
pub(crate) type StepResult<T> = Result<T, StepError>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_in_words() {
        for (bytes, text) in [
            (12, "12B"),
            (1024, "1KiB"),
            (64 << 20, "64MiB"),
            (1_610_612_736, "1.5GiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        let by = StoppedBy::Memory {
            limit: 64 << 20,
            peak: Some((63 << 20) + (512 << 10)),
        };
        assert_eq!(by.to_string(), "was killed by its memory limit of 64MiB (peak 63.5MiB)");
        let by = StoppedBy::Time {
            limit: Duration::from_millis(1500),
        };
        assert_eq!(by.to_string(), "was stopped: it took longer than its limit of 1.5s");
    }
}
