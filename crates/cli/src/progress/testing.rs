//! Events in few words, for tests.

use std::time::Duration;

use kiln_build::event::{Event, TaskId, TaskOutcome};

pub(crate) fn task(id: usize, name: &str) -> Event {
    Event::Task {
        id: TaskId(id),
        name: name.to_owned(),
        stage: None,
        lines: None,
    }
}

pub(crate) fn started(id: usize) -> Event {
    Event::Started(TaskId(id))
}

pub(crate) fn log(id: usize, text: &str) -> Event {
    raw_log(id, text.as_bytes())
}

pub(crate) fn raw_log(id: usize, data: &[u8]) -> Event {
    Event::Log {
        id: TaskId(id),
        stderr: false,
        data: data.into(),
    }
}

pub(crate) fn progress(id: usize, part: &str, current: u64, total: Option<u64>) -> Event {
    Event::Progress {
        id: TaskId(id),
        part: part.to_owned(),
        current,
        total,
    }
}

fn finished(id: usize, outcome: TaskOutcome, millis: u64) -> Event {
    Event::Finished {
        id: TaskId(id),
        outcome,
        duration: Duration::from_millis(millis),
    }
}

pub(crate) fn done(id: usize, millis: u64) -> Event {
    added(id, millis, 0)
}

pub(crate) fn added(id: usize, millis: u64, bytes_added: u64) -> Event {
    let outcome = TaskOutcome::Done {
        bytes_added,
        peak_memory: None,
    };
    finished(id, outcome, millis)
}

/// A step that ran processes.
pub(crate) fn ran(id: usize, peak_memory: u64) -> Event {
    let outcome = TaskOutcome::Done {
        bytes_added: 0,
        peak_memory: Some(peak_memory),
    };
    finished(id, outcome, 1)
}

pub(crate) fn cached(id: usize) -> Event {
    finished(id, TaskOutcome::Cached, 0)
}

pub(crate) fn failed(id: usize, millis: u64) -> Event {
    finished(
        id,
        TaskOutcome::Failed {
            reason: "exit code: 1".to_owned(),
        },
        millis,
    )
}

pub(crate) fn canceled(id: usize) -> Event {
    finished(id, TaskOutcome::Canceled, 0)
}
