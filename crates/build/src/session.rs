//! What the steps of one build share.

use std::fs::File;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use kiln_plan::Network;
use kiln_store::{BuildId, LayerDir, Store};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::error::{StepError, StepResult};
use crate::event::{Event, Sink, TaskId, TaskOutcome, Work};
use crate::known_files::KnownFiles;
use crate::processors::Processors;
use crate::request::Request;

/// One build.
pub(crate) struct Session<'a> {
    pub(crate) store: &'a Store,
    pub(crate) request: &'a Request,
    pub(crate) build: BuildId,
    /// What is remembered of the files of local contexts.
    pub(crate) known_files: &'a KnownFiles<'a>,
    pub(crate) processors: Processors,
    /// Files that steps see and no layer keeps. Made by the first step that needs one.
    scratch: OnceLock<LayerDir>,
    sockets: AtomicUsize,
}

impl<'a> Session<'a> {
    pub(crate) fn new(store: &'a Store, request: &'a Request, build: BuildId, known_files: &'a KnownFiles<'a>) -> Self {
        Self {
            store,
            request,
            build,
            scratch: OnceLock::new(),
            sockets: AtomicUsize::new(0),
            known_files,
            processors: Processors::default(),
        }
    }

    fn scratch(&self) -> StepResult<&LayerDir> {
        if let Some(scratch) = self.scratch.get() {
            return Ok(scratch);
        }
        let directory = self.store.new_layer()?;
        let base = directory.fs();
        let empty = base.join("empty");
        std::fs::create_dir(&empty).map_err(StepError::io("create", &empty))?;
        kiln_sandbox::create_stubs(&base.join("stubs"))?;
        // Of two threads that come here first, one's directory stays and the other's is removed.
        Ok(self.scratch.get_or_init(|| directory))
    }

    /// An empty directory: the file tree of `FROM scratch`.
    pub(crate) fn empty(&self) -> StepResult<PathBuf> {
        Ok(self.scratch()?.fs().join("empty"))
    }

    /// Where a step's output is kept.
    pub(crate) fn log(&self, task: TaskId) -> StepResult<File> {
        Ok(self.store.create_log(self.build, task.0)?)
    }

    /// A file with that content, outside of every layer.
    pub(crate) fn file(&self, content: &[u8]) -> StepResult<PathBuf> {
        let name = blake3::hash(content).to_hex();
        let path = self.scratch()?.fs().join(name.as_str());
        if !path.exists() {
            // Nobody sees it before it is whole. Of two threads that write the same the first one's stays: a step may
            // be mounting it already, and a file that has lost its name cannot be mounted.
            let unfinished = path.with_extension(format!("{:?}", std::thread::current().id()));
            std::fs::write(&unfinished, content).map_err(StepError::io("write", &unfinished))?;
            match renameat_with(CWD, &unfinished, CWD, &path, RenameFlags::NOREPLACE) {
                Ok(()) => {}
                Err(Errno::EXIST) => std::fs::remove_file(&unfinished).map_err(StepError::io("remove", &unfinished))?,
                Err(error) => return Err(StepError::errno("rename to", &path)(error)),
            }
        }
        Ok(path)
    }

    /// Where a socket can be made: each time another path.
    pub(crate) fn socket_path(&self) -> StepResult<PathBuf> {
        let number = self.sockets.fetch_add(1, Ordering::Relaxed);
        Ok(self.scratch()?.fs().join(format!("s{number}")))
    }

    /// A directory with the mount points that every step needs, as the lowest layer of a step's root.
    pub(crate) fn stubs(&self) -> StepResult<PathBuf> {
        Ok(self.scratch()?.fs().join("stubs"))
    }
}

/// /etc/hosts as BuildKit writes it, with further names.
pub(crate) fn hosts_file(hostname: &str, extra: &[(String, String)]) -> Vec<u8> {
    let mut lines = vec![
        format!("127.0.0.1\tlocalhost {hostname}\n"),
        "::1\tlocalhost ip6-localhost ip6-loopback\n".to_owned(),
    ];
    lines.extend(extra.iter().map(|(name, address)| format!("{address}\t{name}\n")));
    lines.concat().into_bytes()
}

/// This machine's name servers, where the step uses its network.
pub(crate) fn resolv_conf(network: Network) -> StepResult<Vec<u8>> {
    const PATH: &str = "/etc/resolv.conf";
    match (network, std::fs::read(PATH)) {
        (Network::None, _) => Ok(Vec::new()),
        (Network::Host, Ok(content)) => Ok(content),
        (Network::Host, Err(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        (Network::Host, Err(error)) => Err(StepError::io("read", PATH)(error)),
    }
}

/// Numbers the tasks that are not steps.
pub(crate) struct Tasks<'a> {
    next: AtomicUsize,
    sink: &'a dyn Sink,
}

impl<'a> Tasks<'a> {
    pub(crate) fn new(sink: &'a dyn Sink, first: usize) -> Self {
        Self {
            next: AtomicUsize::new(first),
            sink,
        }
    }

    /// Warns of something that has no place in the Dockerfile.
    pub(crate) fn notice(&self, text: String) {
        self.sink.event(Event::Notice(text));
    }

    /// Begins work that is no task of its own.
    pub(crate) fn work(&self, name: &'static str) -> Work<'a> {
        Work::begin(self.sink, name)
    }

    /// Announces and starts a task.
    pub(crate) fn start(&self, name: String) -> Task<'a> {
        let id = TaskId(self.next.fetch_add(1, Ordering::Relaxed));
        self.sink.event(Event::Task {
            id,
            name,
            stage: None,
            lines: None,
        });
        self.sink.event(Event::Started(id));
        Task {
            id,
            sink: self.sink,
            started: std::time::Instant::now(),
            finished: false,
        }
    }
}

/// A task that is under way. Dropped without [`Task::done`], it failed.
pub(crate) struct Task<'a> {
    id: TaskId,
    sink: &'a dyn Sink,
    started: std::time::Instant,
    finished: bool,
}

impl Task<'_> {
    /// Says how far a part of it is.
    pub(crate) fn progress(&self, part: &str, current: u64, total: Option<u64>) {
        self.sink.event(Event::Progress {
            id: self.id,
            part: part.to_owned(),
            current,
            total,
        });
    }

    /// Says that a part of it is done that has no bytes to count.
    pub(crate) fn did(&self, what: &str) {
        self.progress(what, 0, Some(0));
    }

    /// Its number.
    pub(crate) const fn id(&self) -> TaskId {
        self.id
    }

    /// A line of its output.
    pub(crate) fn say(&self, line: &str) {
        self.sink.event(Event::Log {
            id: self.id,
            stderr: true,
            data: format!("{line}\n").into_bytes().into(),
        });
    }

    /// It is done.
    pub(crate) fn done(self) {
        self.ended(TaskOutcome::Done {
            bytes_added: 0,
            peak_memory: None,
        });
    }

    /// It ended so.
    pub(crate) fn ended(mut self, outcome: TaskOutcome) {
        self.finish(outcome);
    }

    /// It ended with that result.
    pub(crate) fn end<T>(mut self, result: StepResult<T>) -> StepResult<T> {
        match &result {
            Ok(_) => self.done(),
            Err(StepError::Canceled) => self.finish(TaskOutcome::Canceled),
            Err(error) => self.finish(TaskOutcome::Failed {
                reason: error.to_string(),
            }),
        }
        result
    }

    fn finish(&mut self, outcome: TaskOutcome) {
        self.finished = true;
        self.sink.event(Event::Finished {
            id: self.id,
            outcome,
            duration: self.started.elapsed(),
        });
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.finish(TaskOutcome::Failed { reason: String::new() });
        }
    }
}
