//! Cache mounts: directories that outlive builds.

use std::path::PathBuf;

use kiln_image::Digest;
use rusqlite::params;

use crate::error::Result;
use crate::{Store, now, temp};

impl Store {
    /// The directory of the cache mount of that name (its whole identity), and whether it is new and empty. `id` is
    /// what people know it by. Callers hold its lock.
    pub fn cache_mount(&self, name: &str, id: &str) -> Result<(PathBuf, bool)> {
        let directory = Digest::of(name).hex();
        let path = self.root.join("cache").join(&directory);
        let new = !path.is_dir();
        if new {
            temp::create_directory(&path)?;
        }
        self.db().execute(
            "INSERT INTO cache_mounts (name, id, directory, used) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET used = excluded.used",
            params![name, id, directory, now()],
        )?;
        Ok((path, new))
    }
}
