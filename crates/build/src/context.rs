//! A directory of this machine as a source of files: the build context, or a named one.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use kiln_dockerfile::ignore::Ignore;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use crate::error::{MissingCause, StepError, StepResult};
use crate::request::Request;

/// The name of the build context among the sources of a plan.
const MAIN: &str = "context";

/// A local directory and what is left out of it.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) root: OwnedFd,
    path: PathBuf,
    ignore: Option<(Ignore, IgnoreFile)>,
    main: bool,
}

/// What is needed to open a context again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NotedContext {
    pub(crate) path: PathBuf,
    /// Text and name of its ignore file.
    ignore: Option<(String, String)>,
    main: bool,
}

/// The ignore file, for messages.
#[derive(Debug)]
struct IgnoreFile {
    name: String,
    text: String,
}

impl Context {
    /// Opens the context of that name.
    pub(crate) fn open(request: &Request, name: &str) -> StepResult<Self> {
        let main = name == MAIN;
        let path = if main {
            request.context.as_ref()
        } else {
            request.named_contexts.get(name)
        };
        let path = path.ok_or_else(|| no_context(name))?;
        let ignore = if main {
            request.ignore.clone()
        } else {
            own_ignore_file(path)?
        };
        Self::at(path, ignore, main)
    }

    fn at(path: &Path, ignore: Option<(String, String)>, main: bool) -> StepResult<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty()).map_err(StepError::errno("open the context", path))?;
        let ignore = ignore.map(|(text, name)| parse_ignore(text, name)).transpose()?;
        Ok(Self {
            root,
            path: path.to_owned(),
            ignore,
            main,
        })
    }

    /// Enough to open it again from anywhere, as long as it is where it is.
    pub(crate) fn noted(&self) -> Option<NotedContext> {
        let ignore = self.ignore.as_ref();
        Some(NotedContext {
            path: std::fs::canonicalize(&self.path).ok()?,
            ignore: ignore.map(|(_, file)| (file.text.clone(), file.name.clone())),
            main: self.main,
        })
    }

    /// Opens one that was noted, with the ignore file that it had.
    pub(crate) fn again(noted: &NotedContext) -> StepResult<Self> {
        Self::at(&noted.path, noted.ignore.clone(), noted.main)
    }

    /// For messages.
    pub(crate) fn describe(&self) -> String {
        if self.main {
            "the build context".to_owned()
        } else {
            format!("the context {}", self.path.display())
        }
    }

    /// Whether the ignore file leaves the path out.
    pub(crate) fn excluded(&self, path: &str) -> bool {
        self.ignore
            .as_ref()
            .is_some_and(|(ignore, _)| !path.is_empty() && ignore.decide(path).excluded)
    }

    /// Whether something below an excluded directory may be let in again.
    pub(crate) fn may_reinclude_below(&self, directory: &str) -> bool {
        self.ignore
            .as_ref()
            .is_some_and(|(ignore, _)| ignore.may_reinclude_below(directory))
    }

    /// Why an excluded path is excluded.
    pub(crate) fn exclusion(&self, path: &str) -> Option<MissingCause> {
        let (ignore, file) = self.ignore.as_ref()?;
        let decision = ignore.decide(path);
        let line = decision.line.filter(|_| decision.excluded)?;
        let pattern = file
            .text
            .lines()
            .nth(line.saturating_sub(1))
            .unwrap_or_default()
            .trim()
            .to_owned();
        Some(MissingCause::Excluded {
            file: file.name.clone(),
            line,
            pattern,
        })
    }

    /// Whether the path, as written, exists outside of the context (`../x`, `/etc/x`).
    pub(crate) fn exists_outside(&self, written: &str) -> bool {
        let leads_out = written.starts_with('/') || written.split('/').any(|part| part == "..");
        leads_out && self.path.join(written).exists()
    }
}

fn no_context(name: &str) -> StepError {
    if name == MAIN {
        StepError::Invalid("there is no build context: the Dockerfile came from standard input".to_owned())
    } else {
        StepError::Invalid(format!(
            "there is no context named `{name}`: give its directory with --build-context {name}=DIR"
        ))
    }
}

/// Named contexts have an ignore file of their own.
fn own_ignore_file(path: &Path) -> StepResult<Option<(String, String)>> {
    let file = path.join(".dockerignore");
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(Some((text, file.display().to_string()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StepError::io("read", &file)(error)),
    }
}

fn parse_ignore(text: String, name: String) -> StepResult<(Ignore, IgnoreFile)> {
    let ignore = Ignore::parse(&text).map_err(|error| StepError::Invalid(format!("{name}: {error}")))?;
    Ok((ignore, IgnoreFile { name, text }))
}
