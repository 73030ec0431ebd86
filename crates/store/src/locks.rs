//! Locks by name, among threads and processes.

use std::fs::File;
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

    /// Waits until nobody else has the lock of that name for itself alone.
    pub fn lock_key_shared(&self, name: &str) -> Result<LockGuard> {
        lock(&self.root, name, File::lock_shared)
    }
}

/// [`Store::lock_key`] of a store that is not open yet.
pub(crate) fn exclusive(root: &Path, name: &str) -> Result<LockGuard> {
    lock(root, name, File::lock)
}

fn lock(root: &Path, name: &str, lock: impl Fn(&File) -> std::io::Result<()>) -> Result<LockGuard> {
    let path = root.join("locks").join(Digest::of(name).hex());
    loop {
        let file = open(&path)?;
        lock(&file).map_err(Error::io("lock", &path))?;
        if is_current(&file, &path)? {
            return Ok(LockGuard { file, path });
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
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("examine", path)(error)),
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        // Lock files must not pile up. Who waits for this one finds it gone and takes a new one.
        if self.file.try_lock().is_ok() {
            let _already_gone = std::fs::remove_file(&self.path);
        }
    }
}
