//! What a walk came across, in order, on its way through the threads that look at it.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope};

use rustix::io::Errno;

use super::entry::Counted;
use super::look::{Found, Look, Named, Unread};
use crate::Error;
use crate::jobs::{self, Jobs};
use crate::root::path_of;

/// What a walk came across.
pub(super) enum Item {
    /// Nothing is left to find out.
    Ready(Counted),
    Named(Named),
}

/// How many items are looked at together: so many that handing them over costs little.
const BATCH: usize = 256;

/// In how many directories they are at most, which stay open as long.
const DIRECTORIES: usize = 8;

/// How many entries wait for large files at most.
const PENDING: usize = 64;

/// How many threads look and read at most. A few more of them would wait for the one that walks.
const THREADS: usize = 8;

/// Takes items in order and gives entries in the same order. As long as there are few of them it looks itself.
pub(super) struct Queue<'s, 'e> {
    scope: &'s Scope<'s, 'e>,
    look: Look<'e>,
    count: &'e mut dyn FnMut(Counted),
    threads: Option<Threads>,
    batch: Vec<Item>,
    /// In how many directories the items of `batch` are.
    directories: usize,
    /// What others look at, in order.
    batches: VecDeque<Receiver<Batch>>,
    /// What was looked at, from the first file on that is still read.
    pending: VecDeque<Pending>,
}

type Digested = Result<[u8; 32], Errno>;

/// Items that were looked at.
type Batch = Vec<Result<Found, Error>>;

struct Pending {
    entry: Counted,
    /// The digest, where somebody is reading the file.
    digest: Option<Receiver<Digested>>,
}

/// Where those who look and read find their work.
struct Threads {
    jobs: SyncSender<Job>,
    /// How many batches are on their way at most.
    ahead: usize,
}

enum Job {
    Look(Vec<Item>, SyncSender<Batch>),
    Read(Unread, SyncSender<Digested>),
}

impl Threads {
    fn start<'s>(scope: &'s Scope<'s, '_>, look: Look<'s>) -> Result<Self, Error> {
        let count = std::thread::available_parallelism()
            .map_or(1, NonZero::get)
            .min(THREADS);
        let (jobs, queue) = jobs::queue(PENDING);
        for _ in 0..count {
            let queue = queue.clone();
            Builder::new()
                .name("digest".to_owned())
                .spawn_scoped(scope, move || work(look, queue))
                .map_err(Error::at("start a thread to read", path_of(look.top)))?;
        }
        Ok(Self { jobs, ahead: count + 1 })
    }

    /// Has something done. What becomes of it comes out at the other end.
    fn give<T>(&self, job: impl FnOnce(SyncSender<T>) -> Job) -> Receiver<T> {
        let (reply, result) = sync_channel(1);
        self.jobs.send(job(reply)).expect("they work as long as this exists");
        result
    }
}

fn work(look: Look<'_>, queue: Jobs<Job>) {
    for job in queue {
        // After an error nobody waits for replies any more.
        let (Ok(()) | Err(())) = match job {
            Job::Look(items, reply) => reply.send(find_all(look, items)).map_err(drop),
            Job::Read(file, reply) => reply.send(look.read_named(&file)).map_err(drop),
        };
    }
}

fn find_all(look: Look<'_>, items: Vec<Item>) -> Batch {
    let find = |item| match item {
        Item::Ready(entry) => Ok(Found::Whole(entry)),
        Item::Named(named) => look.find(named),
    };
    items.into_iter().map(find).collect()
}

impl<'s, 'e> Queue<'s, 'e> {
    pub(super) fn new(scope: &'s Scope<'s, 'e>, look: Look<'e>, count: &'e mut dyn FnMut(Counted)) -> Self {
        Self {
            scope,
            look,
            count,
            threads: None,
            batch: Vec::new(),
            directories: 0,
            batches: VecDeque::new(),
            pending: VecDeque::new(),
        }
    }

    pub(super) fn add(&mut self, item: Item) -> Result<(), Error> {
        let is_elsewhere = |named: &Named| match self.batch.last() {
            Some(Item::Named(last)) => !Arc::ptr_eq(&last.directory, &named.directory),
            _ => true,
        };
        if let Item::Named(named) = &item {
            self.directories += usize::from(is_elsewhere(named));
        }
        self.batch.push(item);
        if self.batch.len() >= BATCH || self.directories >= DIRECTORIES {
            self.send()?;
        }
        Ok(())
    }

    /// Gives what is left.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        if self.threads.is_none() {
            let items = std::mem::take(&mut self.batch);
            self.found(find_all(self.look, items))?;
        } else {
            self.send()?;
        }
        while let Some(batch) = self.batches.pop_front() {
            self.receive(&batch)?;
        }
        while let Some(first) = self.pending.pop_front() {
            self.settle(first)?;
        }
        Ok(())
    }

    fn threads(&mut self) -> Result<&Threads, Error> {
        if self.threads.is_none() {
            self.threads = Some(Threads::start(self.scope, self.look)?);
        }
        Ok(self.threads.as_ref().expect("they were started"))
    }

    fn send(&mut self) -> Result<(), Error> {
        self.directories = 0;
        let items = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        let threads = self.threads()?;
        let ahead = threads.ahead;
        let batch = threads.give(|reply| Job::Look(items, reply));
        self.batches.push_back(batch);
        if self.batches.len() > ahead
            && let Some(first) = self.batches.pop_front()
        {
            self.receive(&first)?;
        }
        Ok(())
    }

    fn receive(&mut self, batch: &Receiver<Batch>) -> Result<(), Error> {
        self.found(batch.recv().expect("who looks replies"))
    }

    fn found(&mut self, batch: Batch) -> Result<(), Error> {
        batch.into_iter().try_for_each(|found| match found? {
            Found::Whole(entry) => self.push(entry, None),
            Found::Unread(entry, file) => {
                let digest = self.threads()?.give(|reply| Job::Read(file, reply));
                self.push(entry, Some(digest))
            }
        })
    }

    fn push(&mut self, entry: Counted, digest: Option<Receiver<Digested>>) -> Result<(), Error> {
        if digest.is_none() && self.pending.is_empty() {
            (self.count)(entry);
            return Ok(());
        }
        self.pending.push_back(Pending { entry, digest });
        if self.pending.len() > PENDING
            && let Some(first) = self.pending.pop_front()
        {
            self.settle(first)?;
        }
        Ok(())
    }

    /// Waits for a file that is read.
    fn settle(&mut self, Pending { mut entry, digest }: Pending) -> Result<(), Error> {
        if let Some(digest) = digest {
            let digest = digest.recv().expect("who reads replies");
            entry.digest = digest.map_err(self.look.failed("read", &entry.path))?;
        }
        (self.count)(entry);
        Ok(())
    }
}
