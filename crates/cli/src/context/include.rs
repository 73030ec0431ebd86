//! Where a Dockerfile's INCLUDEs find their files.

use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};

use kiln_dockerfile::include::{self, Failed, Files, Unreadable};
use kiln_dockerfile::source::Source;
use kiln_dockerfile::suggest;
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::text::read_text;
use crate::failure::{FAILED, Failure, Report};
use crate::report::sentence;

/// A Dockerfile before it is known what it includes.
#[derive(Debug)]
pub(super) struct Named {
    /// Its name in messages.
    name: String,
    text: String,
    /// Its path within a context that was brought here, if it is from there.
    inside: Option<String>,
}

impl Named {
    /// A file that is in no context that was brought here.
    pub(super) const fn new(name: String, text: String) -> Self {
        Self {
            name,
            text,
            inside: None,
        }
    }

    /// A file of a context that was brought here, by its path there.
    pub(super) fn inside(path: String, text: String) -> Self {
        Self {
            inside: Some(plain(Path::new(&path))),
            name: path,
            text,
        }
    }

    /// The whole text, with what is included.
    pub(super) fn with_includes(self, home: Home) -> Result<Source, Failure> {
        self.read_in(home).map_err(|failed| Failure {
            code: FAILED,
            report: Report::Dockerfile {
                source: failed.source,
                diagnostics: failed.diagnostics,
            },
        })
    }

    /// The same; else as far as it could be put together.
    pub(super) fn read_in(self, mut home: Home) -> Result<Source, Box<Failed>> {
        let path = self.inside.unwrap_or_else(|| std::mem::take(&mut home.own));
        include::read_in(&self.name, &path, self.text, &mut home)
    }
}

/// The directory that no INCLUDE leads out of.
#[derive(Debug)]
pub(super) struct Home {
    /// None where there is neither a context nor a file.
    root: Option<PathBuf>,
    /// What stands before paths in there in messages.
    shown: PathBuf,
    /// The Dockerfile's own path in there; empty if it is from elsewhere.
    own: String,
    what: &'static str,
}

impl Home {
    /// Of a Dockerfile on standard input, without a context.
    pub(super) fn nowhere() -> Self {
        Self {
            root: None,
            shown: PathBuf::new(),
            own: String::new(),
            what: "the build context",
        }
    }

    /// Of a Dockerfile that is not in the context, nor beside other files.
    pub(super) fn context(context: &Path) -> Self {
        Self {
            root: Some(context.to_owned()),
            shown: context.strip_prefix(".").unwrap_or(context).to_owned(),
            ..Self::nowhere()
        }
    }

    /// Of a Dockerfile in a context that was brought here.
    pub(super) fn brought(context: &Path) -> Self {
        Self {
            shown: PathBuf::new(),
            ..Self::context(context)
        }
    }

    /// Of a file: the context if it lies in there, else its own directory.
    pub(super) fn of_file(file: &Path, context: &Path) -> Self {
        let below = || {
            let directory = fs::canonicalize(directory_of(file)).ok()?;
            let below = directory.strip_prefix(fs::canonicalize(context).ok()?).ok()?;
            Some(below.join(file.file_name()?))
        };
        match below() {
            Some(below) => Self {
                own: below.to_string_lossy().into_owned(),
                ..Self::context(context)
            },
            None => Self::beside(file),
        }
    }

    /// Of a file outside of the context.
    pub(super) fn beside(file: &Path) -> Self {
        Self {
            own: file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            what: "the Dockerfile's directory",
            ..Self::context(directory_of(file))
        }
    }

    /// Opens what is in there; links do not lead out.
    fn open(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let root = self.root.as_ref().ok_or(Errno::NOENT)?;
        let root = rustix::fs::open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        kiln_sandbox::open_in_root(root.as_fd(), path, flags, Mode::empty())
    }

    /// Why there is no file of that path, and what to do about it.
    fn missing(&self, path: &str) -> Unreadable {
        let name = self.name(path);
        if self.root.is_none() {
            return unreadable(format!(
                "`{name}` cannot be included: there is no build context to find it in"
            ));
        }
        if self.open(path, OFlags::PATH | OFlags::NOFOLLOW).is_ok() {
            return unreadable(format!("`{name}` is a link that leads to nothing in {}", self.what));
        }
        let help = self
            .similar(path)
            .map(|other| format!("did you mean `{}`?", self.name(&other)));
        Unreadable {
            help,
            ..unreadable(format!("`{name}` not found"))
        }
    }

    /// A file beside that one with a similar name.
    fn similar(&self, path: &str) -> Option<String> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let opened = self.open(directory, OFlags::RDONLY | OFlags::DIRECTORY).ok()?;
        let entries = rustix::fs::Dir::read_from(&opened).ok()?;
        let names: Vec<String> = entries
            .filter_map(|entry| Some(entry.ok()?.file_name().to_str().ok()?.to_owned()))
            .collect();
        let found = suggest::closest(name, names.iter().map(String::as_str))?;
        Some(plain(&Path::new(directory).join(found)))
    }
}

impl Files for Home {
    fn read(&mut self, path: &str) -> Result<String, Unreadable> {
        let name = self.name(path);
        // Whatever it is, opening it does not block.
        let mut file = match self.open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT | Errno::NOTDIR) => return Err(self.missing(path)),
            Err(error) => return Err(unreadable(format!("`{name}` cannot be read: {error}"))),
        };
        let metadata = file.metadata();
        let metadata = metadata.map_err(|error| unreadable(format!("`{name}` cannot be read: {error}")))?;
        if !metadata.is_file() {
            let what = if metadata.is_dir() { "a directory" } else { "no file" };
            return Err(unreadable(format!("`{name}` is {what}")));
        }
        read_text(&mut file, &name).map_err(|failure| {
            unreadable(match &failure.report {
                Report::Plain { error, .. } => sentence(error),
                _ => format!("`{name}` cannot be read"),
            })
        })
    }

    fn name(&self, path: &str) -> String {
        self.shown.join(path).display().to_string()
    }

    fn directory(&self) -> &'static str {
        self.what
    }
}

fn unreadable(message: String) -> Unreadable {
    Unreadable { message, help: None }
}

fn directory_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Relative to the directory at the top, which `..` does not leave.
fn plain(path: &Path) -> String {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => drop(plain.pop()),
            _ => {}
        }
    }
    plain.to_string_lossy().into_owned()
}
