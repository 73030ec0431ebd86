//! What a step's process writes: to the log on disk, to the sink, and the last lines for the error.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use kiln_sandbox::{Child, Exit};
use rustix::event::{PollFd, PollFlags, poll};

use crate::cancel::Cancel;
use crate::error::{StepError, StepResult};
use crate::event::{Event, Sink, TaskId};

/// Lines kept for the error message.
const TAIL_LINES: usize = 20;
/// A line that is longer is cut there: output without line breaks must not fill the memory.
const MAX_LINE: usize = 4096;

/// Takes the output of one step.
pub(crate) struct Output<'a> {
    sink: &'a dyn Sink,
    task: TaskId,
    log: File,
    tail: Tail,
}

impl<'a> Output<'a> {
    pub(crate) fn new(sink: &'a dyn Sink, task: TaskId, log: File) -> Self {
        Self {
            sink,
            task,
            log,
            tail: Tail::default(),
        }
    }

    /// Passes on what the process writes until it ends. Kills it when the build is cancelled.
    pub(crate) fn follow(&mut self, child: &mut Child, cancel: &Cancel) -> StepResult<Exit> {
        let mut pipes = [child.stdout(), child.stderr()];
        let mut buffer = vec![0; 64 << 10];
        let mut killed = false;
        while pipes.iter().any(Option::is_some) {
            let ready = wait(&pipes, cancel, killed)?;
            if ready.canceled && !killed {
                child.kill()?;
                killed = true;
            }
            for (index, pipe) in pipes.iter_mut().enumerate() {
                if ready.pipes[index] && !self.pass(pipe.as_ref(), index == 1, &mut buffer)? {
                    *pipe = None;
                }
            }
        }
        // Both pipes may be closed by a process that goes on.
        while !killed {
            let mut fds = [
                PollFd::from_borrowed_fd(child.pidfd(), PollFlags::IN),
                PollFd::from_borrowed_fd(cancel.fd(), PollFlags::IN),
            ];
            retry(|| poll(&mut fds, None))?;
            if !fds[0].revents().is_empty() {
                break;
            }
            child.kill()?;
            killed = true;
        }
        Ok(child.wait()?)
    }

    /// Reads once; false at the end.
    fn pass(&mut self, pipe: Option<&OwnedFd>, stderr: bool, buffer: &mut [u8]) -> StepResult<bool> {
        let Some(pipe) = pipe else { return Ok(false) };
        let count = retry(|| rustix::io::read(pipe, &mut *buffer))?;
        if count == 0 {
            return Ok(false);
        }
        let data = &buffer[..count];
        self.log
            .write_all(data)
            .map_err(StepError::io("write", "the step's log"))?;
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

struct Ready {
    pipes: [bool; 2],
    canceled: bool,
}

fn wait(pipes: &[Option<OwnedFd>; 2], cancel: &Cancel, killed: bool) -> StepResult<Ready> {
    let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(3);
    for pipe in pipes.iter().flatten() {
        fds.push(PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN));
    }
    if !killed {
        fds.push(PollFd::from_borrowed_fd(cancel.fd(), PollFlags::IN));
    }
    retry(|| poll(&mut fds, None))?;
    let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
    let mut next = |present: bool| present && ready.next().unwrap_or(false);
    Ok(Ready {
        pipes: [next(pipes[0].is_some()), next(pipes[1].is_some())],
        canceled: next(!killed),
    })
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
