//! What is to be seen: knows tasks, not terminals.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use kiln_build::event::{Event, TaskId, TaskOutcome};

use super::Style;
use super::line::{Line, Look};
use super::screen::Frame;
use crate::progress::text::{Lines, sanitise};
use crate::values::size;

/// Lines of output shown of one running step at most.
const TAIL: usize = 6;
/// Parts of one transfer shown at most.
const PARTS: usize = 4;
/// Steps named that were stopped; of more, their number is shown.
const STOPPED: usize = 3;
/// The widest line: the clock is of no use where nobody looks for it.
const WIDEST: usize = 140;

/// The state of all tasks.
#[derive(Debug)]
pub(crate) struct View {
    style: Style,
    tasks: BTreeMap<TaskId, Task>,
    /// Lines that were not yet in a frame.
    finished: Vec<Finished>,
    /// Names of those that were stopped; shown in the end.
    stopped: Vec<String>,
    counts: Counts,
    over: Option<Duration>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    done: usize,
    cached: usize,
    failed: usize,
}

#[derive(Debug)]
enum Finished {
    Task {
        name: String,
        outcome: TaskOutcome,
        duration: Duration,
        /// What was transferred; none for what transfers nothing.
        bytes: Option<u64>,
    },
    Notice(String),
    /// What was running when the build ended.
    Stopped(String),
}

#[derive(Debug, Default)]
struct Task {
    name: String,
    started: Option<Duration>,
    waiting: bool,
    lines: [Lines; 2],
    tail: VecDeque<String>,
    parts: BTreeMap<String, (u64, Option<u64>)>,
}

impl Task {
    fn log(&mut self, data: &[u8], stderr: bool) {
        let tail = &mut self.tail;
        self.lines[usize::from(stderr)].push(data, |line| {
            let text = sanitise(line);
            if text.trim().is_empty() {
                return;
            }
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(text);
        });
    }

    /// The last lines of output, the one that is being written among them.
    fn tail(&self) -> Vec<String> {
        let partial = self
            .lines
            .iter()
            .map(|lines| sanitise(lines.partial()))
            .filter(|text| !text.trim().is_empty());
        self.tail.iter().cloned().chain(partial).collect()
    }

    /// Bytes of all parts: done, and in all where that is known of each.
    fn bytes(&self) -> Option<(u64, Option<u64>)> {
        if self.parts.is_empty() {
            return None;
        }
        let done = self.parts.values().map(|(current, _)| current).sum();
        let total = self.parts.values().map(|(_, total)| *total).sum::<Option<u64>>();
        Some((done, total))
    }
}

impl View {
    /// Knows nothing yet.
    pub(crate) fn new(style: Style) -> Self {
        Self {
            style,
            tasks: BTreeMap::new(),
            finished: Vec::new(),
            stopped: Vec::new(),
            counts: Counts::default(),
            over: None,
        }
    }

    /// Takes an event.
    pub(crate) fn apply(&mut self, event: Event, now: Duration) {
        match event {
            Event::Task { id, name, .. } => {
                self.counts.all += 1;
                self.tasks.entry(id).or_default().name = short(&name);
            }
            Event::Started(id) => {
                let task = self.tasks.entry(id).or_default();
                task.started = Some(now);
                task.waiting = false;
            }
            Event::Waiting(id) => self.tasks.entry(id).or_default().waiting = true,
            Event::Log { id, stderr, data } => self.tasks.entry(id).or_default().log(&data, stderr),
            Event::Progress {
                id,
                part,
                current,
                total,
            } => {
                self.tasks
                    .entry(id)
                    .or_default()
                    .parts
                    .insert(sanitise(part.as_bytes()), (current, total));
            }
            Event::Finished { id, outcome, duration } => self.finish(id, outcome, duration),
            // After the build: warnings with their places.
            Event::Dockerfile(_)
            | Event::Warning(_)
            | Event::Emulated { .. }
            | Event::Explained { .. }
            | Event::Span(_) => {}
            Event::Notice(text) => self.finished.push(Finished::Notice(sanitise(text.as_bytes()))),
        }
    }

    fn finish(&mut self, id: TaskId, outcome: TaskOutcome, duration: Duration) {
        let Some(task) = self.tasks.remove(&id) else { return };
        match outcome {
            TaskOutcome::Done { .. } => self.counts.done += 1,
            TaskOutcome::Cached => {
                self.counts.done += 1;
                self.counts.cached += 1;
            }
            TaskOutcome::Failed { .. } => self.counts.failed += 1,
            // Of what never began nobody needs to know that it was given up.
            TaskOutcome::Canceled if task.started.is_none() => return,
            TaskOutcome::Canceled => {
                self.stopped.push(task.name);
                return;
            }
        }
        self.finished.push(Finished::Task {
            bytes: task.bytes().map(|(done, _)| done).filter(|done| *done > 0),
            name: task.name,
            outcome,
            duration,
        });
    }

    /// Nothing will come any more.
    pub(crate) fn end(&mut self, now: Duration) {
        let stopped = std::mem::take(&mut self.stopped);
        if stopped.len() > STOPPED {
            self.finished
                .push(Finished::Stopped(format!("{} steps", stopped.len())));
        } else {
            self.finished.extend(stopped.into_iter().map(Finished::Stopped));
        }
        self.over = Some(now);
    }

    /// What there is to draw now on a terminal of so many columns and rows. Finished lines are given once.
    pub(crate) fn frame(&mut self, now: Duration, (columns, rows): (usize, usize)) -> Frame {
        let columns = columns.saturating_sub(1).clamp(1, WIDEST);
        let finished = std::mem::take(&mut self.finished);
        let mut frame = Frame {
            finished: finished
                .into_iter()
                .map(|line| self.finished_line(line, columns))
                .collect(),
            live: Vec::new(),
        };
        if self.over.is_some() {
            return frame;
        }
        frame.live = self.running(now, columns, rows.saturating_sub(3).max(1));
        if self.counts.all > 0 {
            frame.live.push(self.totals(now, columns));
        }
        frame
    }

    fn finished_line(&self, line: Finished, columns: usize) -> Line {
        let (name, outcome, duration, bytes) = match line {
            Finished::Notice(text) => {
                return Line::default()
                    .with(Look::Warning, " ! ")
                    .with(Look::Plain, text)
                    .cut(columns, self.mark());
            }
            Finished::Stopped(name) => (name, TaskOutcome::Canceled, Duration::ZERO, None),
            Finished::Task {
                name,
                outcome,
                duration,
                bytes,
            } => (name, outcome, duration, bytes),
        };
        let (look, unicode, ascii, right) = match outcome {
            TaskOutcome::Done { bytes_added, .. } => {
                let size = match bytes {
                    Some(bytes) => format!("{}  ", size::show(bytes)),
                    None if bytes_added > 0 => format!("+{}  ", size::show(bytes_added)),
                    None => String::new(),
                };
                (Look::Good, '✔', '*', format!("{size}{:>6}", clock(duration)))
            }
            TaskOutcome::Cached => (Look::Good, '✔', '*', "cached".to_owned()),
            TaskOutcome::Failed { .. } => (Look::Bad, '✘', 'x', format!("failed  {:>6}", clock(duration))),
            TaskOutcome::Canceled => (Look::Dim, '–', '-', "canceled".to_owned()),
        };
        let symbol = if self.style.unicode { unicode } else { ascii };
        let left = Line::default()
            .with(look, format!(" {symbol} "))
            .with(Look::Plain, name);
        left.and_right(Line::default().with(Look::Dim, right), columns, self.mark())
    }

    /// Running tasks, longest first, in at most `rows` rows: their names, and as much of their output as fits.
    fn running(&self, now: Duration, columns: usize, rows: usize) -> Vec<Line> {
        let mut running: Vec<&Task> = self.tasks.values().filter(|task| task.started.is_some()).collect();
        running.sort_by_key(|task| task.started);
        let hidden = running.len().saturating_sub(rows);
        let shown = if hidden > 0 {
            rows.saturating_sub(1)
        } else {
            running.len()
        };
        let details: Vec<Vec<Line>> = running[..shown]
            .iter()
            .map(|task| self.details(task, columns))
            .collect();
        let wanted: Vec<usize> = details.iter().map(Vec::len).collect();
        let given = share(rows - shown.min(rows), &wanted);
        let mut lines = Vec::new();
        for ((task, details), given) in running.iter().zip(details).zip(given) {
            lines.push(self.running_line(task, now, columns));
            let first = if task.parts.is_empty() {
                details.len() - given
            } else {
                0
            };
            lines.extend(details.into_iter().skip(first).take(given));
        }
        if shown < running.len() {
            let text = format!("   and {} more", running.len() - shown);
            lines.push(Line::default().with(Look::Dim, text).cut(columns, self.mark()));
        }
        lines
    }

    fn running_line(&self, task: &Task, now: Duration, columns: usize) -> Line {
        let time = now.saturating_sub(task.started.unwrap_or(now));
        let bytes = match task.bytes() {
            Some((done, Some(total))) => format!("{} / {}  ", size::show(done), size::show(total)),
            Some((done, None)) => format!("{}  ", size::show(done)),
            None => String::new(),
        };
        let symbol = if self.style.unicode { " ▸ " } else { " > " };
        let left = Line::default()
            .with(Look::Busy, symbol)
            .with(Look::Bold, task.name.clone());
        let right = if task.waiting {
            Line::default().with(Look::Dim, "waiting for an image")
        } else {
            Line::default()
                .with(Look::Dim, bytes)
                .with(Look::Plain, format!("{:>6}", clock(time)))
        };
        left.and_right(right, columns, self.mark())
    }

    /// The last lines of output, or the parts that are under way.
    fn details(&self, task: &Task, columns: usize) -> Vec<Line> {
        let bar = if self.style.unicode { "   │ " } else { "   | " };
        let line = |text: String| {
            Line::default()
                .with(Look::Dim, bar)
                .with(Look::Dim, text)
                .cut(columns, self.mark())
        };
        let tail = task.tail();
        let first = tail.len().saturating_sub(TAIL);
        let output = tail.into_iter().skip(first).map(line);
        let under_way = task
            .parts
            .iter()
            .filter(|(_, (current, total))| Some(*current) != *total);
        let parts = under_way
            .take(PARTS)
            .map(|(name, (current, total))| self.part(name, *current, *total, columns));
        if task.parts.is_empty() {
            output.collect()
        } else {
            parts.collect()
        }
    }

    fn part(&self, name: &str, current: u64, total: Option<u64>, columns: usize) -> Line {
        const CELLS: u64 = 24;
        let Some(total) = total.filter(|total| *total > 0) else {
            return Line::default()
                .with(Look::Dim, format!("     {name} {}", size::show(current)))
                .cut(columns, self.mark());
        };
        let filled = u128::from(current.min(total)) * u128::from(CELLS) / u128::from(total);
        let filled = usize::try_from(filled).unwrap_or(0);
        let (full, empty) = if self.style.unicode { ("━", "─") } else { ("=", ".") };
        let rest = usize::try_from(CELLS).unwrap_or(0) - filled;
        Line::default()
            .with(Look::Dim, format!("     {name} "))
            .with(Look::Busy, full.repeat(filled))
            .with(Look::Dim, empty.repeat(rest))
            .with(Look::Dim, format!(" {} / {}", size::show(current), size::show(total)))
            .cut(columns, self.mark())
    }

    fn totals(&self, now: Duration, columns: usize) -> Line {
        let counts = &self.counts;
        let running = self.tasks.values().filter(|task| task.started.is_some()).count();
        let mut text = format!(" {}/{} done", counts.done, counts.all);
        for (count, what) in [
            (counts.cached, "cached"),
            (running, "running"),
            (counts.failed, "failed"),
        ] {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
        let right = Line::default().with(Look::Bold, format!("{:>6}", clock(now)));
        Line::default()
            .with(Look::Bold, text)
            .and_right(right, columns, self.mark())
    }

    const fn mark(&self) -> char {
        if self.style.unicode { '…' } else { '~' }
    }
}

/// Gives each of those who want rows as many as all others get, or as it wants if that is less, in the whole at
/// most `rows`.
fn share(mut rows: usize, wanted: &[usize]) -> Vec<usize> {
    let mut given = vec![0; wanted.len()];
    loop {
        let hungry: Vec<usize> = (0..wanted.len()).filter(|&at| given[at] < wanted[at]).collect();
        if hungry.is_empty() || rows == 0 {
            return given;
        }
        for at in hungry.into_iter().take(rows) {
            given[at] += 1;
            rows -= 1;
        }
    }
}

/// A name in one line: blanks of continued lines are one, and of a digest the beginning is enough.
fn short(name: &str) -> String {
    const DIGEST: &str = "@sha256:";
    const SHOWN: usize = 12;
    let words: Vec<String> = name.split_whitespace().map(|word| sanitise(word.as_bytes())).collect();
    let mut name = words.join(" ");
    if let Some(at) = name.find(DIGEST) {
        let first = at + DIGEST.len();
        let digits = name[first..].bytes().take_while(u8::is_ascii_hexdigit).count();
        if digits > SHOWN {
            name.replace_range(first + SHOWN..first + digits, "");
        }
    }
    name
}

/// A duration for people: `0.3s`, `1m05s`, `2h03m`.
fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{}.{}s", seconds, duration.subsec_millis() / 100),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests;
