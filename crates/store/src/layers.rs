//! Layers: directories in the format of an overlay's upper directory, and what is known of them.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use kiln_image::Digest;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::error::{Error, Result};
use crate::ids::{Key, LayerId};
use crate::records::{self, Record};
use crate::schema::immediate;
use crate::uses::Use;
use crate::values::{from_sql, parse_digest, to_sql};
use crate::{Store, families, now, now_in_milliseconds, runs, temp, tree};

/// A layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its name.
    pub id: LayerId,
    /// Bytes of its files.
    pub size: u64,
    /// Bytes that they have on disk, but for those that another layer has too.
    pub disk: u64,
    /// The digest of its tar, once somebody asked for it.
    pub diff_id: Option<Digest>,
    /// Bytes of that tar, if it was made here of the layer's files: then it is made the same again.
    pub tar_size: Option<u64>,
    /// Its compressed forms.
    pub blobs: Vec<LayerBlob>,
    /// Seconds since 1970.
    pub created: i64,
}

/// A compressed form of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerBlob {
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// Its media type.
    pub media_type: String,
}

/// What is known of a layer when it is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LayerInfo {
    /// Bytes of its files.
    pub size: u64,
    /// Bytes that they have on disk, but for those that another layer has too.
    pub disk: u64,
    /// That layer.
    pub shares_with: Option<LayerId>,
    /// The digest of its tar.
    pub diff_id: Option<Digest>,
    /// When it was made, in seconds since 1970; now where not given.
    pub created: Option<i64>,
}

/// A layer that is being made. Dropped without [`LayerDir::commit`] it is gone.
#[derive(Debug)]
pub struct LayerDir {
    path: PathBuf,
    remover: temp::Remover,
}

impl LayerDir {
    /// The directory that becomes the layer.
    pub fn fs(&self) -> PathBuf {
        self.path.join("fs")
    }

    /// An empty directory on the same file system, for an overlay's work.
    pub fn work(&self) -> PathBuf {
        self.path.join("work")
    }
}

impl Drop for LayerDir {
    fn drop(&mut self) {
        self.remover.remove(std::mem::take(&mut self.path));
    }
}

impl Store {
    /// Where a layer is, or would be.
    pub fn layer_path(&self, id: &LayerId) -> PathBuf {
        self.root.join("layers").join(id.as_str())
    }

    /// Begins a layer.
    pub fn new_layer(&self) -> Result<LayerDir> {
        let temp = self.temp()?;
        let path = temp.name()?;
        temp::create_directory(&path)?;
        let directory = LayerDir {
            path,
            remover: temp.remover(),
        };
        temp::create_directory(&directory.fs())?;
        temp::create_directory(&directory.work())?;
        set_mode(&directory.fs())?;
        Ok(directory)
    }

    /// Makes a directory part of the store. If there is a layer of that name already, that one stays.
    pub fn commit_layer(&self, directory: &LayerDir, id: &LayerId, info: &LayerInfo) -> Result<()> {
        self.commit(directory, id, info, |_| Ok(()))
    }

    /// The same for the layer that a step made, and notes that under the step's keys and at its [run](Self::begin_run).
    pub fn commit_step(
        &self,
        directory: &LayerDir,
        info: &LayerInfo,
        (keys, record): (&[Key], &Record),
        run: i64,
    ) -> Result<()> {
        self.commit(directory, &record.layer, info, |db| {
            keys.iter().try_for_each(|key| records::put(db, key, record))?;
            runs::end(db, run, &record.layer)
        })
    }

    /// Makes a directory part of the store, and does what belongs to that in the same transaction.
    fn commit(
        &self,
        directory: &LayerDir,
        id: &LayerId,
        info: &LayerInfo,
        then: impl FnOnce(&Connection) -> Result<()>,
    ) -> Result<()> {
        self.uses(Use::Layer(id.clone()))?;
        let target = self.layer_path(id);
        let leftover = self.temp()?.name()?;
        // The transaction keeps other processes from committing a layer of the same name at the same time.
        let mut db = self.db();
        let transaction = immediate(&mut db)?;
        let is_found = target.is_dir();
        if !(is_found && is_trusted(&transaction, id)?) {
            if is_found {
                // Left over from a process that died before its transaction ended, or from a power failure.
                std::fs::rename(&target, &leftover).map_err(Error::io("rename", &target))?;
            }
            std::fs::rename(directory.fs(), &target).map_err(Error::io("rename to", &target))?;
            insert(&transaction, id, info)?;
        }
        then(&transaction)?;
        transaction.commit()?;
        drop(db);
        // What cannot be removed now goes with the process's directory.
        let _swept_later = tree::remove(&leftover);
        self.settle();
        Ok(())
    }

    /// What is known of a layer; `None` if there is none, or if its files may not have survived a power failure.
    pub fn layer(&self, id: &LayerId) -> Result<Option<Layer>> {
        if !self.layer_path(id).is_dir() {
            return Ok(None);
        }
        let db = self.look_up()?;
        let row = db
            .prepare_cached(
                "SELECT size, diff_id, tar_size, created, durable OR boot = ?2, disk FROM layers WHERE id = ?1",
            )?
            .query_row(params![id.as_str(), boot_id()], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, Option<String>>(1)?,
                    row.get::<_, Option<i64>>(2)?,
                    row.get::<_, i64>(3)?,
                    row.get::<_, bool>(4)?,
                    row.get::<_, i64>(5)?,
                ))
            })
            .optional()?;
        let Some((size, diff_id, tar_size, created, true, disk)) = row else {
            return Ok(None);
        };
        db.uses(Use::Layer(id.clone()))?;
        let mut statement = db.prepare_cached("SELECT digest, size, media_type FROM layer_blobs WHERE layer = ?")?;
        let rows = statement.query_map([id.as_str()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get(2)?))
        })?;
        let mut blobs = Vec::new();
        for row in rows {
            let (digest, size, media_type) = row?;
            blobs.push(LayerBlob {
                digest: parse_digest(&digest)?,
                size: from_sql(size),
                media_type,
            });
        }
        // A blob may have been removed to make room. Whoever uses one says so by [`Store::has_blob`].
        blobs.retain(|blob| self.blob_path(&blob.digest).exists());
        let diff_id = diff_id.as_deref().map(parse_digest).transpose()?;
        Ok(Some(Layer {
            id: id.clone(),
            size: from_sql(size),
            disk: from_sql(disk),
            diff_id,
            tar_size: tar_size.map(from_sql),
            blobs,
            created,
        }))
    }

    /// Remembers the digest and the size of a layer's tar.
    pub fn set_layer_diff_id(&self, id: &LayerId, diff_id: &Digest, tar_size: u64) -> Result<()> {
        let db = self.db();
        let mut statement = db.prepare_cached("UPDATE layers SET diff_id = ?, tar_size = ? WHERE id = ?")?;
        statement.execute(params![diff_id.to_string(), to_sql(tar_size), id.as_str()])?;
        Ok(())
    }

    /// Remembers a compressed form of a layer, whose blob is in the store.
    pub fn add_layer_blob(&self, id: &LayerId, digest: &Digest, size: u64, media_type: &str) -> Result<()> {
        let db = self.db();
        let mut statement = db.prepare_cached(
            "INSERT OR REPLACE INTO layer_blobs (layer, digest, size, media_type) VALUES (?, ?, ?, ?)",
        )?;
        statement.execute(params![id.as_str(), digest.to_string(), to_sql(size), media_type])?;
        Ok(())
    }

    /// Waits until everything that was committed before is on the disk, if some of it was committed `age` ago or earlier.
    ///
    /// A sync waits for all that anybody wrote to the file system, so it is kept from builds that follow quickly; what is
    /// older than half a minute the kernel has mostly written by itself. While much is still to be written, whoever it
    /// is from, it waits for better times, if they come within [`PATIENCE`]. With an `age` of zero nothing is waited for.
    pub fn make_durable(&self, age: Duration) -> Result<()> {
        // A layer that is pruned and made again meanwhile would not be covered by this sync.
        let _in_use = self.in_use()?;
        let older_than = |age: Duration| self.not_durable(now().saturating_sub_unsigned(age.as_secs()));
        let mut before = older_than(age)?;
        let may_wait = (1..PATIENCE.as_secs()).contains(&age.as_secs());
        if may_wait && !before.is_empty() && unwritten() > MUCH {
            before = older_than(PATIENCE)?;
        }
        if before.is_empty() {
            return Ok(());
        }
        let root = std::fs::File::open(&self.root).map_err(Error::io("open", &self.root))?;
        rustix::fs::syncfs(&root).map_err(|error| Error::io("sync", &self.root)(error.into()))?;
        let mut db = self.db();
        let transaction = immediate(&mut db)?;
        for id in before {
            transaction.execute("UPDATE layers SET durable = 1 WHERE id = ?", [id.as_str()])?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// All layers that may not be on the disk yet, which stay from now on; none if none of them is as old as `due`.
    fn not_durable(&self, due: i64) -> Result<Vec<LayerId>> {
        let db = self.look_up()?;
        let mut statement = db.prepare("SELECT id, created FROM layers WHERE durable = 0 AND boot = ?")?;
        let found: Vec<(String, i64)> = statement
            .query_map([boot_id()], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        if found.iter().all(|(_, created)| *created > due) {
            return Ok(Vec::new());
        }
        let keep = |(id, _)| {
            let id = LayerId::parse(id)?;
            db.keeps(&Use::Layer(id.clone()))?;
            Ok(id)
        };
        found.into_iter().map(keep).collect()
    }
}

/// How long a sync may be put off.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a sync may have to write, in bytes: a fraction of a second of a slow disk.
const MUCH: u64 = 32 << 20;

/// Bytes that the kernel has not written to any disk yet; 0 where it does not tell.
fn unwritten() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kibibytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    let all = ["Dirty:", "Writeback:"].into_iter().filter_map(kibibytes);
    all.sum::<u64>() << 10
}

/// Notes a layer whose files are in their place.
fn insert(db: &Connection, id: &LayerId, info: &LayerInfo) -> Result<()> {
    let diff_id = info.diff_id.map(|digest| digest.to_string());
    let created = info.created.unwrap_or_else(now);
    db.prepare_cached(
        "INSERT INTO layers (id, size, disk, diff_id, created, used, boot) VALUES (?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET size = excluded.size, disk = excluded.disk, diff_id = excluded.diff_id,
             tar_size = NULL, created = excluded.created, used = excluded.used, boot = excluded.boot, durable = 0",
    )?
    .execute(params![
        id.as_str(),
        to_sql(info.size),
        to_sql(info.disk),
        diff_id,
        created,
        now_in_milliseconds(),
        boot_id()
    ])?;
    if let Some(other) = &info.shares_with {
        families::join(db, id, other)?;
    }
    Ok(())
}

/// Whether there is a row of the layer, and its files are sure to be those that were committed.
fn is_trusted(db: &Connection, id: &LayerId) -> Result<bool> {
    let trusted = db
        .prepare_cached("SELECT durable OR boot = ?2 FROM layers WHERE id = ?1")?
        .query_row(params![id.as_str(), boot_id()], |row| row.get(0))
        .optional()?;
    Ok(trusted.unwrap_or(false))
}

/// The root of a file tree is everybody's to enter; the directory above it is not.
fn set_mode(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
        .map_err(Error::io("change the mode of", path))
}

/// Differs after each start of the machine; the same for all where the kernel does not tell.
pub(crate) fn boot_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .unwrap_or_default()
            .trim()
            .to_owned()
    })
}
