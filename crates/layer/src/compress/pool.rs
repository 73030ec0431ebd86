//! The threads behind the compressor.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use kiln_image::{Digest, Hasher};

use super::press::{Press, Pressed};
use crate::jobs::{self, Jobs};

/// How many pieces' room is kept for others.
const SPARE: usize = 2;

/// Threads that compress pieces, one that hashes them, and what they are busy with, in order.
#[derive(Debug)]
pub(super) struct Pool<'s> {
    jobs: SyncSender<Job>,
    pending: VecDeque<Receiver<Done>>,
    limit: usize,
    hash: HashThread<'s>,
    /// Room for pieces to come.
    spare: Vec<Vec<u8>>,
}

type Piece = Arc<Vec<u8>>;

struct Job {
    piece: Piece,
    reply: SyncSender<Done>,
}

/// What became of a piece, which is given back.
struct Done {
    pressed: io::Result<Pressed>,
    piece: Piece,
}

impl<'s> Pool<'s> {
    /// With as many threads as there are presses.
    pub(super) fn start<'m: 's>(scope: &'s Scope<'s, '_>, presses: Vec<Press<'m>>) -> io::Result<Self> {
        let limit = presses.len() + 1;
        let (jobs, queue) = jobs::queue(limit);
        for press in presses {
            let queue = queue.clone();
            // They end by themselves when `jobs` is dropped.
            let thread = Builder::new().name("compress".to_owned());
            thread.spawn_scoped(scope, move || work(press, queue))?;
        }
        Ok(Self {
            jobs,
            pending: VecDeque::new(),
            limit,
            hash: HashThread::start(scope)?,
            spare: Vec::new(),
        })
    }

    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= self.limit
    }

    /// Takes a piece, and gives room for the next one.
    pub(super) fn submit(&mut self, piece: Vec<u8>) -> io::Result<Vec<u8>> {
        let piece = Arc::new(piece);
        let (reply, result) = sync_channel(1);
        self.hash.add(Arc::clone(&piece))?;
        self.jobs.send(Job { piece, reply }).map_err(|_| died())?;
        self.pending.push_back(result);
        Ok(self.spare.pop().unwrap_or_default())
    }

    /// What became of the oldest piece, waiting for it; `None` if there is none.
    pub(super) fn next(&mut self) -> Option<io::Result<Pressed>> {
        let Ok(Done { pressed, piece }) = self.pending.pop_front()?.recv() else {
            return Some(Err(died()));
        };
        // Unless it is still being hashed.
        if self.spare.len() < SPARE
            && let Some(mut piece) = Arc::into_inner(piece)
        {
            piece.clear();
            self.spare.push(piece);
        }
        Some(pressed)
    }

    /// The digest of all pieces.
    pub(super) fn finish(self) -> io::Result<Digest> {
        self.hash.finish()
    }
}

fn work(mut press: Press<'_>, queue: Jobs<Job>) {
    for Job { piece, reply } in queue {
        let pressed = press.press(&piece);
        // Nobody waits any more if the compressor was dropped.
        let _unwanted = reply.send(Done { pressed, piece });
    }
}

/// Hashes pieces in order.
#[derive(Debug)]
struct HashThread<'s> {
    pieces: SyncSender<Piece>,
    thread: ScopedJoinHandle<'s, Digest>,
}

impl<'s> HashThread<'s> {
    fn start(scope: &'s Scope<'s, '_>) -> io::Result<Self> {
        let (pieces, queue) = sync_channel::<Piece>(2);
        let thread = Builder::new().name("hash".to_owned()).spawn_scoped(scope, move || {
            let mut hasher = Hasher::new();
            while let Ok(piece) = queue.recv() {
                hasher.update(&piece);
            }
            hasher.finish()
        })?;
        Ok(Self { pieces, thread })
    }

    fn add(&self, piece: Piece) -> io::Result<()> {
        self.pieces.send(piece).map_err(|_| died())
    }

    fn finish(self) -> io::Result<Digest> {
        drop(self.pieces);
        self.thread.join().map_err(|_| died())
    }
}

fn died() -> io::Error {
    io::Error::other("a thread that compresses or hashes has died")
}
