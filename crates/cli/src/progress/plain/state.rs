//! What was said already and what waits: knows tasks, not where the text goes.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::time::Duration;

use kiln_build::Why;
use kiln_build::event::{Event, TaskId, TaskOutcome};

use crate::progress::text::{Lines, one_line};
use crate::values::size;
use crate::why;

/// How long a step keeps the stage while others have something to say.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How many bytes may wait for the stage.
const WAITING: usize = 64 << 10;
/// How often a transfer says how far it is.
const TRANSFER: Duration = Duration::from_secs(5);

/// All tasks, and the text that they make.
#[derive(Debug)]
pub(super) struct State<W> {
    out: W,
    /// What one event makes is written at once, so that lines of others do not come between.
    buffer: Vec<u8>,
    tasks: HashMap<TaskId, Task>,
    numbers: u32,
    stage: Option<TaskId>,
    since: Duration,
    began: bool,
    /// Nothing more comes.
    pub(super) over: bool,
}

#[derive(Debug, Default)]
struct Task {
    name: String,
    /// Given when it first appears, so that numbers rise.
    number: Option<u32>,
    started: Option<Duration>,
    partial: [Lines; 2],
    parts: BTreeMap<String, Part>,
    /// Whole lines that were not shown yet, without the number.
    waiting: Vec<Vec<u8>>,
    bytes: usize,
    done: bool,
}

#[derive(Debug, Default)]
struct Part {
    started: Duration,
    said: Duration,
    done: bool,
}

impl Task {
    fn add(&mut self, line: Vec<u8>) {
        self.bytes += line.len();
        self.waiting.push(line);
    }

    fn clock(&self, now: Duration) -> f64 {
        now.saturating_sub(self.started.unwrap_or(now)).as_secs_f64()
    }

    fn log(&mut self, data: &[u8], stderr: bool, now: Duration) {
        let clock = self.clock(now);
        let mut lines = std::mem::take(&mut self.partial[usize::from(stderr)]);
        lines.push(data, |line| self.add(log_line(clock, line)));
        self.partial[usize::from(stderr)] = lines;
    }

    fn end_lines(&mut self, now: Duration) {
        let clock = self.clock(now);
        for stream in 0..2 {
            if let Some(rest) = self.partial[stream].rest() {
                self.add(log_line(clock, &rest));
            }
        }
    }

    fn progress(&mut self, name: &str, current: u64, total: Option<u64>, now: Duration) {
        let known = self.parts.contains_key(name);
        let part = self.parts.entry(name.to_owned()).or_insert(Part {
            started: now,
            said: now,
            done: false,
        });
        let whole = total == Some(current);
        if part.done || (known && !whole && now.saturating_sub(part.said) < TRANSFER) {
            return;
        }
        part.said = now;
        part.done = whole;
        let seconds = now.saturating_sub(part.started).as_secs_f64();
        let line = match total {
            Some(0) => format!("{name} done"),
            Some(total) if whole => format!("{name} {} {seconds:.1}s done", size::show(total)),
            Some(total) => format!("{name} {} / {} {seconds:.1}s", size::show(current), size::show(total)),
            None => format!("{name} {} {seconds:.1}s", size::show(current)),
        };
        self.add(line.into_bytes());
    }
}

fn log_line(clock: f64, line: &[u8]) -> Vec<u8> {
    let mut text = format!("{clock:.3} ").into_bytes();
    text.extend_from_slice(line);
    text
}

impl<W: Write> State<W> {
    /// Nothing was said yet.
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            buffer: Vec::new(),
            tasks: HashMap::new(),
            numbers: 0,
            stage: None,
            since: Duration::ZERO,
            began: false,
            over: false,
        }
    }

    /// Takes an event.
    pub(super) fn apply(&mut self, event: Event, now: Duration) {
        let id = match event {
            Event::Task { id, name, .. } => {
                self.tasks.entry(id).or_default().name = name;
                return;
            }
            // Warnings come with their places after the build, and what was emulated.
            // And the task that fetches an image shows itself.
            Event::Dockerfile(_)
            | Event::Warning(_)
            | Event::Emulated { .. }
            | Event::Waiting(_)
            | Event::Span(_)
            | Event::Explained {
                why: Why::Cached { .. },
                ..
            } => return,
            Event::Explained { id, why, .. } => {
                let line = format!("why: {}", why::sentence(&why));
                self.tasks.entry(id).or_default().add(line.into_bytes());
                id
            }
            Event::Notice(text) => return self.notice(&text),
            Event::Started(id) => {
                self.tasks.entry(id).or_default().started = Some(now);
                id
            }
            Event::Log { id, stderr, data } => {
                self.tasks.entry(id).or_default().log(&data, stderr, now);
                id
            }
            Event::Progress {
                id,
                part,
                current,
                total,
            } => {
                self.tasks.entry(id).or_default().progress(&part, current, total, now);
                id
            }
            Event::Finished { id, outcome, duration } => {
                self.end(id, &outcome, duration, now);
                id
            }
        };
        self.touch(id, now);
    }

    fn end(&mut self, id: TaskId, outcome: &TaskOutcome, duration: Duration, now: Duration) {
        let task = self.tasks.entry(id).or_default();
        task.end_lines(now);
        task.done = true;
        let line = match outcome {
            TaskOutcome::Done { .. } => format!("DONE {:.1}s", duration.as_secs_f64()),
            TaskOutcome::Cached => "CACHED".to_owned(),
            TaskOutcome::Failed { reason } if reason.is_empty() => {
                format!("ERROR after {:.1}s", duration.as_secs_f64())
            }
            TaskOutcome::Failed { reason } => format!("ERROR: {}", reason.replace('\n', " ")),
            TaskOutcome::Canceled => "CANCELED".to_owned(),
        };
        task.add(line.into_bytes());
        // Of what never began nobody needs to know that it was given up.
        if *outcome == TaskOutcome::Canceled && task.started.is_none() && task.number.is_none() {
            task.waiting.clear();
        }
    }

    /// Something happened to a task: shows it if it has the stage, may have it or has waited enough.
    fn touch(&mut self, id: TaskId, now: Duration) {
        let Some(task) = self.tasks.get(&id) else { return };
        let patient = now.saturating_sub(self.since) < PATIENCE && task.bytes < WAITING;
        match self.stage {
            Some(current) if current != id && !task.done && patient => {}
            _ => self.show(id, now),
        }
    }

    fn show(&mut self, id: TaskId, now: Duration) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        if task.done && task.waiting.is_empty() {
            self.tasks.remove(&id);
            return;
        }
        if self.stage != Some(id) {
            self.step_forward(id, now);
        }
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let number = task.number.unwrap_or_default();
        task.bytes = 0;
        for line in task.waiting.drain(..) {
            self.buffer.extend_from_slice(format!("#{number} ").as_bytes());
            self.buffer.extend_from_slice(&line);
            self.buffer.push(b'\n');
        }
        if task.done {
            self.tasks.remove(&id);
            self.stage = None;
            if let Some(next) = self.longest_waiting() {
                self.show(next, now);
            }
        }
    }

    /// Gives the stage to a task.
    fn step_forward(&mut self, id: TaskId, now: Duration) {
        if let Some(number) = self.stage.and_then(|current| self.tasks.get(&current)?.number) {
            self.buffer.extend_from_slice(format!("#{number} ...\n").as_bytes());
        }
        if self.began {
            self.buffer.push(b'\n');
        }
        self.began = true;
        self.stage = Some(id);
        self.since = now;
        let next = self.numbers + 1;
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let number = *task.number.get_or_insert(next);
        self.numbers = self.numbers.max(number);
        let name = one_line(&task.name);
        self.buffer.extend_from_slice(format!("#{number} {name}\n").as_bytes());
    }

    /// Gives the stage to somebody who has something to say, if the one on it had it for long enough.
    pub(super) fn look_round(&mut self, now: Duration) {
        if now.saturating_sub(self.since) < PATIENCE {
            return;
        }
        if let Some(next) = self.longest_waiting() {
            self.show(next, now);
        }
    }

    fn longest_waiting(&self) -> Option<TaskId> {
        let waiting = self.tasks.iter().filter(|(_, task)| !task.waiting.is_empty());
        waiting.min_by_key(|(id, task)| (task.started, **id)).map(|(id, _)| *id)
    }

    fn notice(&mut self, text: &str) {
        if let Some(number) = self.stage.take().and_then(|current| self.tasks.get(&current)?.number) {
            self.buffer.extend_from_slice(format!("#{number} ...\n").as_bytes());
        }
        if self.began {
            self.buffer.push(b'\n');
        }
        self.began = true;
        self.buffer.extend_from_slice(format!("warning: {text}\n").as_bytes());
    }

    /// Shows what still waits.
    pub(super) fn finish(&mut self, now: Duration) {
        let mut left: Vec<TaskId> = self.tasks.keys().copied().collect();
        left.sort();
        for id in left {
            if let Some(task) = self.tasks.get_mut(&id) {
                task.end_lines(now);
                if !task.waiting.is_empty() {
                    self.show(id, now);
                }
            }
        }
        self.tasks.clear();
        self.stage = None;
        self.over = true;
    }

    /// Writes what there is.
    pub(super) fn flush(&mut self) {
        // Nobody can be told that telling failed.
        let _nobody_listens = self.out.write_all(&self.buffer);
        self.buffer.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::testing::{cached, canceled, done, failed, log, progress, started, task};

    /// Events with the milliseconds at which they come.
    fn render(events: Vec<(u64, Event)>) -> String {
        let mut state = State::new(Vec::new());
        let mut last = 0;
        for (at, event) in events {
            state.apply(event, Duration::from_millis(at));
            last = at;
        }
        state.finish(Duration::from_millis(last));
        String::from_utf8(state.buffer).unwrap()
    }

    #[test]
    fn one_after_the_other() {
        let text = render(vec![
            (0, task(0, "[1/3] FROM debian")),
            (0, task(1, "[2/3] RUN make")),
            (0, task(2, "[3/3] RUN false")),
            (0, cached(0)),
            (10, started(1)),
            (133, log(1, "a\nhal")),
            (200, log(1, "f\n")),
            (300, log(1, "rest")),
            (310, done(1, 300)),
            (310, started(2)),
            (320, failed(2, 10)),
        ]);
        let expected = "\
#1 [1/3] FROM debian
#1 CACHED

#2 [2/3] RUN make
#2 0.123 a
#2 0.190 half
#2 0.300 rest
#2 DONE 0.3s

#3 [3/3] RUN false
#3 ERROR: exit code: 1
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_name_cannot_command_the_terminal() {
        let text = render(vec![(0, task(0, "RUN \u{1b}[2Jecho\r\n \u{202e}hi")), (0, cached(0))]);
        assert_eq!(text, "#1 RUN echo   hi\n#1 CACHED\n");
    }

    #[test]
    fn steps_at_the_same_time_take_turns() {
        let text = render(vec![
            (0, task(0, "a")),
            (0, task(1, "b")),
            (0, started(0)),
            (0, started(1)),
            (100, log(0, "a1\n")),
            (200, log(1, "b1\n")),
            (300, log(0, "a2\n")),
            (400, done(0, 400)),
            (6000, log(1, "b2\n")),
            (6100, done(1, 6100)),
        ]);
        let expected = "\
#1 a
#1 0.100 a1
#1 0.300 a2
#1 DONE 0.4s

#2 b
#2 0.200 b1
#2 6.000 b2
#2 DONE 6.1s
";
        assert_eq!(text, expected);
    }

    #[test]
    fn nobody_keeps_the_stage_for_ever() {
        let text = render(vec![
            (0, task(0, "a")),
            (0, task(1, "b")),
            (0, started(0)),
            (0, started(1)),
            (100, log(1, "b1\n")),
            (5500, log(1, "b2\n")),
            (5600, done(0, 5600)),
        ]);
        assert_eq!(
            text,
            "#1 a\n#1 ...\n\n#2 b\n#2 0.100 b1\n#2 5.500 b2\n#2 ...\n\n#1 a\n#1 DONE 5.6s\n"
        );
    }

    #[test]
    fn who_waits_comes_forward_even_when_nothing_happens() {
        let mut state = State::new(Vec::new());
        for event in [task(0, "a"), task(1, "b"), started(0), started(1), log(1, "b1\n")] {
            state.apply(event, Duration::ZERO);
        }
        state.look_round(Duration::from_secs(1));
        assert_eq!(state.buffer, b"#1 a\n");
        state.look_round(Duration::from_secs(6));
        assert_eq!(state.buffer, b"#1 a\n#1 ...\n\n#2 b\n#2 0.000 b1\n");
        state.look_round(Duration::from_secs(20));
        assert_eq!(state.buffer, b"#1 a\n#1 ...\n\n#2 b\n#2 0.000 b1\n");
    }

    #[test]
    fn transfers_say_how_far_they_are_now_and_then() {
        let text = render(vec![
            (0, task(0, "pull debian")),
            (0, started(0)),
            (0, progress(0, "abc", 0, Some(2_000_000))),
            (1000, progress(0, "abc", 500_000, Some(2_000_000))),
            (6000, progress(0, "abc", 1_000_000, Some(2_000_000))),
            (7000, progress(0, "abc", 2_000_000, Some(2_000_000))),
            (7001, progress(0, "abc", 2_000_000, Some(2_000_000))),
            (7001, done(0, 7001)),
        ]);
        let expected =
            "#1 pull debian\n#1 abc 0B / 2MB 0.0s\n#1 abc 1MB / 2MB 6.0s\n#1 abc 2MB 7.0s done\n#1 DONE 7.0s\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_never_began_is_not_mentioned() {
        let text = render(vec![
            (0, task(0, "a")),
            (0, task(1, "b")),
            (0, started(0)),
            (5, canceled(1)),
            (9, canceled(0)),
            (9, Event::Notice("odd".to_owned())),
        ]);
        assert_eq!(text, "#1 a\n#1 CANCELED\n\nwarning: odd\n");
    }

    #[test]
    fn much_output_of_a_hidden_step_does_not_wait() {
        let big = "x".repeat(1000) + "\n";
        let mut events = vec![(0, task(0, "a")), (0, task(1, "b")), (0, started(0)), (0, started(1))];
        events.extend((0..100).map(|_| (10, log(1, &big))));
        let mut state = State::new(Vec::new());
        for (at, event) in events {
            state.apply(event, Duration::from_millis(at));
        }
        assert!(state.tasks.values().all(|task| task.bytes <= WAITING));
    }
}
