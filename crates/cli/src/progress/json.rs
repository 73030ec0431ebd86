//! One JSON object per line, for programs. `docs/progress-json.md` describes it; it is stable: fields may be added.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kiln_build::event::{Event, Sink, TaskId, TaskOutcome};
use kiln_dockerfile::diagnostic::{Diagnostic, Severity};
use kiln_dockerfile::source::Source;
use serde_json::{Map, Value, json};

use super::Renderer;
use crate::time;
use crate::why;

/// The renderer.
#[derive(Debug)]
pub(crate) struct Json<W> {
    begin: Instant,
    state: Mutex<State<W>>,
}

#[derive(Debug)]
struct State<W> {
    out: W,
    /// What lines and spans are places in.
    dockerfile: Source,
    /// Bytes of a character whose rest has not come yet, by task and stream.
    partial: HashMap<(TaskId, bool), Vec<u8>>,
}

impl<W: Write + Send> Json<W> {
    /// Writes to `out`.
    pub(crate) fn new(out: W) -> Self {
        Self {
            begin: Instant::now(),
            state: Mutex::new(State {
                out,
                dockerfile: Source::default(),
                partial: HashMap::new(),
            }),
        }
    }
}

impl<W: Write + Send> Sink for Json<W> {
    fn event(&self, event: Event) {
        let now = self.begin.elapsed();
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .apply(event, now);
    }
}

impl<W: Write + Send> Renderer for Json<W> {
    fn finish(&self) {}
}

impl<W: Write> State<W> {
    fn apply(&mut self, event: Event, now: Duration) {
        let value = match event {
            Event::Dockerfile(source) => {
                self.dockerfile = *source;
                return;
            }
            Event::Task { id, name, stage, lines } => {
                let place = lines.map(|lines| self.dockerfile.lines(lines));
                let file = place.and_then(|(file, _)| self.included(file));
                let lines = place.map(|(_, lines)| lines);
                json!({"type": "task", "task": id.0, "name": name, "stage": stage, "file": file, "lines": lines})
            }
            Event::Started(id) => json!({"type": "started", "task": id.0}),
            Event::Waiting(id) => json!({"type": "waiting", "task": id.0}),
            Event::Emulated { id, platform } => json!({"type": "emulated", "task": id.0, "platform": platform}),
            Event::Log { id, stderr, data } => {
                let Some(text) = self.text(id, stderr, &data) else {
                    return;
                };
                log(id, stderr, &text)
            }
            Event::Progress {
                id,
                part,
                current,
                total,
            } => {
                json!({"type": "progress", "task": id.0, "part": part, "current": current, "total": total})
            }
            Event::Explained { id, why, .. } => json!({"type": "explained", "task": id.0, "why": why::object(&why)}),
            Event::Finished { id, outcome, duration } => {
                self.end_logs(id, now);
                finished(id, &outcome, duration)
            }
            // For `--trace` alone.
            Event::Span(_) => return,
            Event::Warning(diagnostic) => self.warning(&diagnostic),
            Event::Notice(text) => json!({"type": "notice", "message": text}),
        };
        self.write(value, now);
    }

    /// The characters that are whole now; what is no text becomes `U+FFFD`.
    fn text(&mut self, id: TaskId, stderr: bool, data: &[u8]) -> Option<String> {
        let mut bytes = self.partial.remove(&(id, stderr)).unwrap_or_default();
        bytes.extend_from_slice(data);
        let whole = bytes.len() - incomplete_tail(&bytes);
        let rest = bytes.split_off(whole);
        if !rest.is_empty() {
            self.partial.insert((id, stderr), rest);
        }
        (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The name of a file that the Dockerfile includes.
    fn included(&self, file: usize) -> Option<&str> {
        (file > 0).then(|| self.dockerfile.files()[file].name.as_str())
    }

    fn warning(&self, diagnostic: &Diagnostic) -> Value {
        let severity = match diagnostic.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let (file, span) = self.dockerfile.place(diagnostic.span);
        json!({
            "type": "warning",
            "severity": severity,
            "code": diagnostic.code,
            "message": diagnostic.message,
            "help": diagnostic.help,
            "file": self.included(file),
            "span": [span.start, span.end],
        })
    }

    fn end_logs(&mut self, id: TaskId, now: Duration) {
        for stderr in [false, true] {
            if let Some(rest) = self.partial.remove(&(id, stderr)) {
                self.write(log(id, stderr, &String::from_utf8_lossy(&rest)), now);
            }
        }
    }

    fn write(&mut self, value: Value, now: Duration) {
        let mut object = Map::new();
        object.insert("time".to_owned(), json!(time::seconds(now)));
        if let Value::Object(fields) = value {
            object.extend(fields.into_iter().filter(|(_, value)| !value.is_null()));
        }
        let line = format!("{}\n", Value::Object(object));
        let _nobody_listens = self.out.write_all(line.as_bytes());
    }
}

fn log(id: TaskId, stderr: bool, text: &str) -> Value {
    let stream = if stderr { "stderr" } else { "stdout" };
    json!({"type": "log", "task": id.0, "stream": stream, "text": text})
}

fn finished(id: TaskId, outcome: &TaskOutcome, duration: Duration) -> Value {
    let (word, bytes_added, peak_memory) = match outcome {
        TaskOutcome::Done {
            bytes_added,
            peak_memory,
        } => ("done", Some(*bytes_added), *peak_memory),
        TaskOutcome::Cached => ("cached", None, None),
        TaskOutcome::Failed { .. } => ("failed", None, None),
        TaskOutcome::Canceled => ("canceled", None, None),
    };
    let reason = match outcome {
        TaskOutcome::Failed { reason } if !reason.is_empty() => Some(reason),
        _ => None,
    };
    json!({
        "type": "finished",
        "task": id.0,
        "outcome": word,
        "reason": reason,
        "seconds": time::seconds(duration),
        "bytes_added": bytes_added,
        "peak_memory": peak_memory,
    })
}

/// How many bytes at the end are the beginning of a character.
fn incomplete_tail(bytes: &[u8]) -> usize {
    match std::str::from_utf8(&bytes[bytes.len().saturating_sub(3)..]) {
        // `error_len` is none where more bytes could make it right.
        Err(_) => (1..=3.min(bytes.len()))
            .find(|&length| {
                let tail = &bytes[bytes.len() - length..];
                matches!(std::str::from_utf8(tail), Err(error) if error.valid_up_to() == 0 && error.error_len().is_none())
            })
            .unwrap_or(0),
        Ok(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{added, log, raw_log, started, task};
    use super::*;

    fn render(events: Vec<Event>) -> Vec<String> {
        let mut state = State {
            out: Vec::new(),
            dockerfile: Source::default(),
            partial: HashMap::new(),
        };
        for event in events {
            state.apply(event, Duration::from_millis(1500));
        }
        String::from_utf8(state.out)
            .unwrap()
            .lines()
            .map(ToOwned::to_owned)
            .collect()
    }

    #[test]
    fn one_object_per_line() {
        let lines = render(vec![task(3, "RUN \"x\""), started(3), log(3, "a\nb"), added(3, 250, 7)]);
        assert_eq!(
            lines,
            [
                r#"{"time":1.5,"type":"task","task":3,"name":"RUN \"x\""}"#,
                r#"{"time":1.5,"type":"started","task":3}"#,
                r#"{"time":1.5,"type":"log","task":3,"stream":"stdout","text":"a\nb"}"#,
                r#"{"time":1.5,"type":"finished","task":3,"outcome":"done","seconds":0.25,"bytes_added":7}"#,
            ]
        );
    }

    #[test]
    fn characters_are_not_torn() {
        let text = |lines: &[String]| -> String {
            let values = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
            values
                .filter_map(|value| Some(value.get("text")?.as_str()?.to_owned()))
                .collect()
        };
        let euro = "a€😀".as_bytes();
        for cut in 0..euro.len() {
            let lines = render(vec![raw_log(0, &euro[..cut]), raw_log(0, &euro[cut..]), added(0, 0, 0)]);
            assert_eq!(text(&lines), "a€😀", "{cut}");
        }
        let lines = render(vec![raw_log(0, b"x\xff\xe2\x82"), added(0, 0, 0)]);
        assert_eq!(text(&lines), "x\u{fffd}\u{fffd}");
    }
}
