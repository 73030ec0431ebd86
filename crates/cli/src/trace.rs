//! `--trace`: what a build did when and on which thread, in the Trace Event Format that Perfetto and chrome://tracing
//! read: a JSON array of complete events (`X`) and names (`M`), times in microseconds since the process began.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use kiln_build::event::{Event, Sink, Span, TaskId, TaskOutcome};
use rustix::thread::{Pid, gettid};
use serde_json::{Map, Value, json};

use crate::failure::{Context as _, Failure};
use crate::{atomic, terminal};

/// The file that stands for standard output.
const STDOUT: &str = "-";

/// Whether a trace of that name goes to standard output.
pub(crate) fn to_stdout(file: &Path) -> bool {
    file.as_os_str() == STDOUT
}

/// A trace that is being written.
#[derive(Debug)]
pub(crate) struct Trace {
    file: PathBuf,
    events: Mutex<Events>,
}

impl Trace {
    /// Begins one that goes to `file`, if that can be written, of a process that began at `began`.
    pub(crate) fn start(file: PathBuf, began: Instant) -> Result<Self, Failure> {
        if !to_stdout(&file) {
            atomic::check(&file).or_failed(|| format!("cannot write the trace {}", file.display()))?;
        }
        let mut events = Events::new(began);
        events.apply(&Event::Span(span("start", began)), Moment::now());
        Ok(Self {
            file,
            events: Mutex::new(events),
        })
    }

    /// The build is over, and whatever it left behind gone.
    pub(crate) fn finish(self) {
        let events = self.events.into_inner().unwrap_or_else(PoisonError::into_inner);
        let text = events.end(Moment::now());
        let written = if to_stdout(&self.file) {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        } else {
            atomic::write(&self.file, text.as_bytes())
        };
        // What was built is there, whatever comes of this.
        if let Err(error) = written {
            terminal::warn(format!("the trace {} was not written: {error}", self.file.display()));
        }
    }
}

/// Passes events on, to a trace too if there is one.
pub(crate) struct Traced<'a> {
    pub(crate) trace: Option<&'a Trace>,
    pub(crate) next: &'a dyn Sink,
}

impl Sink for Traced<'_> {
    fn event(&self, event: Event) {
        if let Some(trace) = self.trace {
            let now = Moment::now();
            let mut events = trace.events.lock().unwrap_or_else(PoisonError::into_inner);
            events.apply(&event, now);
        }
        self.next.event(event);
    }
}

fn span(name: &'static str, began: Instant) -> Span {
    Span {
        name,
        subject: None,
        bytes: None,
        began,
    }
}

/// When and where something happens.
#[derive(Debug, Clone, Copy)]
struct Moment {
    time: Instant,
    thread: Pid,
}

impl Moment {
    fn now() -> Self {
        Self {
            time: Instant::now(),
            thread: gettid(),
        }
    }
}

/// The events of a trace.
#[derive(Debug)]
struct Events {
    began: Instant,
    /// Those that are complete, one a line.
    lines: Vec<String>,
    tasks: HashMap<TaskId, Task>,
    /// What threads are called, in the order in which they were met.
    threads: Vec<(Pid, String)>,
}

/// A task that did not end yet.
#[derive(Debug, Default)]
struct Task {
    name: String,
    arguments: Map<String, Value>,
    started: Option<Moment>,
    /// Since when it waits for a task that fetches an image.
    waiting: Option<Moment>,
    parts: BTreeMap<String, Part>,
}

/// A part of a transfer.
#[derive(Debug)]
struct Part {
    first: Moment,
    last: Moment,
    bytes: u64,
}

impl Events {
    fn new(began: Instant) -> Self {
        Self {
            began,
            lines: Vec::new(),
            tasks: HashMap::new(),
            threads: Vec::new(),
        }
    }

    fn apply(&mut self, event: &Event, now: Moment) {
        self.meet(now.thread);
        match event {
            Event::Task { id, name, stage, lines } => {
                let mut task = Task {
                    name: name.clone(),
                    ..Task::default()
                };
                task.note("task", json!(id.0));
                task.note("stage", json!(stage));
                task.note("lines", json!(lines));
                // One that is done again without having ended.
                if let Some(before) = self.tasks.insert(*id, task) {
                    self.end_task(before, now);
                }
            }
            Event::Started(id) => {
                let Some(task) = self.tasks.get_mut(id) else { return };
                task.started.get_or_insert(now);
                if let Some(since) = task.waiting.take() {
                    self.waited(since, now);
                }
            }
            Event::Waiting(id) => {
                if let Some(task) = self.tasks.get_mut(id) {
                    task.waiting = Some(now);
                }
            }
            Event::Emulated { id, platform } => {
                if let Some(task) = self.tasks.get_mut(id) {
                    task.note("platform", json!(platform));
                }
            }
            Event::Progress {
                id,
                part,
                current,
                total,
            } if *total != Some(0) => {
                if let Some(task) = self.tasks.get_mut(id) {
                    task.progress(part, *current, now);
                }
            }
            Event::Finished { id, outcome, .. } => {
                if let Some(mut task) = self.tasks.remove(id) {
                    task.outcome(outcome);
                    self.end_task(task, now);
                }
            }
            Event::Span(span) => self.span(span, now),
            Event::Dockerfile(_)
            | Event::Log { .. }
            | Event::Progress { .. }
            | Event::Explained { .. }
            | Event::Warning(_)
            | Event::Notice(_) => {}
        }
    }

    fn end_task(&mut self, task: Task, now: Moment) {
        if let Some(since) = task.waiting {
            self.waited(since, now);
        }
        for (name, part) in task.parts {
            let arguments = json!({"bytes": part.bytes});
            self.complete("transfer", &name, part.first, part.last.time, &arguments);
        }
        if let Some(started) = task.started {
            self.complete("task", &task.name, started, now.time, &task.arguments.into());
        }
    }

    fn waited(&mut self, since: Moment, now: Moment) {
        self.complete("work", "wait for an image", since, now.time, &json!({}));
    }

    fn span(&mut self, span: &Span, now: Moment) {
        let mut arguments = Map::new();
        let mut note = |name: &str, value: Option<Value>| value.map(|value| arguments.insert(name.to_owned(), value));
        note("of", span.subject.as_ref().map(|subject| json!(subject)));
        note("bytes", span.bytes.map(|bytes| json!(bytes)));
        let began = Moment {
            time: span.began,
            ..now
        };
        self.complete("work", span.name, began, now.time, &arguments.into());
    }

    fn complete(&mut self, category: &str, name: &str, began: Moment, ended: Instant, arguments: &Value) {
        let event = json!({
            "ph": "X",
            "cat": category,
            "name": name,
            "pid": std::process::id(),
            "tid": began.thread.as_raw_nonzero(),
            "ts": microseconds(self.began, began.time),
            "dur": microseconds(began.time, ended),
            "args": arguments,
        });
        self.lines.push(event.to_string());
    }

    /// Remembers what this thread is called.
    fn meet(&mut self, thread: Pid) {
        if self.threads.iter().any(|(known, _)| *known == thread) {
            return;
        }
        let name = match std::thread::current().name() {
            Some(name) => name.to_owned(),
            None => format!("thread {}", self.threads.len()),
        };
        self.threads.push((thread, name));
    }

    /// All of it; what did not end ends now.
    fn end(mut self, now: Moment) -> String {
        for (_, task) in std::mem::take(&mut self.tasks) {
            self.end_task(task, now);
        }
        self.span(&span("kiln build", self.began), now);
        let name = |kind: &str, thread: Pid, arguments: Value| {
            let (pid, tid) = (std::process::id(), thread.as_raw_nonzero());
            json!({"ph": "M", "name": kind, "pid": pid, "tid": tid, "args": arguments}).to_string()
        };
        let mut lines = vec![name("process_name", now.thread, json!({"name": "kiln"}))];
        for (index, (thread, called)) in self.threads.iter().enumerate() {
            lines.push(name("thread_name", *thread, json!({"name": called})));
            lines.push(name("thread_sort_index", *thread, json!({"sort_index": index})));
        }
        lines.append(&mut self.lines);
        format!("[\n{}\n]\n", lines.join(",\n"))
    }
}

impl Task {
    fn note(&mut self, name: &str, value: Value) {
        if !value.is_null() {
            self.arguments.insert(name.to_owned(), value);
        }
    }

    fn progress(&mut self, part: &str, bytes: u64, now: Moment) {
        let part = self.parts.entry(part.to_owned()).or_insert(Part {
            first: now,
            last: now,
            bytes,
        });
        (part.last, part.bytes) = (now, bytes);
    }

    fn outcome(&mut self, outcome: &TaskOutcome) {
        let word = match outcome {
            TaskOutcome::Done { .. } => "done",
            TaskOutcome::Cached => "cached",
            TaskOutcome::Failed { .. } => "failed",
            TaskOutcome::Canceled => "canceled",
        };
        self.note("outcome", json!(word));
        if let TaskOutcome::Done {
            bytes_added,
            peak_memory,
        } = outcome
        {
            self.note("bytes_added", json!(bytes_added));
            self.note("peak_memory", json!(peak_memory));
        }
    }
}

/// From one time to another, to the nanosecond.
#[expect(clippy::cast_precision_loss, reason = "exact for the first hundred days")]
fn microseconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_nanos() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::progress::testing::{cached, failed, log, progress, ran, started, task};

    /// What `events` come to, the first one after a millisecond, each a millisecond after the one before.
    fn trace(events: Vec<Event>) -> Vec<Value> {
        let began = Instant::now();
        let mut moment = Moment {
            time: began,
            thread: gettid(),
        };
        let mut trace = Events::new(began);
        for event in events {
            moment.time += Duration::from_millis(1);
            trace.apply(&event, moment);
        }
        moment.time += Duration::from_millis(1);
        serde_json::from_str(&trace.end(moment)).unwrap()
    }

    fn times<'e>(events: &'e [Value], name: &str) -> (&'e Value, &'e Value) {
        let event = events.iter().find(|event| event["name"] == name).unwrap();
        assert_eq!(event["ph"], "X");
        (&event["ts"], &event["dur"])
    }

    fn arguments<'e>(events: &'e [Value], name: &str) -> &'e Value {
        &events.iter().find(|event| event["name"] == name).unwrap()["args"]
    }

    #[test]
    fn tasks_and_their_parts() {
        let events = trace(vec![
            task(0, "RUN make"),
            task(1, "pull debian"),
            task(2, "RUN never"),
            started(0),
            Event::Waiting(TaskId(0)),
            started(1),
            progress(1, "abc", 5, Some(9)),
            progress(1, "abc", 9, Some(9)),
            progress(1, "manifest", 0, Some(0)),
            cached(1),
            started(0),
            log(0, "Xyzzy"),
            ran(0, 77),
        ]);
        assert_eq!(times(&events, "RUN make"), (&json!(4000.0), &json!(9000.0)));
        assert_eq!(times(&events, "wait for an image"), (&json!(5000.0), &json!(6000.0)));
        assert_eq!(times(&events, "pull debian"), (&json!(6000.0), &json!(4000.0)));
        assert_eq!(times(&events, "abc"), (&json!(7000.0), &json!(1000.0)));
        assert_eq!(times(&events, "kiln build"), (&json!(0.0), &json!(14000.0)));
        let made = json!({"task": 0, "outcome": "done", "bytes_added": 0, "peak_memory": 77});
        assert_eq!(*arguments(&events, "RUN make"), made);
        assert_eq!(
            *arguments(&events, "pull debian"),
            json!({"task": 1, "outcome": "cached"})
        );
        assert_eq!(*arguments(&events, "abc"), json!({"bytes": 9}));
        for absent in ["RUN never", "manifest"] {
            assert!(!events.iter().any(|event| event["name"] == absent));
        }
    }

    #[test]
    fn work_has_a_beginning_of_its_own() {
        let began = Instant::now();
        let mut trace = Events::new(began);
        let at = |milliseconds| Moment {
            time: began + Duration::from_millis(milliseconds),
            thread: gettid(),
        };
        let span = Span {
            name: "compress",
            subject: Some("layer".to_owned()),
            bytes: Some(3),
            began: at(2).time,
        };
        trace.apply(&Event::Span(span), at(5));
        let events: Vec<Value> = serde_json::from_str(&trace.end(at(6))).unwrap();
        assert_eq!(times(&events, "compress"), (&json!(2000.0), &json!(3000.0)));
        assert_eq!(*arguments(&events, "compress"), json!({"of": "layer", "bytes": 3}));
    }

    #[test]
    fn what_did_not_end_ends_with_the_trace() {
        let events = trace(vec![task(0, "a"), started(0), task(1, "b"), started(1), failed(1, 1)]);
        assert_eq!(times(&events, "a"), (&json!(2000.0), &json!(4000.0)));
        assert_eq!(arguments(&events, "a")["outcome"], Value::Null);
        assert_eq!(arguments(&events, "b")["outcome"], "failed");
        let threads = events.iter().filter(|event| event["name"] == "thread_name");
        assert_eq!(threads.count(), 1);
    }
}
