//! Why a command did not do what it was asked to: the one place where errors become exit codes.

use std::fmt::Display;
use std::io;

use kiln_dockerfile::diagnostic::Diagnostic;
use kiln_dockerfile::source::Source;

/// What a command gives back.
pub(crate) type Outcome = Result<(), Failure>;

/// The build or the check failed: something about what was given to Kiln, not about Kiln.
pub(crate) const FAILED: u8 = 1;
/// Wrong usage.
pub(crate) const USAGE: u8 = 2;
/// Kiln itself could not do its work.
pub(crate) const INTERNAL: u8 = 125;
/// Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;

/// A command that ended otherwise than well.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code of the process.
    pub(crate) code: u8,
    /// What there is to say about it.
    pub(crate) report: Report,
}

/// What is said about a failure; [`crate::report`] renders it.
#[derive(Debug)]
pub(crate) enum Report {
    /// Nothing: somebody said it already, or nobody needs to know.
    Silent,
    /// An error with its causes.
    Plain {
        /// What was attempted, and below it why that failed.
        error: anyhow::Error,
        /// What to do about it.
        hint: Option<String>,
        /// What `kiln explain` knows more about.
        id: Option<&'static str>,
    },
    /// Errors about places in a Dockerfile.
    Dockerfile {
        /// Where the places are.
        source: Source,
        /// All errors and warnings.
        diagnostics: Vec<Diagnostic>,
    },
    /// A step failed.
    Step(Box<FailedStep>),
}

/// A step that failed.
#[derive(Debug)]
pub(crate) struct FailedStep {
    /// Where its instruction stands.
    pub(crate) source: Source,
    /// The step as people know it: `[build 2/5] RUN make`.
    pub(crate) name: String,
    /// Its lines, from 1.
    pub(crate) lines: Option<(u32, u32)>,
    /// Why it failed, with all causes.
    pub(crate) error: anyhow::Error,
    /// Whether it is a program that failed, or could not be started, and left a file tree.
    pub(crate) left_files: bool,
    /// The last lines of its output.
    pub(crate) tail: Vec<String>,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// What `kiln explain` knows more about.
    pub(crate) id: &'static str,
}

impl Failure {
    /// Nothing more to say; the process ends with `code`.
    pub(crate) const fn silent(code: u8) -> Self {
        Self {
            code,
            report: Report::Silent,
        }
    }

    /// What was asked for makes no sense.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self::plain(USAGE, anyhow::anyhow!("{message}"))
    }

    /// What was asked for failed.
    pub(crate) fn failed(error: impl Into<anyhow::Error>) -> Self {
        Self::plain(FAILED, error.into())
    }

    /// Kiln could not do its work.
    pub(crate) fn internal(error: impl Into<anyhow::Error>) -> Self {
        Self::plain(INTERNAL, error.into())
    }

    fn plain(code: u8, error: anyhow::Error) -> Self {
        Self {
            code,
            report: Report::Plain {
                error,
                hint: None,
                id: None,
            },
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        if let Report::Plain { hint, .. } = &mut self.report {
            *hint = Some(text.into());
        }
        self
    }

    /// Adds what `kiln explain` knows more about.
    #[must_use]
    pub(crate) fn id(mut self, code: &'static str) -> Self {
        if let Report::Plain { id, .. } = &mut self.report {
            *id = Some(code);
        }
        self
    }

    /// Standard output could not be written. A reader that had enough (`kiln images | head`) is no failure.
    pub(crate) fn output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::silent(0);
        }
        Self::internal(anyhow::Error::new(error).context("cannot write to standard output"))
    }
}

/// Gives errors of the system a context and an exit code.
pub(crate) trait Context<T> {
    /// What was given to Kiln is at fault: a file that is missing or cannot be read.
    fn or_failed(self, doing: impl FnOnce() -> String) -> Result<T, Failure>;
    /// Kiln's surroundings are at fault.
    fn or_internal(self, doing: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> Context<T> for Result<T, E> {
    fn or_failed(self, doing: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure::failed(error.into().context(doing())))
    }

    fn or_internal(self, doing: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure::internal(error.into().context(doing())))
    }
}
