//! Unfinished things. Each process has one directory below `tmp/`, with a lock file that it holds: where the lock
//! can be had, the process is dead and the directory is removed.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::ids::random_name;

const LOCK: &str = "lock";

/// A directory without lock file may be about to get one; this old, its maker is dead.
const NEWBORN: Duration = Duration::from_secs(60);

/// A process's own directory.
#[derive(Debug)]
pub(crate) struct TempRoot {
    path: PathBuf,
    _lock: File,
}

impl TempRoot {
    pub(crate) fn create(parent: &Path) -> Result<Self> {
        let path = parent.join(random_name()?);
        create_directory(&path)?;
        let lock = path.join(LOCK);
        let file = File::create(&lock).map_err(Error::io("create", &lock))?;
        file.lock().map_err(Error::io("lock", &lock))?;
        Ok(Self { path, _lock: file })
    }

    /// A name in it that nobody uses.
    pub(crate) fn name(&self) -> Result<PathBuf> {
        Ok(self.path.join(random_name()?))
    }
}

impl Drop for TempRoot {
    fn drop(&mut self) {
        // What cannot be removed now is left to the next sweep.
        let _swept_later = std::fs::remove_dir_all(&self.path);
    }
}

pub(crate) fn create_directory(path: &Path) -> Result<()> {
    DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(Error::io("create", path))
}

/// Removes the directories of processes that are dead.
pub(crate) fn sweep(parent: &Path) -> Result<()> {
    for entry in std::fs::read_dir(parent).map_err(Error::io("read", parent))? {
        let path = entry.map_err(Error::io("read", parent))?.path();
        if is_abandoned(&path) {
            let _swept_later = std::fs::remove_dir_all(&path);
        }
    }
    Ok(())
}

fn is_abandoned(path: &Path) -> bool {
    if let Ok(lock) = File::open(path.join(LOCK)) {
        return lock.try_lock().is_ok();
    }
    let age = std::fs::symlink_metadata(path)
        .and_then(|meta| meta.modified())
        .map(|time| time.elapsed().unwrap_or_default());
    age.is_ok_and(|age| age > NEWBORN)
}
