//! The threads behind the compressor.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use kiln_image::{Digest, Hasher};

use super::Blob;
use super::press::{Press, Pressed};
use crate::jobs::{self, Jobs};

/// How many pieces' room is kept for others.
const SPARE: usize = 2;

/// Threads that compress pieces, one that hashes them, and one that writes what becomes of them, in order.
pub(super) struct Pool<'s, 'e, W> {
    jobs: SyncSender<Job>,
    hash: HashThread<'s>,
    write: WriteThread<'s, 'e, W>,
    /// Room for pieces to come.
    spare: Receiver<Vec<u8>>,
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

impl<'s, 'e: 's, W: Write + Send + 's> Pool<'s, 'e, W> {
    /// With as many threads as there are presses; what they make goes to the blob. The hasher has what came before.
    pub(super) fn start<'m: 's>(
        scope: &'s Scope<'s, '_>,
        presses: Vec<Press<'m>>,
        hasher: Hasher,
        blob: Blob<'e, W>,
    ) -> io::Result<Self> {
        let limit = presses.len();
        let (jobs, queue) = jobs::queue(limit);
        for press in presses {
            let queue = queue.clone();
            // They end by themselves when `jobs` is dropped.
            let thread = Builder::new().name("compress".to_owned());
            thread.spawn_scoped(scope, move || work(press, queue))?;
        }
        let (room, spare) = sync_channel(SPARE);
        Ok(Self {
            jobs,
            hash: HashThread::start(scope, hasher)?,
            write: WriteThread::start(scope, limit, blob, room)?,
            spare,
        })
    }

    /// Takes a piece, and gives room for the next one. Waits while there are many.
    pub(super) fn submit(&mut self, piece: Vec<u8>) -> io::Result<Vec<u8>> {
        let piece = Arc::new(piece);
        let (reply, result) = sync_channel(1);
        self.write.add(result)?;
        self.hash.add(Arc::clone(&piece))?;
        self.jobs.send(Job { piece, reply }).map_err(|_| died())?;
        Ok(self.spare.try_recv().unwrap_or_default())
    }

    /// The digest of all pieces, and the blob that was made of them.
    pub(super) fn finish(self) -> io::Result<(Digest, Blob<'e, W>)> {
        drop(self.jobs);
        let blob = self.write.finish()?;
        Ok((self.hash.finish()?, blob))
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
struct HashThread<'s> {
    pieces: SyncSender<Piece>,
    thread: ScopedJoinHandle<'s, Digest>,
}

impl<'s> HashThread<'s> {
    fn start(scope: &'s Scope<'s, '_>, mut hasher: Hasher) -> io::Result<Self> {
        let (pieces, queue) = sync_channel::<Piece>(2);
        let thread = Builder::new().name("hash".to_owned()).spawn_scoped(scope, move || {
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

/// Writes in order what becomes of pieces, and gives their room back.
struct WriteThread<'s, 'e, W> {
    results: SyncSender<Receiver<Done>>,
    /// `None` once it was asked why it ended.
    thread: Option<ScopedJoinHandle<'s, io::Result<Blob<'e, W>>>>,
}

impl<'s, 'e: 's, W: Write + Send + 's> WriteThread<'s, 'e, W> {
    fn start(
        scope: &'s Scope<'s, '_>,
        limit: usize,
        mut blob: Blob<'e, W>,
        room: SyncSender<Vec<u8>>,
    ) -> io::Result<Self> {
        let (results, queue) = sync_channel::<Receiver<Done>>(limit);
        let thread = Builder::new().name("write".to_owned()).spawn_scoped(scope, move || {
            for result in queue {
                let Done { pressed, piece } = result.recv().map_err(|_| died())?;
                // Unless it is still being hashed.
                if let Some(mut piece) = Arc::into_inner(piece) {
                    piece.clear();
                    let _enough_is_kept = room.try_send(piece);
                }
                blob.put(&pressed?)?;
            }
            Ok(blob)
        })?;
        Ok(Self {
            results,
            thread: Some(thread),
        })
    }

    /// Fails as what was written before did.
    fn add(&mut self, result: Receiver<Done>) -> io::Result<()> {
        if self.results.send(result).is_ok() {
            return Ok(());
        }
        let ended = self.thread.take().and_then(|thread| thread.join().ok());
        Err(ended.and_then(Result::err).unwrap_or_else(died))
    }

    fn finish(self) -> io::Result<Blob<'e, W>> {
        drop(self.results);
        self.thread.and_then(|thread| thread.join().ok()).ok_or_else(died)?
    }
}

fn died() -> io::Error {
    io::Error::other("a thread that compresses, hashes or writes has died")
}
