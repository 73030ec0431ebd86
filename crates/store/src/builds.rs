//! Builds of the past, their steps, and what those wrote.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use kiln_image::{Digest, Reference};
use rusqlite::params;

use crate::error::{Error, Result};
use crate::ids::{BuildId, LayerId};
use crate::locks::{self, LockGuard};
use crate::runs::forget_listings;
use crate::schema::immediate;
use crate::values::{from_sql, to_sql};
use crate::{Store, now, temp, tree};

/// How many builds are remembered.
const KEPT: i64 = 50;

/// A build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Its number.
    pub id: BuildId,
    /// Of what.
    pub name: String,
    /// Seconds since 1970.
    pub started: i64,
    /// How it ended; `None` while it runs, or if it was killed.
    pub outcome: Option<String>,
}

/// A step of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildStep {
    /// Its number in the build.
    pub index: usize,
    /// As shown to people.
    pub name: String,
    /// Its first and last line in the Dockerfile.
    pub lines: Option<(u32, u32)>,
    /// How it ended.
    pub outcome: String,
    /// How long after the build's beginning it began, where that is known.
    pub began: Option<Duration>,
    /// How long it took.
    pub duration: Duration,
    /// Of one that was cached: the build that made its layer, and when, in seconds since 1970.
    pub made: Option<(BuildId, i64)>,
    /// Of the same: that layer, which may be gone. `None` in builds of older programs whose record is gone.
    pub layer: Option<LayerId>,
    /// What tells it from all other steps of its Dockerfile, whatever its line.
    pub lineage: Option<[u8; 32]>,
    /// Whether its program ran in an emulator.
    pub emulated: bool,
}

/// What a build came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildResult {
    /// The build.
    pub build: BuildId,
    /// Seconds since 1970 when it began.
    pub started: i64,
    /// The digest of the image's config, or of the index; `None` if nothing was kept but files.
    pub image: Option<Digest>,
    /// Unpacked bytes of all layers.
    pub size: u64,
}

impl Store {
    /// Begins a build: gives it a number, forgets the oldest ones, removes what dead processes left.
    pub fn begin_build(&self, name: &str) -> Result<BuildId> {
        temp::sweep(&self.root.join("tmp"))?;
        let id = self.number_build(name)?;
        self.forget_failed(id.0 - KEPT)?;
        self.forget_builds(id.0 - KEPT)?;
        Ok(id)
    }

    /// Adds the row of a build, and takes the lock that says that it runs before others can see the row.
    fn number_build(&self, name: &str) -> Result<BuildId> {
        let mut db = self.db();
        let transaction = immediate(&mut db)?;
        transaction.execute("INSERT INTO builds (name, started) VALUES (?, ?)", params![name, now()])?;
        let id = BuildId(transaction.last_insert_rowid());
        let lock = self.lock_key(&running(id))?;
        transaction.commit()?;
        self.running().insert(id, lock);
        Ok(id)
    }

    /// Forgets builds up to that number, unless they still run. The row goes last: a build without logs is forgotten
    /// next time, logs without a build would stay.
    fn forget_builds(&self, last: i64) -> Result<()> {
        let old: Vec<i64> = {
            let db = self.db();
            let mut statement = db.prepare_cached("SELECT id FROM builds WHERE id <= ?")?;
            statement
                .query_map([last], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?
        };
        for id in old {
            if let Some(_ended) = locks::try_exclusive(&self.root, &running(BuildId(id)))? {
                let logs = self.logs(BuildId(id));
                tree::remove(&logs).map_err(Error::io("remove", &logs))?;
                let mut db = self.db();
                let transaction = immediate(&mut db)?;
                if transaction.execute("DELETE FROM runs WHERE build = ? AND layer IS NULL", [id])? > 0 {
                    forget_listings(&transaction)?;
                }
                transaction.execute("DELETE FROM builds WHERE id = ?", [id])?;
                transaction.commit()?;
            }
        }
        Ok(())
    }

    /// Says how a build ended, which runs no longer, whatever comes of this.
    pub fn finish_build(&self, id: BuildId, outcome: &str) -> Result<()> {
        let _running_until_the_end = self.running().remove(&id);
        self.write_uses()?;
        let logs = self.logs(id);
        let disk = tree::measure(&logs).map_err(Error::io("measure", &logs))?;
        self.db().execute(
            "UPDATE builds SET outcome = ?, disk = ? WHERE id = ?",
            params![outcome, to_sql(disk), id.0],
        )?;
        Ok(())
    }

    fn running(&self) -> MutexGuard<'_, HashMap<BuildId, LockGuard>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how a step of a build ended.
    pub fn put_step(&self, build: BuildId, step: &BuildStep) -> Result<()> {
        let milliseconds = |time: Duration| to_sql(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let (first, last) = step.lines.unzip();
        let (made_by, made_at) = step.made.map(|(build, at)| (build.0, at)).unzip();
        let db = self.db();
        let mut statement = db.prepare_cached(
            "INSERT OR REPLACE INTO steps
             (build, number, name, outcome, duration_ms, first_line, last_line, made_by, made_at,
              began_ms, lineage, emulated, cached_layer)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        statement.execute(params![
            build.0,
            to_sql(step.index as u64),
            step.name,
            step.outcome,
            milliseconds(step.duration),
            first,
            last,
            made_by,
            made_at,
            step.began.map(milliseconds),
            step.lineage,
            step.emulated,
            step.layer.as_ref().map(LayerId::as_str),
        ])?;
        Ok(())
    }

    /// Says what a build came to, under a name.
    pub fn put_build_result(&self, id: BuildId, name: &Reference, image: Option<&Digest>, size: u64) -> Result<()> {
        let db = self.db();
        let mut statement =
            db.prepare_cached("INSERT OR REPLACE INTO build_results (build, name, image, size) VALUES (?, ?, ?, ?)")?;
        statement.execute(params![
            id.0,
            name.to_string(),
            image.map(ToString::to_string),
            to_sql(size)
        ])?;
        Ok(())
    }

    /// What the builds that are remembered came to under a name, oldest first.
    pub fn build_results(&self, name: &Reference) -> Result<Vec<BuildResult>> {
        let db = self.db();
        let mut statement = db.prepare_cached(
            "SELECT build, started, image, size FROM build_results JOIN builds ON builds.id = build
             WHERE build_results.name = ? ORDER BY build",
        )?;
        let rows = statement.query_map([name.to_string()], |row| {
            Ok(BuildResult {
                build: BuildId(row.get(0)?),
                started: row.get(1)?,
                image: row.get::<_, Option<String>>(2)?.and_then(|image| image.parse().ok()),
                size: from_sql(row.get(3)?),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// All builds that are remembered, newest first.
    pub fn builds(&self) -> Result<Vec<Build>> {
        let db = self.db();
        let mut statement = db.prepare_cached("SELECT id, name, started, outcome FROM builds ORDER BY id DESC")?;
        let rows = statement.query_map([], |row| {
            Ok(Build {
                id: BuildId(row.get(0)?),
                name: row.get(1)?,
                started: row.get(2)?,
                outcome: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The steps of a build, by number.
    pub fn build_steps(&self, build: BuildId) -> Result<Vec<BuildStep>> {
        let db = self.db();
        let mut statement = db.prepare_cached(
            "SELECT number, name, first_line, last_line, outcome, duration_ms, made_by, made_at, began_ms, lineage,
                emulated, cached_layer
             FROM steps WHERE build = ? ORDER BY number",
        )?;
        let rows = statement.query_map([build.0], |row| {
            let lines = row.get::<_, Option<u32>>(2)?.zip(row.get(3)?);
            let made_by: Option<i64> = row.get(6)?;
            let layer: Option<String> = row.get(11)?;
            Ok(BuildStep {
                index: usize::try_from(from_sql(row.get(0)?)).unwrap_or(0),
                name: row.get(1)?,
                lines,
                outcome: row.get(4)?,
                duration: Duration::from_millis(from_sql(row.get(5)?)),
                made: made_by.map(BuildId).zip(row.get(7)?),
                layer: layer.and_then(|layer| LayerId::parse(layer).ok()),
                began: row.get::<_, Option<i64>>(8)?.map(from_sql).map(Duration::from_millis),
                lineage: row.get(9)?,
                emulated: row.get(10)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Where a step's output goes.
    pub fn create_log(&self, build: BuildId, step: usize) -> Result<File> {
        let directory = self.logs(build);
        std::fs::create_dir_all(&directory).map_err(Error::io("create", &directory))?;
        let path = directory.join(format!("{step}.log"));
        File::create(&path).map_err(Error::io("create", &path))
    }

    /// A step's output; `None` if it had none.
    pub fn open_log(&self, build: BuildId, step: usize) -> Result<Option<File>> {
        let path = self.logs(build).join(format!("{step}.log"));
        match File::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("open", &path)(error)),
        }
    }

    fn logs(&self, build: BuildId) -> PathBuf {
        self.root.join("logs").join(build.to_string())
    }
}

/// The name of the lock that a build's process has.
pub(crate) fn running(id: impl std::fmt::Display) -> String {
    format!("build-{id}")
}
