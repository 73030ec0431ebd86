//! Locks by name, among threads and processes: `flock`s on files that are there only while somebody has the lock.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use kiln_image::Digest;

use crate::Store;
use crate::error::{Error, Result};

/// A lock that is held until it is dropped, or its process dies.
#[derive(Debug)]
pub struct LockGuard {
    file: File,
    path: PathBuf,
}

impl Store {
    /// Waits until nobody else has the lock of that name.
    pub fn lock_key(&self, name: &str) -> Result<LockGuard> {
        exclusive(&self.root, name)
    }

    /// The lock of that name, unless somebody has it.
    pub fn try_lock_key(&self, name: &str) -> Result<Option<LockGuard>> {
        try_hold(named(&self.root, name), File::try_lock)
    }

    /// The lock of that name, unless somebody has it for itself alone.
    pub fn try_lock_key_shared(&self, name: &str) -> Result<Option<LockGuard>> {
        try_hold(named(&self.root, name), File::try_lock_shared)
    }

    /// Waits until nobody else has the lock of that name for itself alone.
    pub fn lock_key_shared(&self, name: &str) -> Result<LockGuard> {
        hold(named(&self.root, name), File::lock_shared)
    }
}

/// [`Store::lock_key`] of a store that is not open yet.
pub(crate) fn exclusive(root: &Path, name: &str) -> Result<LockGuard> {
    hold(named(root, name), File::lock)
}

/// The lock of that name, unless somebody has it.
pub(crate) fn try_exclusive(root: &Path, name: &str) -> Result<Option<LockGuard>> {
    try_hold(named(root, name), File::try_lock)
}

fn named(root: &Path, name: &str) -> PathBuf {
    root.join("locks").join(Digest::of(name).hex())
}

/// Waits for the lock whose file is `path`.
pub(crate) fn hold(path: PathBuf, lock: impl Fn(&File) -> io::Result<()>) -> Result<LockGuard> {
    loop {
        let file = open(&path)?;
        uninterrupted(|| lock(&file)).map_err(Error::io("lock", &path))?;
        if is_current(&file, &path)? {
            return Ok(LockGuard { file, path });
        }
    }
}

/// The lock whose file is `path`, unless somebody has it.
pub(crate) fn try_hold(
    path: PathBuf,
    lock: impl Fn(&File) -> std::result::Result<(), TryLockError>,
) -> Result<Option<LockGuard>> {
    loop {
        let file = open(&path)?;
        match lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
        }
        if is_current(&file, &path)? {
            return Ok(Some(LockGuard { file, path }));
        }
    }
}

/// Locks a file, waiting for those who have it alone.
pub(crate) fn shared(file: &File) -> io::Result<()> {
    uninterrupted(|| file.lock_shared())
}

/// Locks a file, waiting for all others who have it.
pub(crate) fn alone(file: &File) -> io::Result<()> {
    uninterrupted(|| file.lock())
}

fn uninterrupted(lock: impl Fn() -> io::Result<()>) -> io::Result<()> {
    loop {
        match lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            locked => return locked,
        }
    }
}

fn open(path: &Path) -> Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(Error::io("open", path))
}

/// Whether the file is still the one of that name: who had the lock before may have removed it.
fn is_current(file: &File, path: &Path) -> Result<bool> {
    let held = file.metadata().map_err(Error::io("examine", path))?;
    match std::fs::metadata(path) {
        Ok(named) => Ok(held.ino() == named.ino() && held.dev() == named.dev()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("examine", path)(error)),
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        // Lock files must not pile up. Only who has the lock alone may remove its file, and only if the file still is
        // the lock's: a shared lock is lost for a moment while it becomes an exclusive one, in which another may take
        // it, remove the file and be done. Who waits for a removed file finds it gone and takes a new one.
        if self.file.try_lock().is_ok() && is_current(&self.file, &self.path).is_ok_and(|current| current) {
            let _stays_empty = std::fs::remove_file(&self.path);
        }
        // Children that were forked meanwhile may have the file open still; closing it here would not unlock it.
        let _closed_anyway = self.file.unlock();
    }
}
