//! The build context when it is no directory of this machine: a repository, a file by HTTP, an archive.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use kiln_image::Digest;
use kiln_plan::{GitSource, Remote, without_password};
use kiln_store::{InUse, LayerDir, LayerId, Store};

use super::{Fetched, Fetcher};
use crate::builder::Builder;
use crate::cancel::{Cancel, Watched};
use crate::error::{Error, StepError, StepResult};
use crate::event::{Sink, TaskId};
use crate::request::Access;
use crate::session::Tasks;

/// What is fetched before there is a plan is numbered from here: below what is done besides its steps.
const FIRST_FETCH: usize = crate::builder::FIRST_TASK >> 1;

/// What the one file of a context by HTTP is called, as with `BuildKit`.
const FILE: &str = "context";

/// A context that was fetched. Its files are in the store, and stay there while this lives.
#[derive(Debug)]
pub struct FetchedContext {
    /// Where they are.
    pub directory: PathBuf,
    /// The name of its one file, where the address led to a file that is no archive.
    pub file: Option<&'static str>,
    /// When it was made, in seconds since 1970: the time of the commit; what the server says, or the newest entry of the
    /// archive. `None` if nobody knows.
    pub time: Option<i64>,
    /// Held so that nobody prunes it.
    _in_use: InUse,
}

/// A context that was unpacked; removed when this is dropped.
#[derive(Debug)]
pub struct UnpackedContext {
    directory: LayerDir,
}

impl UnpackedContext {
    /// Where its files are.
    pub fn directory(&self) -> PathBuf {
        self.directory.fs()
    }
}

impl Builder {
    /// Fetches a build context. A repository comes as the files of its commit, without `.git` unless the source says
    /// otherwise; an archive (tar, compressed or not) unpacked; any other file alone in a directory. Everything belongs
    /// to root. What was fetched before and did not change is not fetched again.
    pub fn fetch_context(
        &self,
        remote: &Remote,
        access: &Access,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<FetchedContext, Error> {
        let in_use = self.store.in_use().map_err(StepError::from)?;
        let tasks = Tasks::new(sink, FIRST_FETCH);
        let registry = self.registry.with_stop(cancel.registry());
        let fetcher = Fetcher {
            store: &self.store,
            registry: &registry,
            access,
            sink,
            cancel,
        };
        let task = tasks.start(match remote {
            Remote::Git(git) => format!("[internal] load git source {}", shown(git)),
            Remote::Http(url) => format!("[internal] load remote build context {}", without_password(url)),
        });
        let found = match remote {
            Remote::Git(git) => fetcher.context_by_git(task.id(), git),
            Remote::Http(url) => fetcher.context_by_http(task.id(), url),
        };
        let found = match unless_canceled(found, cancel) {
            Ok(found) => {
                task.ended(found.fetched.outcome());
                found
            }
            failed => task.end(failed)?,
        };
        Ok(FetchedContext {
            directory: self.store.layer_path(&found.fetched.layer),
            file: found.file,
            time: found.time,
            _in_use: in_use,
        })
    }

    /// Unpacks a context that comes as an archive; `what` it is, for messages. Everything in it belongs to root, as COPY would make it anyway.
    pub fn unpack_context(
        &self,
        archive: &mut dyn Read,
        what: &str,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<UnpackedContext, Error> {
        let tasks = Tasks::new(sink, FIRST_FETCH);
        let task = tasks.start("[internal] unpack the build context".to_owned());
        let archive = Watched { inner: archive, cancel };
        let unpacked = unpack(&self.store, archive, what, |line| task.say(line));
        let unpacked = unpacked.map_err(|error| {
            if cancel.is_canceled() {
                StepError::Canceled
            } else {
                error
            }
        });
        let directory = task.end(unpacked)?;
        Ok(UnpackedContext { directory })
    }
}

/// A context that is in the store.
struct Found {
    fetched: Fetched,
    /// The name of its one file, if it is one that is no archive.
    file: Option<&'static str>,
    time: Option<i64>,
}

impl Fetcher<'_> {
    /// The files of a commit.
    fn context_by_git(&self, task: TaskId, git: &GitSource) -> StepResult<Found> {
        let commit = self.commit(task, git, false)?;
        Ok(Found {
            time: self.time_of_commit(&commit)?,
            fetched: self.with_times(commit, git, false)?,
            file: None,
        })
    }

    /// The file at a URL: unpacked if it is an archive, else under the name that comes with it.
    fn context_by_http(&self, task: TaskId, url: &str) -> StepResult<Found> {
        let fetched = self.http(task, url, None, FILE, false)?;
        let time = self.time_of_file(&fetched, FILE)?;
        let unpacked = |fetched| Found {
            fetched,
            file: None,
            time,
        };
        let path = self.store.layer_path(&fetched.layer).join(FILE);
        let file = File::open(&path).map_err(StepError::io("open", &path))?;
        if !kiln_layer::is_archive(&file).map_err(StepError::io("read", &path))? {
            return Ok(Found {
                fetched,
                file: Some(FILE),
                time,
            });
        }
        let layer = LayerId::from_digest(&Digest::of(format!("unpacked\n{}", fetched.layer)));
        let _alone = self.lock(task, &format!("unpack {layer}"), "the same archive")?;
        if self.store.layer(&layer)?.is_some() {
            return Ok(unpacked(Fetched::known(layer)));
        }
        let archive = Watched {
            inner: file,
            cancel: self.cancel,
        };
        let what = format!("the archive at {}", without_password(url));
        let directory = unpack(self.store, archive, &what, |line| self.say(task, line))?;
        Ok(unpacked(self.keep(&directory, layer)?))
    }
}

/// What fails because it was stopped is no failure of its own.
fn unless_canceled<T>(result: StepResult<T>, cancel: &Cancel) -> StepResult<T> {
    result.map_err(|error| {
        if cancel.is_canceled() {
            StepError::Canceled
        } else {
            error
        }
    })
}

/// Unpacks an archive into a directory of the store that is no layer yet. Devices that cannot be made are told.
fn unpack(store: &Store, archive: impl Read, what: &str, say: impl Fn(&str)) -> StepResult<LayerDir> {
    let directory = store.new_layer()?;
    let path = directory.fs();
    let root = File::open(&path).map_err(StepError::io("open", &path))?;
    let extracted = kiln_layer::extract(archive, root.as_fd(), Path::new("/"), Some((0, 0)));
    let extracted = extracted.map_err(|source| StepError::Unpack {
        what: what.to_owned(),
        source,
    })?;
    for device in &extracted.skipped_devices {
        say(&format!("the device {} is left out of the context", device.display()));
    }
    Ok(directory)
}

/// A repository as people write it.
fn shown(git: &GitSource) -> String {
    let url = without_password(&git.url);
    match (git.reference.as_str(), git.subdirectory.as_str()) {
        ("", "") => url,
        (reference, "") => format!("{url}#{reference}"),
        (reference, directory) => format!("{url}#{reference}:{directory}"),
    }
}
