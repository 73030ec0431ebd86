//! Cache mounts: directories that outlive builds.

use std::path::{Path, PathBuf};

use kiln_image::Digest;
use rusqlite::params;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::{LayerDir, Store, now};

impl Store {
    /// The directory of the cache mount of that name (its whole identity), if there is one. Callers hold its lock.
    pub fn cache_mount(&self, name: &str) -> Result<Option<PathBuf>> {
        let path = self.cache_path(name);
        if !path.is_dir() {
            return Ok(None);
        }
        self.db()
            .execute("UPDATE cache_mounts SET used = ? WHERE name = ?", params![now(), name])?;
        Ok(Some(path))
    }

    /// Makes what is in `directory` the cache mount of that name and gives its path. If somebody else was faster, theirs
    /// stays. `id` is what people know it by.
    pub fn commit_cache_mount(&self, directory: &LayerDir, name: &str, id: &str) -> Result<PathBuf> {
        let path = self.cache_path(name);
        // The row comes first: a directory without one would be swept, and a row without a directory does no harm.
        self.db().execute(
            "INSERT OR REPLACE INTO cache_mounts (name, id, directory, used) VALUES (?, ?, ?, ?)",
            params![name, id, file_name(&path), now()],
        )?;
        match renameat_with(CWD, directory.fs(), CWD, &path, RenameFlags::NOREPLACE) {
            Ok(()) | Err(Errno::EXIST) => Ok(path),
            Err(error) => Err(Error::io("rename to", &path)(error.into())),
        }
    }

    fn cache_path(&self, name: &str) -> PathBuf {
        self.root.join("cache").join(Digest::of(name).hex())
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
