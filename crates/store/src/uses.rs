//! What processes use, and what was used when.
//!
//! Who builds holds an [`InUse`]. From then on the names of all layers, blobs and cache mounts that are looked up or made
//! are written into a file in the process's own directory, before it can rely on them; what is named there stays. Who
//! comes after the last one let go begins another file, so that nobody's names go with those of somebody else.
//!
//! Who removes something has the gate closed meanwhile: a lock on the directory `tmp`, which a look-up shares from before
//! it looks until the name is written. So each look-up is over before somebody removes, and what it found is named; or it
//! begins afterwards, and does not find what is gone.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use kiln_image::Digest;
use rusqlite::{Connection, params};

use crate::error::{Error, Result};
use crate::schema::immediate;
use crate::{Key, LayerId, Store, locks, now_in_milliseconds};

/// How files in a process's directory are called that have the names of what it uses.
const EXTENSION: &str = "uses";

/// Something that is used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Use {
    Layer(LayerId),
    Blob(Digest),
    /// The name of its directory.
    CacheMount(String),
    /// Nobody minds if one is gone.
    Record(Key),
}

impl Use {
    /// What it is called among all; `None` for what need not be kept.
    fn name(&self) -> Option<String> {
        match self {
            Self::Layer(id) => Some(of_layer(id.as_str())),
            Self::Blob(digest) => Some(of_blob(&digest.hex())),
            Self::CacheMount(directory) => Some(of_cache_mount(directory)),
            Self::Record(_) => None,
        }
    }
}

pub(crate) fn of_layer(id: &str) -> String {
    format!("layer {id}")
}

pub(crate) fn of_blob(hex: &str) -> String {
    format!("blob {hex}")
}

pub(crate) fn of_cache_mount(directory: &str) -> String {
    format!("cache {directory}")
}

/// Keeps everything that is looked up or made while it lives.
#[derive(Debug, Clone)]
pub struct InUse {
    _names: Arc<Names>,
}

/// What this process uses.
#[derive(Debug, Default)]
pub(crate) struct OfProcess {
    names: Mutex<Weak<Names>>,
    /// What was used since that was last written.
    touched: Mutex<HashSet<Use>>,
}

/// A file with names.
#[derive(Debug)]
struct Names {
    path: PathBuf,
    file: File,
    /// The directory `tmp`: whoever has it locked keeps the gate open, or closed.
    gate: File,
    written: Mutex<HashSet<String>>,
}

impl Names {
    /// At a `path` that nobody uses.
    fn create(path: PathBuf, gate: &Path) -> Result<Self> {
        Ok(Self {
            file: File::create_new(&path).map_err(Error::io("create", &path))?,
            gate: File::open(gate).map_err(Error::io("open", gate))?,
            path,
            written: Mutex::default(),
        })
    }

    fn write(&self, name: String) -> Result<()> {
        let mut written = lock(&self.written);
        if !written.contains(&name) {
            let line = format!("{name}\n");
            (&self.file)
                .write_all(line.as_bytes())
                .map_err(Error::io("write", &self.path))?;
            written.insert(name);
        }
        Ok(())
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        // It goes with the directory at the latest.
        let _goes_later = std::fs::remove_file(&self.path);
    }
}

/// The database while something is looked up.
pub(crate) struct LookUp<'a> {
    db: MutexGuard<'a, Connection>,
    store: &'a Store,
    names: Option<Arc<Names>>,
}

impl LookUp<'_> {
    /// Says that what was found will be used.
    pub(crate) fn uses(&self, found: Use) -> Result<()> {
        self.keeps(&found)?;
        if self.names.is_some() {
            lock(&self.store.uses.touched).insert(found);
        }
        Ok(())
    }

    /// Says that what was found is to stay, though that is no use of it.
    pub(crate) fn keeps(&self, found: &Use) -> Result<()> {
        match (&self.names, found.name()) {
            (Some(names), Some(name)) => names.write(name),
            _ => Ok(()),
        }
    }
}

impl Deref for LookUp<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.db
    }
}

impl Drop for LookUp<'_> {
    fn drop(&mut self) {
        if let Some(names) = &self.names {
            // It is locked, so unlocking cannot fail.
            let _unlocked = names.gate.unlock();
        }
    }
}

impl Store {
    /// Keeps everything that is looked up or made in the store while one of the guards lives, whatever other processes
    /// remove in the meantime. Whatever looks up layers or blobs to use them holds one.
    pub fn in_use(&self) -> Result<InUse> {
        let mut names = lock(&self.uses.names);
        if let Some(names) = names.upgrade() {
            return Ok(InUse { _names: names });
        }
        let path = self.temp()?.name()?.with_extension(EXTENSION);
        let created = Arc::new(Names::create(path, &self.root.join("tmp"))?);
        *names = Arc::downgrade(&created);
        Ok(InUse { _names: created })
    }

    /// For looking something up that will be used. Nothing is removed meanwhile.
    pub(crate) fn look_up(&self) -> Result<LookUp<'_>> {
        let db = self.db();
        let names = lock(&self.uses.names).upgrade();
        if let Some(names) = &names {
            // The database is this thread's alone, so no other of the process has the lock at the same time.
            locks::shared(&names.gate).map_err(Error::io("lock", self.root.join("tmp")))?;
        }
        Ok(LookUp { db, store: self, names })
    }

    /// Says that something will be used that is about to be made.
    pub(crate) fn uses(&self, made: Use) -> Result<()> {
        self.look_up()?.uses(made)
    }

    /// Closes the gate. The caller has the database, so that no thread of this process is looking something up.
    pub(crate) fn close_gate(&self) -> Result<File> {
        let path = self.root.join("tmp");
        let gate = File::open(&path).map_err(Error::io("open", &path))?;
        locks::alone(&gate).map_err(Error::io("lock", &path))?;
        Ok(gate)
    }

    /// The names of what all processes use, and the names of the processes. The gate is closed.
    pub(crate) fn all_uses(&self) -> Result<(HashSet<String>, Vec<String>)> {
        let (mut uses, mut processes) = (HashSet::new(), Vec::new());
        for (path, process) in self.processes()? {
            add_uses_of(&path, &mut uses)?;
            processes.push(process);
        }
        Ok((uses, processes))
    }

    /// The directories of all processes, and their names; locks among them.
    fn processes(&self) -> Result<Vec<(PathBuf, String)>> {
        let parent = self.root.join("tmp");
        let entries = std::fs::read_dir(&parent).map_err(Error::io("read", &parent))?;
        let process = |entry: std::fs::DirEntry| (entry.path(), entry.file_name().to_string_lossy().into_owned());
        entries
            .map(|entry| entry.map(process).map_err(Error::io("read", &parent)))
            .collect()
    }

    /// Whether another process uses a layer at this moment.
    pub fn is_used_by_others(&self, layer: &LayerId) -> Result<bool> {
        let own = self.process()?;
        let mut uses = HashSet::new();
        for (path, _) in self.processes()?.into_iter().filter(|(_, name)| *name != own) {
            add_uses_of(&path, &mut uses)?;
        }
        Ok(uses.contains(&of_layer(layer.as_str())))
    }

    /// Writes down that what this process used was used now. Once for all of it: look-ups must cost nothing.
    pub(crate) fn write_uses(&self) -> Result<()> {
        let touched = std::mem::take(&mut *lock(&self.uses.touched));
        if touched.is_empty() {
            return Ok(());
        }
        let now = now_in_milliseconds();
        let mut db = self.db();
        let transaction = immediate(&mut db)?;
        for used in touched {
            let update = |query: &str, name: &dyn rusqlite::ToSql| -> Result<()> {
                transaction.prepare_cached(query)?.execute(params![now, name])?;
                Ok(())
            };
            match used {
                Use::Layer(id) => update("UPDATE layers SET used = ? WHERE id = ?", &id.as_str())?,
                Use::Blob(digest) => update("UPDATE blobs SET used = ? WHERE digest = ?", &digest.hex())?,
                Use::CacheMount(directory) => {
                    update("UPDATE cache_mounts SET used = ? WHERE directory = ?", &directory)?;
                }
                Use::Record(key) => update("UPDATE records SET used = ? WHERE key = ?", key.as_bytes())?,
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

/// Adds what a process uses; nothing where `process` is a lock, or gone.
fn add_uses_of(process: &Path, uses: &mut HashSet<String>) -> Result<()> {
    let Some(entries) = unless_absent(std::fs::read_dir(process), process)? else {
        return Ok(());
    };
    for entry in entries {
        let Some(entry) = unless_absent(entry, process)? else {
            break;
        };
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            // One that is gone by now named what is used no longer.
            let names = unless_absent(std::fs::read_to_string(&path), &path)?.unwrap_or_default();
            uses.extend(names.lines().map(str::to_owned));
        }
    }
    Ok(())
}

fn unless_absent<T>(read: io::Result<T>, path: &Path) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever let go last removes a file only after another may have begun anew.
    #[test]
    fn names_do_not_go_with_those_of_somebody_else() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let last = store.in_use().unwrap();
        // What others find between the last reference to the names and the removal of their file.
        *lock(&store.uses.names) = Weak::new();
        let next = store.in_use().unwrap();
        let layer = LayerId::random().unwrap();
        store.uses(Use::Layer(layer.clone())).unwrap();
        drop(last);
        assert!(store.all_uses().unwrap().0.contains(&of_layer(layer.as_str())));
        drop(next);
        assert_eq!(store.all_uses().unwrap().0, HashSet::new());
    }
}
