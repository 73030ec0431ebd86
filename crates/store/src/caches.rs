//! Cache mounts: directories that outlive builds.

use std::fmt;
use std::path::{Path, PathBuf};

use kiln_image::Digest;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::contents::{Item, Kind, Need};
use crate::error::{Error, Result};
use crate::upkeep::{Pruned, Scope};
use crate::uses::Use;
use crate::{LayerDir, Store, now, now_in_milliseconds, tree};

/// What people know a cache mount by. As text `ID`, or `ID#KEY`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MountId {
    /// The `id` of the Dockerfile, or what stands for it.
    pub id: String,
    /// What tells it from the others with that `id`; empty where it has no `key`.
    pub key: String,
}

impl MountId {
    /// Whether a text means this mount: by its whole name, or with all others of its `id`.
    pub fn is_meant_by(&self, text: &str) -> bool {
        self.id == text || self.to_string() == text
    }
}

impl fmt::Display for MountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        if self.key.is_empty() {
            return Ok(());
        }
        write!(f, "#{}", self.key)
    }
}

impl Store {
    /// The directory of the cache mount of that name (its whole identity), if there is one. Callers hold its lock.
    pub fn cache_mount(&self, name: &str) -> Result<Option<PathBuf>> {
        let path = self.cache_path(name);
        let leftover = self.temp()?.name()?;
        let db = self.look_up()?;
        if !path.is_dir() {
            return Ok(None);
        }
        if !is_known(&db, name)? && discard(&db, name, &path, &leftover)? {
            drop(db);
            // What cannot be removed now goes with the process's directory.
            let _swept_later = tree::remove(&leftover);
            return Ok(None);
        }
        db.uses(Use::CacheMount(file_name(&path)))?;
        Ok(Some(path))
    }

    /// Makes what is in `directory` the cache mount of that name, measures it, and gives its path. If somebody else was
    /// faster, theirs stays. `id` is what people know it by.
    pub fn commit_cache_mount(&self, directory: &LayerDir, name: &str, id: &MountId) -> Result<PathBuf> {
        let path = self.cache_path(name);
        self.uses(Use::CacheMount(file_name(&path)))?;
        // The row comes first: a directory without one would be swept, and a row without a directory does no harm.
        self.db().execute(
            "INSERT INTO cache_mounts (name, id, key, directory, created, used) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT (name) DO UPDATE SET used = excluded.used",
            params![name, id.id, id.key, file_name(&path), now(), now_in_milliseconds()],
        )?;
        match renameat_with(CWD, directory.fs(), CWD, &path, RenameFlags::NOREPLACE) {
            Ok(()) => {
                self.leave_cache_mount(name, &[])?;
                Ok(path)
            }
            Err(Errno::EXIST) => Ok(path),
            Err(error) => Err(Error::io("rename to", &path)(error.into())),
        }
    }

    /// The names of all cache mounts, and what people know them by.
    pub fn cache_mounts(&self) -> Result<Vec<(String, MountId)>> {
        let db = self.db();
        let mut statement = db.prepare("SELECT name, id, key FROM cache_mounts ORDER BY id, key, name")?;
        let rows = statement.query_map([], |row| {
            let (id, key) = (row.get(1)?, row.get(2)?);
            Ok((row.get(0)?, MountId { id, key }))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Removes the cache mounts that nobody uses and that `may_go`.
    pub fn remove_cache_mounts(&self, may_go: impl Fn(&Item) -> bool) -> Result<Pruned> {
        let goes = |item: &Item| item.kind == Kind::CacheMount && item.need < Need::InUse && may_go(item);
        self.remove(|items, _| items.into_iter().filter(goes).collect(), Scope::Chosen)
    }

    pub(crate) fn cache_path(&self, name: &str) -> PathBuf {
        self.root.join("cache").join(Digest::of(name).hex())
    }
}

/// Moves a directory away that a process left which was killed while it pruned. False if somebody made the mount
/// meanwhile: then there is a row, which comes first.
fn discard(db: &Connection, name: &str, path: &Path, leftover: &Path) -> Result<bool> {
    let transaction = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
    if is_known(&transaction, name)? {
        return Ok(false);
    }
    match std::fs::rename(path, leftover) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("rename", path)(error)),
        _ => Ok(true),
    }
}

fn is_known(db: &Connection, name: &str) -> Result<bool> {
    let mut statement = db.prepare_cached("SELECT 1 FROM cache_mounts WHERE name = ?")?;
    Ok(statement.exists([name])?)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
