//! The threads behind the compressor.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use kiln_image::{Digest, Hasher};

use super::codec::{Codec, Encoder};

/// Threads that compress, and what they are busy with, in order.
#[derive(Debug)]
pub(super) struct Pool {
    jobs: SyncSender<Job>,
    pending: VecDeque<Receiver<io::Result<Vec<u8>>>>,
    limit: usize,
}

struct Job {
    block: Arc<Vec<u8>>,
    reply: SyncSender<io::Result<Vec<u8>>>,
}

impl Pool {
    pub(super) fn start(codec: Codec, threads: usize) -> io::Result<Self> {
        let limit = threads + 2;
        let (jobs, queue) = sync_channel::<Job>(limit);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads {
            let queue = Arc::clone(&queue);
            // They end by themselves when `jobs` is dropped.
            let encoder = codec.encoder()?;
            let thread = Builder::new().name("compress".to_owned());
            let _detached = thread.spawn(move || work(encoder, &queue))?;
        }
        Ok(Self {
            jobs,
            pending: VecDeque::new(),
            limit,
        })
    }

    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= self.limit
    }

    pub(super) fn submit(&mut self, block: Arc<Vec<u8>>) -> io::Result<()> {
        let (reply, result) = sync_channel(1);
        self.jobs.send(Job { block, reply }).map_err(|_| died())?;
        self.pending.push_back(result);
        Ok(())
    }

    /// The result of the oldest block, waiting for it; `None` if there is no block.
    pub(super) fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        let result = self.pending.pop_front()?;
        Some(result.recv().unwrap_or_else(|_| Err(died())))
    }
}

fn work(mut encoder: Encoder, queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { block, reply }) = job else { return };
        // Nobody waits any more if the compressor was dropped.
        let _unwanted = reply.send(encoder.compress(&block));
    }
}

/// Hashes blocks in order.
#[derive(Debug)]
pub(super) struct HashThread {
    blocks: SyncSender<Arc<Vec<u8>>>,
    thread: JoinHandle<Digest>,
}

impl HashThread {
    pub(super) fn start() -> io::Result<Self> {
        let (blocks, queue) = sync_channel::<Arc<Vec<u8>>>(2);
        let thread = Builder::new().name("hash".to_owned()).spawn(move || {
            let mut hasher = Hasher::new();
            while let Ok(block) = queue.recv() {
                hasher.update(&block);
            }
            hasher.finish()
        })?;
        Ok(Self { blocks, thread })
    }

    pub(super) fn add(&self, block: Arc<Vec<u8>>) -> io::Result<()> {
        self.blocks.send(block).map_err(|_| died())
    }

    pub(super) fn finish(self) -> io::Result<Digest> {
        drop(self.blocks);
        self.thread.join().map_err(|_| died())
    }
}

fn died() -> io::Error {
    io::Error::other("a thread that compresses or hashes has died")
}
