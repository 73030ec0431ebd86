//! What a step's process writes: to the log on disk, to the sink, and the last lines for the error.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use kiln_sandbox::{Child, Exit};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::cancel::Cancel;
use crate::error::{StepError, StepResult};
use crate::event::{Event, Sink, TaskId};
use crate::session::Session;

/// Lines kept for the error message.
const TAIL_LINES: usize = 20;
/// A line that is longer is cut there: output without line breaks must not fill the memory.
const MAX_LINE: usize = 4096;

/// Takes the output of one step.
pub(crate) struct Output<'a> {
    sink: &'a dyn Sink,
    task: TaskId,
    session: &'a Session<'a>,
    /// None until there is something to write.
    log: Option<File>,
    tail: Tail,
}

impl<'a> Output<'a> {
    pub(crate) fn new(sink: &'a dyn Sink, task: TaskId, session: &'a Session<'a>) -> Self {
        Self {
            sink,
            task,
            session,
            log: None,
            tail: Tail::default(),
        }
    }

    /// Passes on what the process writes until it ends. Kills it when the build is cancelled, and when its time is over:
    /// then the second value is true.
    pub(crate) fn follow(
        &mut self,
        child: &mut Child,
        cancel: &Cancel,
        deadline: Option<Instant>,
    ) -> StepResult<(Exit, bool)> {
        let mut pipes = [child.stdout(), child.stderr()];
        let mut buffer = vec![0; 64 << 10];
        let mut watch = Watch {
            cancel,
            deadline,
            over: None,
        };
        while pipes.iter().any(Option::is_some) {
            let fds: Vec<BorrowedFd<'_>> = pipes.iter().flatten().map(AsFd::as_fd).collect();
            let mut ready = watch.wait(&fds, child)?.into_iter();
            for (index, pipe) in pipes.iter_mut().enumerate() {
                let ready = pipe.is_some() && ready.next().unwrap_or(false);
                if ready && !self.pass(pipe.as_ref(), index == 1, &mut buffer)? {
                    *pipe = None;
                }
            }
        }
        // Both pipes may be closed by a process that goes on.
        while watch.over.is_none() {
            if watch.wait(&[child.pidfd()], child)?.contains(&true) {
                break;
            }
        }
        Ok((child.wait()?, watch.over == Some(Over::Late)))
    }

    /// Reads once; false at the end.
    fn pass(&mut self, pipe: Option<&OwnedFd>, stderr: bool, buffer: &mut [u8]) -> StepResult<bool> {
        let Some(pipe) = pipe else { return Ok(false) };
        let count = retry(|| rustix::io::read(pipe, &mut *buffer))?;
        if count == 0 {
            return Ok(false);
        }
        let data = &buffer[..count];
        let log = match &mut self.log {
            Some(log) => log,
            None => self.log.insert(self.session.log(self.task)?),
        };
        log.write_all(data).map_err(StepError::io("write", "the step's log"))?;
        self.tail.add(data);
        self.sink.event(Event::Log {
            id: self.task,
            stderr,
            data: Arc::from(data),
        });
        Ok(true)
    }

    /// The last lines.
    pub(crate) fn tail(self) -> Vec<String> {
        self.tail.lines()
    }
}

/// Why a process was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Canceled,
    Late,
}

/// Kills a process when the build is cancelled or its time is over.
struct Watch<'a> {
    cancel: &'a Cancel,
    deadline: Option<Instant>,
    /// Whether it did.
    over: Option<Over>,
}

impl Watch<'_> {
    /// Waits until one of the descriptors has something, or the process was killed. Gives for each whether it has.
    fn wait(&mut self, fds: &[BorrowedFd<'_>], child: &Child) -> StepResult<Vec<bool>> {
        let mut all: Vec<PollFd<'_>> = fds
            .iter()
            .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
            .collect();
        let watching = self.over.is_none();
        if watching {
            all.push(PollFd::from_borrowed_fd(self.cancel.fd(), PollFlags::IN));
        }
        let timeout = self.deadline.filter(|_| watching).map(left);
        retry(|| poll(&mut all, timeout.as_ref()))?;
        let mut ready: Vec<bool> = all.iter().map(|fd| !fd.revents().is_empty()).collect();
        if watching {
            let canceled = ready.pop().unwrap_or(false);
            let late = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
            self.over = match (canceled, late) {
                (true, _) => Some(Over::Canceled),
                (false, true) => Some(Over::Late),
                (false, false) => None,
            };
            if self.over.is_some() {
                child.kill()?;
            }
        }
        Ok(ready)
    }
}

/// The time until then.
fn left(deadline: Instant) -> Timespec {
    let left = deadline.saturating_duration_since(Instant::now());
    Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    }
}

fn retry<T>(call: impl FnMut() -> rustix::io::Result<T>) -> StepResult<T> {
    rustix::io::retry_on_intr(call).map_err(StepError::errno("read", "the output of a step"))
}

/// The last lines of a stream of bytes.
#[derive(Default)]
struct Tail {
    lines: VecDeque<Vec<u8>>,
    open: Vec<u8>,
}

impl Tail {
    fn add(&mut self, data: &[u8]) {
        for piece in data.split_inclusive(|&byte| byte == b'\n') {
            let (text, ended) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let room = MAX_LINE.saturating_sub(self.open.len());
            self.open.extend_from_slice(&text[..text.len().min(room)]);
            if ended {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        if self.lines.len() == TAIL_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(std::mem::take(&mut self.open));
    }

    fn lines(mut self) -> Vec<String> {
        if !self.open.is_empty() {
            self.end_line();
        }
        self.lines
            .iter()
            .map(|line| String::from_utf8_lossy(line).trim_end_matches('\r').to_owned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_keeps_the_last_lines_and_bounds_them() {
        let mut tail = Tail::default();
        for number in 0..100 {
            tail.add(format!("line {number}\n").as_bytes());
        }
        tail.add(b"open");
        let lines = tail.lines();
        assert_eq!(lines.len(), TAIL_LINES);
        assert_eq!(lines.last().unwrap(), "open");
        assert_eq!(lines[0], "line 81");

        let mut tail = Tail::default();
        for _ in 0..1000 {
            tail.add(&[b'x'; 1000]);
        }
        assert_eq!(tail.lines()[0].len(), MAX_LINE);
    }
}
