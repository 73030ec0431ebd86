//! Blobs, layers, records, cache mounts and locks in one directory, shared by any number of processes at once,
//! without a process of its own.
//!
//! - Immutable content is named by its digest, written to a temporary name, synced, renamed.
//! - Everything else is rows of one `SQLite` database, written after what they point at. A crash leaves at worst
//!   files that no row names; the next sweep removes them.
//! - Locks are `flock`s: the kernel releases them when their process dies.
//! - Layer directories are not synced file by file (that would cost more than most builds). Their rows carry the
//!   kernel's boot ID until a sync has passed over them; a row of an earlier boot without one is dropped, since
//!   the power may have failed before its files reached the disk. See `docs/decisions/layers-synced-in-background.md`.
//!
//! The crate knows nothing of what the bytes mean.

mod blobs;
mod builds;
mod caches;
mod check;
mod contents;
mod damage;
mod downloads;
mod error;
mod families;
mod file_digests;
mod foreign_layers;
mod ids;
mod image_sources;
mod images;
mod indexes;
mod journal;
mod layer_indexes;
mod layers;
mod locks;
mod makers;
mod members;
mod mount_steps;
mod places;
mod records;
mod room;
mod runs;
mod schema;
mod temp;
mod tree;
mod upkeep;
mod uses;
mod values;
mod write_behind;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use kiln_image::Digest;
use rusqlite::Connection;

pub use blobs::BlobWriter;
pub use builds::{Build, BuildResult, BuildStep};
pub use caches::MountId;
pub use check::{Damage, Fault};
pub use contents::{Contents, Item, Kind, Need};
pub use downloads::Download;
pub use error::Error;
pub use file_digests::{FileDigests, FileKey};
pub use ids::{BuildId, Key, LayerId};
pub use image_sources::ImageSource;
pub use images::{Entry, Found, Image};
pub use indexes::ImageIndex;
pub use layers::{Layer, LayerBlob, LayerDir, LayerInfo};
pub use locks::LockGuard;
pub use makers::{Maker, Took};
pub use members::{FoundMember, Member};
pub use mount_steps::MountStep;
pub use records::Record;
pub use room::{Cap, Excess, Room};
pub use runs::{PastRun, Run};
pub use upkeep::{Pruned, Pruning};
pub use uses::InUse;
pub use write_behind::WriteBehind;

use error::Result;

/// An open store.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    connection: Mutex<Connection>,
    temp: OnceLock<temp::TempRoot>,
    cap: Cap,
    room: room::OfProcess,
    uses: uses::OfProcess,
    /// Blobs that this process wrote, or found to be what they were.
    whole: Mutex<HashSet<Digest>>,
    /// Builds that this process runs.
    running: Mutex<HashMap<BuildId, LockGuard>>,
}

impl Store {
    /// Whether there is a store in `root`.
    pub fn is_in(root: &Path) -> bool {
        schema::is_in(root)
    }

    /// Opens the store in `root`, making it if there is none. Costs the same whatever the store's size.
    pub fn open(root: &Path) -> Result<Self> {
        let connection = schema::open(root)?;
        Ok(Self {
            root: root.to_owned(),
            connection: Mutex::new(connection),
            temp: OnceLock::new(),
            cap: Cap::None,
            room: room::OfProcess::default(),
            uses: uses::OfProcess::default(),
            whole: Mutex::default(),
            running: Mutex::default(),
        })
    }

    /// The same, holding no more than that from now on; see [`Store::reserve`].
    #[must_use]
    pub fn with_cap(mut self, cap: Cap) -> Self {
        self.cap = cap;
        self
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file of this process alone, which has no name and is gone when it is closed.
    pub fn scratch_file(&self) -> Result<File> {
        let path = self.temp()?.name()?;
        let file = File::options().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(Error::io("create", &path))?;
        std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        Ok(file)
    }

    /// This process's own directory for unfinished things.
    fn temp(&self) -> Result<&temp::TempRoot> {
        if let Some(temp) = self.temp.get() {
            return Ok(temp);
        }
        let made = temp::TempRoot::create(&self.root.join("tmp"))?;
        Ok(self.temp.get_or_init(|| made))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // What was used last goes last; that it is not known of some does no harm.
        let _unknown = self.write_uses();
    }
}

fn since_1970() -> std::time::Duration {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

/// Seconds since 1970.
fn now() -> i64 {
    i64::try_from(since_1970().as_secs()).unwrap_or(i64::MAX)
}

/// Milliseconds since 1970: how fine uses are told apart.
fn now_in_milliseconds() -> i64 {
    i64::try_from(since_1970().as_millis()).unwrap_or(i64::MAX)
}
