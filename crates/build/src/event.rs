//! What the solver says while it works. Only the command line renders it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln_dockerfile::diagnostic::Diagnostic;
use kiln_dockerfile::source::Source;
use kiln_image::{Descriptor, Digest};
use kiln_store::LayerId;

use crate::why::Why;

/// Names a unit of work in events. Steps of the plan have their index; what comes besides (loading the
/// Dockerfile, resolving images, exporting) is numbered from the number of steps up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub usize);

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// What is built from. All lines and spans of other events are places in its text.
    Dockerfile(Box<Source>),
    /// A unit of work is known. Sent once for each, before anything else about it; and once more when what has ended is
    /// done again.
    Task {
        /// Which.
        id: TaskId,
        /// As people read it: `[build 2/5] RUN make`, `exporting layers`.
        name: String,
        /// Its stage, if it is a step.
        stage: Option<String>,
        /// Its lines in the Dockerfile's text, from 1.
        lines: Option<(u32, u32)>,
    },
    /// It started. Sent again when it goes on after [`Event::Waiting`]: its clock begins anew.
    Started(TaskId),
    /// It started, but waits for the layers of an image, which another task fetches.
    Waiting(TaskId),
    /// Its process runs through an emulator.
    Emulated {
        /// Which.
        id: TaskId,
        /// What its programs are for.
        platform: String,
    },
    /// It wrote to its standard output or error.
    Log {
        /// Which.
        id: TaskId,
        /// Whether to standard error.
        stderr: bool,
        /// What, in pieces as they came (not lines).
        data: Arc<[u8]>,
    },
    /// How far a transfer or an export is.
    Progress {
        /// Which task.
        id: TaskId,
        /// Which part of it: a layer's short digest, `config`.
        part: String,
        /// Bytes done.
        current: u64,
        /// Bytes in all, if known; 0 for a part that is done and has none.
        total: Option<u64>,
    },
    /// Why a step runs or does not. Of those that run only where the request asks for it.
    Explained {
        /// Which.
        id: TaskId,
        /// Why.
        why: Why,
        /// The layer of one that does not run.
        layer: Option<LayerId>,
    },
    /// It ended.
    Finished {
        /// Which.
        id: TaskId,
        /// How.
        outcome: TaskOutcome,
        /// How long it took, without waiting.
        duration: Duration,
    },
    /// Some work is over. Sent by the thread that did it.
    Span(Span),
    /// Something to warn of, with its place.
    Warning(Diagnostic),
    /// Something to warn of that has no place in the Dockerfile.
    Notice(String),
}

/// Work that took time, for who wants to know where it goes. One thread's spans and tasks lie within or behind one
/// another.
#[derive(Debug, Clone)]
pub struct Span {
    /// What was done: `compress`.
    pub name: &'static str,
    /// To what: a layer's or a blob's digest, an image's name. Never anything secret.
    pub subject: Option<String>,
    /// How many bytes were read or made, where that is known.
    pub bytes: Option<u64>,
    /// When it began. It ended when it was sent.
    pub began: Instant,
}

/// Work that is under way; dropped when it ends, however it does.
pub struct Work<'a> {
    sink: &'a dyn Sink,
    span: Span,
}

impl<'a> Work<'a> {
    /// Begins.
    pub fn begin(sink: &'a dyn Sink, name: &'static str) -> Self {
        let span = Span {
            name,
            subject: None,
            bytes: None,
            began: Instant::now(),
        };
        Self { sink, span }
    }

    /// Says what it is done to.
    #[must_use]
    pub fn on(mut self, subject: &impl ToString) -> Self {
        self.span.subject = Some(subject.to_string());
        self
    }

    /// Says how many bytes it read or made.
    pub fn bytes(&mut self, bytes: u64) {
        self.span.bytes = Some(bytes);
    }
}

impl fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Work").field(&self.span).finish()
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.sink.event(Event::Span(self.span.clone()));
    }
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskOutcome {
    /// Done now.
    Done {
        /// Bytes that its layer adds; 0 for what makes none.
        bytes_added: u64,
        /// The peak memory of its process, in bytes, where it ran one.
        peak_memory: Option<u64>,
    },
    /// The result was there.
    Cached,
    /// It failed.
    Failed {
        /// Why, in one line; empty where only the build's error says it.
        reason: String,
    },
    /// It was stopped because another failed or the build was cancelled.
    Canceled,
}

/// Takes events, from any thread.
pub trait Sink: Send + Sync {
    /// Takes one.
    fn event(&self, event: Event);
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Sink for Silent {
    fn event(&self, _: Event) {}
}

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The digest of the config: docker's image ID. Of several outputs, the last one's; `None` for several platforms.
    pub config: Option<Digest>,
    /// The manifest or index, where one was written.
    pub manifest: Option<Descriptor>,
    /// Unpacked bytes of all layers.
    pub size: u64,
}

impl Built {
    /// What it is known by: the config, and of several platforms the index. `None` where these were written as files
    /// alone.
    pub fn id(&self) -> Option<Digest> {
        self.config.or(self.manifest.as_ref().map(|index| index.digest))
    }
}
