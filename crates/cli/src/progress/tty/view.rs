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
/// The widest line: the clock is of no use where nobody looks for it.
const WIDEST: usize = 140;

/// The state of all tasks.
#[derive(Debug)]
pub(crate) struct View {
    style: Style,
    tasks: BTreeMap<TaskId, Task>,
    /// Lines that were not yet in a frame.
    finished: Vec<Finished>,
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
            // With their places, after the build.
            Event::Warning(_) => {}
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
            TaskOutcome::Canceled => {}
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
mod tests {
    use super::super::screen::Screen;
    use super::super::screen::tests::Terminal;
    use super::*;
    use crate::progress::testing::{added, cached, canceled, done, failed, log, progress, raw_log, started, task};

    const ASCII: Style = Style {
        colours: false,
        unicode: false,
    };

    /// Draws after every step of the script on a terminal and gives what is on it in the end.
    fn render(script: &[(u64, Vec<Event>)], size: (usize, usize), over: bool) -> String {
        let mut view = View::new(ASCII);
        let mut shown = Vec::new();
        let mut terminal = Terminal::new(size.0);
        {
            let mut screen = Screen::new(&mut shown, true);
            let mut now = Duration::ZERO;
            for (at, events) in script {
                now = Duration::from_millis(*at);
                for event in events {
                    view.apply(event.clone(), now);
                }
                screen.draw(&view.frame(now, size), size.0);
            }
            if over {
                view.end(now);
                screen.draw(&view.frame(now, size), size.0);
                screen.end();
            }
        }
        terminal.feed(&shown);
        terminal.text()
    }

    #[test]
    fn shows_what_runs_and_folds_what_is_done() {
        let script = [
            (
                0,
                vec![
                    task(0, "[1/3] FROM debian"),
                    task(1, "[2/3] RUN make"),
                    task(2, "[3/3] RUN test"),
                ],
            ),
            (0, vec![cached(0), started(1), started(2)]),
            (500, vec![log(1, "cc a.c\ncc b.c\n"), log(2, "ok 1\r\x1b[2Kok 2")]),
            (1200, vec![]),
        ];
        let expected = " * [1/3] FROM debian             cached
 > [2/3] RUN make                  1.2s
   | cc a.c
   | cc b.c
 > [3/3] RUN test                  1.2s
   | ok 2
 1/3 done, 1 cached, 2 running     1.2s
";
        assert_eq!(render(&script, (40, 24), false), expected);
    }

    #[test]
    fn shows_nothing_as_long_as_there_is_nothing() {
        assert_eq!(render(&[(0, vec![]), (500, vec![])], (40, 24), false), "");
    }

    #[test]
    fn leaves_one_line_each_in_the_end() {
        let script = [
            (0, vec![task(0, "a"), task(1, "b"), task(2, "c"), task(3, "d")]),
            (0, vec![started(0), log(0, "noise\n"), started(1), started(2)]),
            (100, vec![added(0, 61_000, 12_300_000)]),
            (
                200,
                vec![
                    failed(1, 200),
                    canceled(2),
                    canceled(3),
                    Event::Notice("mind this".to_owned()),
                ],
            ),
        ];
        let expected = " * a                    +12.3MB   1m01s
 x b                     failed    0.2s
 - c                           canceled
 ! mind this
";
        assert_eq!(render(&script, (40, 24), true), expected);
    }

    #[test]
    fn shows_bytes_of_transfers() {
        let script = [(
            1000,
            vec![
                task(0, "pull debian"),
                started(0),
                progress(0, "aaaa", 1_000_000, Some(2_000_000)),
                progress(0, "bbbb", 2_000_000, Some(2_000_000)),
                progress(0, "cccc", 0, Some(1_000_000)),
            ],
        )];
        let expected = " > pull debian                             3MB / 5MB    0.0s
     aaaa ============............ 1MB / 2MB
     cccc ........................ 0B / 1MB
 0/1 done, 1 running                                    1.0s
";
        assert_eq!(render(&script, (61, 24), false), expected);
    }

    #[test]
    fn shows_what_was_transferred() {
        let script = [(
            0,
            vec![
                task(0, "pull debian"),
                started(0),
                progress(0, "aaaa", 1_000_000, Some(1_000_000)),
                progress(0, "naming", 0, Some(0)),
                done(0, 1200),
            ],
        )];
        assert_eq!(
            render(&script, (40, 24), true),
            " * pull debian              1MB    1.2s\n"
        );
    }

    #[test]
    fn shows_what_is_waited_for() {
        let waiting = Event::Waiting(TaskId(0));
        let script = [(900, vec![task(0, "a"), started(0), waiting.clone()])];
        let expected = " > a               waiting for an image
 0/1 done, 1 running               0.9s
";
        assert_eq!(render(&script, (40, 24), false), expected);
        let script = [(900, vec![task(0, "a"), started(0), waiting]), (1400, vec![started(0)])];
        let expected = " > a                               0.0s
 0/1 done, 1 running               1.4s
";
        assert_eq!(render(&script, (40, 24), false), expected);
    }

    #[test]
    fn shares_rows() {
        assert_eq!(share(10, &[6, 1, 6]), [5, 1, 4]);
        assert_eq!(share(20, &[6, 1, 6]), [6, 1, 6]);
        assert_eq!(share(2, &[6, 6, 6]), [1, 1, 0]);
        assert_eq!(share(0, &[6]), [0]);
        assert_eq!(share(5, &[]), [0_usize; 0]);
    }

    #[test]
    fn names_are_one_line_and_digests_short() {
        let digest = "a".repeat(64);
        for (name, shown) in [
            (
                format!("FROM x@sha256:{digest} AS y"),
                "FROM x@sha256:aaaaaaaaaaaa AS y",
            ),
            ("RUN a && \n\t  b\u{1b}[2J".to_owned(), "RUN a && b"),
            ("COPY x@sha256:ä /".to_owned(), "COPY x@sha256:ä /"),
            ("x@sha256:".to_owned(), "x@sha256:"),
        ] {
            assert_eq!(short(&name), shown);
        }
    }

    #[test]
    fn never_draws_more_rows_than_there_are() {
        let mut events: Vec<Event> = (0..30).map(|id| task(id, "x")).collect();
        events.extend((0..30).flat_map(|id| [started(id), log(id, "a\nb\nc\nd\ne\nf\ng\nh\n")]));
        for rows in 1..60 {
            let mut view = View::new(ASCII);
            for event in &events {
                view.apply(event.clone(), Duration::ZERO);
            }
            let frame = view.frame(Duration::ZERO, (40, rows));
            assert!(frame.live.len() < rows.max(3), "{rows}: {}", frame.live.len());
        }
    }

    #[test]
    fn never_draws_a_line_wider_than_the_terminal() {
        let name = "[build 1/1] RUN a very long command that goes on and 漢字 on".to_owned();
        for columns in 1..100 {
            let mut view = View::new(Style {
                colours: false,
                unicode: true,
            });
            let events = [
                task(0, &name),
                task(1, &name),
                task(2, &name),
                started(0),
                started(1),
                raw_log(0, b"\x1b[31mlong \xff output 0123456789 0123456789\t0123456789"),
                progress(1, "part", 5, Some(10)),
                done(2, 10),
            ];
            for event in events {
                view.apply(event, Duration::ZERO);
            }
            let frame = view.frame(Duration::ZERO, (columns, 24));
            for line in frame.live.iter().chain(&frame.finished) {
                assert!(line.width() <= columns.saturating_sub(1).max(1), "{columns}: {line:?}");
            }
        }
    }

    #[test]
    fn clocks() {
        for (millis, text) in [
            (0, "0.0s"),
            (350, "0.3s"),
            (59_990, "59.9s"),
            (65_000, "1m05s"),
            (7_380_000, "2h03m"),
        ] {
            assert_eq!(clock(Duration::from_millis(millis)), text);
        }
    }
}
