//! What steps were made of when they ran, so that two runs can be compared.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::Store;
use crate::error::Result;
use crate::ids::{BuildId, LayerId};
use crate::schema::immediate;
use crate::values::{from_sql, to_sql};

/// A step of a build that ran. What the bytes mean the store does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The build.
    pub build: BuildId,
    /// The step's number in it.
    pub step: usize,
    /// The digest of what it does.
    pub definition: [u8; 32],
    /// Where it stands: the same for the step of another build that stands in the same place.
    pub place: [u8; 32],
    /// What it is called: the same for steps with the same words, wherever they stand.
    pub title: [u8; 32],
    /// What it was made of.
    pub inputs: Vec<u8>,
}

/// A run of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRun {
    /// Its number: the greater, the newer.
    pub number: i64,
    /// When it began, in seconds since 1970.
    pub started: i64,
    /// What ran.
    pub run: Run,
    /// What it made, if that is still there.
    pub layer: Option<LayerId>,
}

/// How many runs of each kind are compared.
const NEAREST: i64 = 4;

const COLUMNS: &str = "number, started, build, step, definition, place, title, inputs, layer";

impl Store {
    /// Notes that a step begins to run, with lists of what it reads, each under its digest; gives the run's number.
    pub fn begin_run(&self, run: &Run, listings: &[([u8; 32], Vec<u8>)]) -> Result<i64> {
        let mut db = self.db();
        let transaction = immediate(&mut db)?;
        transaction
            .prepare_cached(
                "INSERT INTO runs (started, build, step, definition, place, title, inputs)
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                crate::now(),
                run.build.0,
                to_sql(run.step as u64),
                run.definition,
                run.place,
                run.title,
                run.inputs,
            ])?;
        let number = transaction.last_insert_rowid();
        for (digest, listing) in listings {
            transaction.execute(
                "INSERT OR IGNORE INTO listings (digest, listing) VALUES (?, ?)",
                params![digest, listing],
            )?;
            transaction.execute(
                "INSERT OR IGNORE INTO run_listings (run, digest) VALUES (?, ?)",
                params![number, digest],
            )?;
        }
        transaction.commit()?;
        Ok(number)
    }

    /// A list of that digest.
    pub fn listing(&self, digest: &[u8; 32]) -> Result<Option<Vec<u8>>> {
        let db = self.db();
        let mut statement = db.prepare_cached("SELECT listing FROM listings WHERE digest = ?")?;
        Ok(statement.query_row([digest], |row| row.get(0)).optional()?)
    }

    /// The run of a build's step; `None` if it did not run, or neither its layer nor its build is remembered.
    pub fn run(&self, build: BuildId, step: usize) -> Result<Option<PastRun>> {
        let db = self.db();
        let query = format!("SELECT {COLUMNS} FROM runs WHERE build = ? AND step = ? ORDER BY number DESC");
        let mut statement = db.prepare_cached(&query)?;
        Ok(statement
            .query_row(params![build.0, to_sql(step as u64)], past_run)
            .optional()?)
    }

    /// The newest runs of that definition that made a layer which is still there.
    pub fn runs_of(&self, definition: &[u8; 32]) -> Result<Vec<PastRun>> {
        let db = self.db();
        let query = format!(
            "SELECT {COLUMNS} FROM runs WHERE definition = ? AND layer IS NOT NULL ORDER BY number DESC LIMIT {NEAREST}"
        );
        let mut statement = db.prepare_cached(&query)?;
        let rows = statement.query_map([definition], past_run)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Runs before `number` that made a layer, which may be gone since, and are like this one: the newest that do the
    /// same, that stand in the same place, and that have the same words. Some may come twice.
    pub fn earlier_runs(&self, number: i64, run: &Run) -> Result<Vec<PastRun>> {
        let db = self.db();
        let mut all = Vec::new();
        for (column, value) in [
            ("definition", &run.definition),
            ("place", &run.place),
            ("title", &run.title),
        ] {
            let query = format!(
                "SELECT {COLUMNS} FROM runs WHERE {column} = ? AND number < ? AND (layer IS NOT NULL OR lost)
                 ORDER BY number DESC LIMIT {NEAREST}"
            );
            let mut statement = db.prepare_cached(&query)?;
            let rows = statement.query_map(params![value, number], past_run)?;
            all.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
        }
        Ok(all)
    }
}

/// Notes what a run made. The layer is in the store.
pub(crate) fn end(db: &Connection, number: i64, layer: &LayerId) -> Result<()> {
    db.prepare_cached("UPDATE runs SET layer = ? WHERE number = ?")?
        .execute(params![layer.as_str(), number])?;
    Ok(())
}

/// Forgets the lists that no run has any more.
pub(crate) fn forget_listings(db: &Connection) -> Result<()> {
    db.execute(
        "DELETE FROM listings WHERE digest NOT IN (SELECT digest FROM run_listings)",
        [],
    )?;
    Ok(())
}

fn past_run(row: &Row<'_>) -> rusqlite::Result<PastRun> {
    Ok(PastRun {
        number: row.get(0)?,
        started: row.get(1)?,
        run: Run {
            build: BuildId(row.get(2)?),
            step: usize::try_from(from_sql(row.get(3)?)).unwrap_or(usize::MAX),
            definition: row.get(4)?,
            place: row.get(5)?,
            title: row.get(6)?,
            inputs: row.get(7)?,
        },
        layer: row
            .get::<_, Option<String>>(8)?
            .and_then(|layer| LayerId::parse(layer).ok()),
    })
}
