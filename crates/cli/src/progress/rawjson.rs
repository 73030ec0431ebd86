//! `BuildKit`'s own JSON, as `docker buildx build --progress=rawjson` writes it: an object per line, with what changed
//! of `vertexes`, `statuses` and `logs` (its `client.SolveStatus`).

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use kiln_build::event::{Event, Sink, TaskId, TaskOutcome};
use kiln_image::Digest;
use serde_json::{Map, Value, json};

use super::Renderer;

/// The renderer.
#[derive(Debug)]
pub(crate) struct RawJson<W>(Mutex<State<W>>);

#[derive(Debug)]
struct State<W> {
    out: W,
    vertexes: HashMap<TaskId, Vertex>,
}

#[derive(Debug)]
struct Vertex {
    digest: Digest,
    name: String,
    started: Option<Timestamp>,
    /// When each part was first heard of.
    parts: HashMap<String, Timestamp>,
}

impl<W: Write + Send> RawJson<W> {
    /// Writes to `out`.
    pub(crate) fn new(out: W) -> Self {
        Self(Mutex::new(State {
            out,
            vertexes: HashMap::new(),
        }))
    }
}

impl<W: Write + Send> Sink for RawJson<W> {
    fn event(&self, event: Event) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.apply(event, Timestamp::now());
    }
}

impl<W: Write + Send> Renderer for RawJson<W> {
    fn finish(&self) {}
}

impl Vertex {
    fn new(id: TaskId, name: String) -> Self {
        Self {
            digest: Digest::of(format!("{} {name}", id.0)),
            name,
            started: None,
            parts: HashMap::new(),
        }
    }

    fn object(&self) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("digest".to_owned(), json!(self.digest));
        object.insert("name".to_owned(), json!(self.name));
        if let Some(started) = self.started {
            object.insert("started".to_owned(), json!(started.to_string()));
        }
        object
    }

    fn finished(&self, outcome: &TaskOutcome, now: Timestamp) -> Map<String, Value> {
        let mut object = self.object();
        object.insert("completed".to_owned(), json!(now.to_string()));
        match outcome {
            TaskOutcome::Cached => object.insert("cached".to_owned(), json!(true)),
            TaskOutcome::Failed { reason } => object.insert("error".to_owned(), json!(reason)),
            TaskOutcome::Canceled => object.insert("error".to_owned(), json!("context canceled")),
            TaskOutcome::Done { .. } => None,
        };
        object
    }

    fn status(&mut self, part: &str, current: u64, total: Option<u64>, now: Timestamp) -> Map<String, Value> {
        let started = *self.parts.entry(part.to_owned()).or_insert(now);
        let mut object = Map::new();
        object.insert("id".to_owned(), json!(part));
        object.insert("vertex".to_owned(), json!(self.digest));
        object.insert("current".to_owned(), json!(current));
        if let Some(total) = total {
            object.insert("total".to_owned(), json!(total));
        }
        object.insert("timestamp".to_owned(), json!(now.to_string()));
        object.insert("started".to_owned(), json!(started.to_string()));
        if total == Some(current) {
            object.insert("completed".to_owned(), json!(now.to_string()));
        }
        object
    }
}

impl<W: Write> State<W> {
    fn apply(&mut self, event: Event, now: Timestamp) {
        let line = match event {
            Event::Task { id, name, .. } => {
                let vertex = Vertex::new(id, name);
                let object = vertex.object();
                self.vertexes.insert(id, vertex);
                json!({"vertexes": [object]})
            }
            Event::Started(id) => {
                let Some(vertex) = self.vertexes.get_mut(&id) else {
                    return;
                };
                vertex.started = Some(now);
                json!({"vertexes": [vertex.object()]})
            }
            Event::Finished { id, outcome, .. } => {
                let Some(vertex) = self.vertexes.remove(&id) else {
                    return;
                };
                json!({"vertexes": [vertex.finished(&outcome, now)]})
            }
            Event::Log { id, stderr, data } => {
                let Some(vertex) = self.vertexes.get(&id) else { return };
                let stream = if stderr { 2 } else { 1 };
                let data = base64(&data);
                json!({"logs": [{"vertex": vertex.digest, "stream": stream, "data": data, "timestamp": now.to_string()}]})
            }
            Event::Progress {
                id,
                part,
                current,
                total,
            } => {
                let Some(vertex) = self.vertexes.get_mut(&id) else {
                    return;
                };
                json!({"statuses": [vertex.status(&part, current, total, now)]})
            }
            // What BuildKit has no words for, and warnings, which come after the build.
            Event::Dockerfile(_)
            | Event::Waiting(_)
            | Event::Emulated { .. }
            | Event::Explained { .. }
            | Event::Span(_)
            | Event::Warning(_)
            | Event::Notice(_) => return,
        };
        let _nobody_listens = self.out.write_all(format!("{line}\n").as_bytes());
    }
}

/// RFC 4648, 4.
fn base64(data: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(data.len().div_ceil(3) * 4);
    for group in data.chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, at| {
            bits << 8 | usize::from(group.get(at).copied().unwrap_or(0))
        });
        for digit in 0..4 {
            if digit > group.len() {
                text.push('=');
            } else {
                text.push(char::from(DIGITS[bits >> (18 - 6 * digit) & 63]));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cached, failed, log, progress, started, task};
    use super::*;

    #[test]
    fn objects_of_buildkit() {
        let mut state = State {
            out: Vec::new(),
            vertexes: HashMap::new(),
        };
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        for event in [
            task(0, "[1/2] FROM debian"),
            task(1, "[2/2] RUN false"),
            cached(0),
            started(1),
            log(1, "no\n"),
            progress(1, "abc", 5, Some(5)),
            failed(1, 3),
        ] {
            state.apply(event, now);
        }
        let text = String::from_utf8(state.out).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 7);
        assert_eq!(lines[2]["vertexes"][0]["cached"], true);
        assert_eq!(lines[3]["vertexes"][0]["started"], "2026-11-21T10:00:00Z");
        assert_eq!(lines[4]["logs"][0]["data"], "bm8K");
        assert_eq!(lines[5]["statuses"][0]["completed"], "2026-11-21T10:00:00Z");
        assert_eq!(lines[6]["vertexes"][0]["error"], "exit code: 1");
        let digest = |line: &Value, list: &str, field: &str| line[list][0][field].clone();
        assert_eq!(
            digest(&lines[6], "vertexes", "digest"),
            digest(&lines[4], "logs", "vertex")
        );
        assert_ne!(lines[0]["vertexes"][0]["digest"], lines[1]["vertexes"][0]["digest"]);
    }

    #[test]
    fn encodes_base64() {
        for (data, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(data.as_bytes()), text);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd]), "//79");
    }
}
