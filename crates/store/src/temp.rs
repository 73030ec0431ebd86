//! Unfinished things and rubbish. Each process has one directory below `tmp/`, and holds a lock whose file lies beside
//! it: where the lock can be had, the process is dead and the directory is removed. A directory is there only while
//! its lock is held or its owner is dead, so that none is taken for abandoned that is just being made.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SendError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use crate::error::{Error, Result};
use crate::ids::random_name;
use crate::locks::{self, LockGuard};
use crate::tree;

const LOCK: &str = "lock";

/// A process's own directory.
#[derive(Debug)]
pub(crate) struct TempRoot {
    path: PathBuf,
    remover: Remover,
    /// Dropped after the directory is removed.
    _lock: LockGuard,
}

/// Removes unfinished things on a thread of its own, so that no step waits for what the one before left.
#[derive(Debug, Clone, Default)]
pub(crate) struct Remover(Arc<Mutex<Option<Running>>>);

#[derive(Debug)]
struct Running {
    paths: Sender<PathBuf>,
    thread: JoinHandle<()>,
}

impl Running {
    fn start() -> std::io::Result<Self> {
        let (paths, queue) = channel::<PathBuf>();
        let thread = Builder::new().name("remove".to_owned()).spawn(move || {
            for path in queue {
                let _swept_later = tree::remove(&path);
            }
        })?;
        Ok(Self { paths, thread })
    }
}

impl Remover {
    /// Has the path removed soon. What cannot be removed goes with the process's directory.
    pub(crate) fn remove(&self, path: PathBuf) {
        let mut running = self.running();
        if running.is_none() {
            *running = Running::start().ok();
        }
        let left = match running.as_ref() {
            Some(running) => running.paths.send(path).err().map(|SendError(path)| path),
            None => Some(path),
        };
        if let Some(path) = left {
            let _swept_later = tree::remove(&path);
        }
    }

    /// Waits until all is removed.
    fn finish(&self) {
        if let Some(Running { paths, thread }) = self.running().take() {
            drop(paths);
            let _died = thread.join();
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TempRoot {
    pub(crate) fn create(parent: &Path) -> Result<Self> {
        let path = parent.join(random_name()?);
        let lock = locks::hold(path.with_extension(LOCK), File::lock)?;
        create_directory(&path)?;
        Ok(Self {
            path,
            remover: Remover::default(),
            _lock: lock,
        })
    }

    pub(crate) fn remover(&self) -> Remover {
        self.remover.clone()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A name in it that nobody uses.
    pub(crate) fn name(&self) -> Result<PathBuf> {
        Ok(self.path.join(random_name()?))
    }
}

impl Drop for TempRoot {
    fn drop(&mut self) {
        self.remover.finish();
        // What cannot be removed now is left to the next sweep.
        let _swept_later = tree::remove(&self.path);
    }
}

pub(crate) fn create_directory(path: &Path) -> Result<()> {
    DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(Error::io("create", path))
}

/// Removes the directories of processes that are dead. What cannot be removed is left to the next sweep. Gives the bytes
/// that were freed.
pub(crate) fn sweep(parent: &Path) -> Result<u64> {
    let mut freed = 0;
    for entry in std::fs::read_dir(parent).map_err(Error::io("read", parent))? {
        let path = entry.map_err(Error::io("read", parent))?.path();
        // The file of a lock without directory goes with the lock.
        if let Some(_abandoned) = locks::try_hold(path.with_extension(LOCK), std::fs::File::try_lock)? {
            freed += tree::remove(&path.with_extension("")).unwrap_or_default();
        }
    }
    Ok(freed)
}
