//! Steps that write to cache mounts. Each is noted when it begins, and the note goes when it ended by itself: one that stays
//! when its build is over is of a step that was killed.

use rusqlite::params;

use crate::error::{Error, Result};
use crate::ids::BuildId;
use crate::schema::immediate;
use crate::values::{from_sql, to_sql};
use crate::{Store, builds, tree};

/// A step of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MountStep {
    /// The build.
    pub build: BuildId,
    /// Its number in the build.
    pub step: usize,
}

impl Store {
    /// Notes that a step begins to write to a cache mount, and gives who else did so, if it is the first time for this
    /// writer: then one may leave what the other cannot use. A writer is what the step runs on; what the text means the
    /// store does not know.
    pub fn enter_cache_mount(&self, name: &str, step: MountStep, writer: &str) -> Result<Vec<String>> {
        let mut db = self.db();
        let transaction = immediate(&mut db)?;
        transaction
            .prepare_cached("INSERT OR IGNORE INTO cache_mount_steps (name, build, step) VALUES (?, ?, ?)")?
            .execute(params![name, step.build.0, to_sql(step.step as u64)])?;
        let is_new = transaction
            .prepare_cached("INSERT OR IGNORE INTO cache_mount_writers (name, writer) VALUES (?, ?)")?
            .execute([name, writer])?
            > 0;
        let others = if is_new {
            let query = "SELECT writer FROM cache_mount_writers WHERE name = ? AND writer <> ? ORDER BY writer";
            let mut statement = transaction.prepare_cached(query)?;
            let others = statement.query_map([name, writer], |row| row.get(0))?;
            others.collect::<rusqlite::Result<_>>()?
        } else {
            Vec::new()
        };
        transaction.commit()?;
        Ok(others)
    }

    /// The steps that were killed while they wrote to a cache mount, as far as no later one was well with what they left.
    pub fn killed_mount_steps(&self, name: &str) -> Result<Vec<MountStep>> {
        let noted: Vec<MountStep> = {
            let db = self.db();
            let mut statement = db.prepare_cached("SELECT build, step FROM cache_mount_steps WHERE name = ?")?;
            let rows = statement.query_map([name], |row| {
                Ok(MountStep {
                    build: BuildId(row.get(0)?),
                    step: usize::try_from(from_sql(row.get(1)?)).unwrap_or(0),
                })
            })?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        let mut killed = Vec::with_capacity(noted.len());
        for step in noted {
            if self.try_lock_key_shared(&builds::running(step.build))?.is_some() {
                killed.push(step);
            }
        }
        Ok(killed)
    }

    /// Measures a cache mount that was written to, and makes room if it grew beyond the cap. Forgets the notes of the steps
    /// that are `over`.
    pub fn leave_cache_mount(&self, name: &str, over: &[MountStep]) -> Result<()> {
        let path = self.cache_path(name);
        let disk = tree::measure(&path).map_err(Error::io("measure", &path))?;
        {
            let mut db = self.db();
            let transaction = immediate(&mut db)?;
            transaction
                .prepare_cached("UPDATE cache_mounts SET disk = ? WHERE name = ? AND disk <> ?1")?
                .execute(params![to_sql(disk), name])?;
            for step in over {
                transaction
                    .prepare_cached("DELETE FROM cache_mount_steps WHERE name = ? AND build = ? AND step = ?")?
                    .execute(params![name, step.build.0, to_sql(step.step as u64)])?;
            }
            transaction.commit()?;
        }
        self.settle();
        Ok(())
    }
}
