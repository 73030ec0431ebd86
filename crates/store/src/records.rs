//! What steps came to, by key.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::error::Result;
use crate::ids::{BuildId, Key, LayerId};
use crate::uses::Use;
use crate::values::{from_sql, to_sql};
use crate::{Store, now, now_in_milliseconds};

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The layer that it made.
    pub layer: LayerId,
    /// The build that ran it.
    pub build: BuildId,
    /// The step as shown to people.
    pub name: String,
    /// Seconds since 1970.
    pub created: i64,
    /// How long it ran.
    pub duration: Duration,
}

impl Record {
    /// A record of something that happened now.
    pub fn new(layer: LayerId, build: BuildId, name: &str, duration: Duration) -> Self {
        Self {
            layer,
            build,
            name: name.to_owned(),
            created: now(),
            duration,
        }
    }
}

impl Store {
    /// The record of that key.
    pub fn record(&self, key: &Key) -> Result<Option<Record>> {
        let db = self.look_up()?;
        let mut statement =
            db.prepare_cached("SELECT layer, build, name, created, duration_ms FROM records WHERE key = ?")?;
        let row = statement
            .query_row([key.as_bytes()], |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get::<_, i64>(4)?,
                ))
            })
            .optional()?;
        if row.is_some() {
            db.uses(Use::Record(*key))?;
        }
        row.map(|(layer, build, name, created, milliseconds)| {
            let duration = Duration::from_millis(from_sql(milliseconds));
            Ok(Record {
                layer: LayerId::parse(layer)?,
                build: BuildId(build),
                name,
                created,
                duration,
            })
        })
        .transpose()
    }

    /// The keys of a layer's records, and what they say of it.
    pub fn records_of(&self, layer: &LayerId) -> Result<Vec<(Key, Record)>> {
        let keys: Vec<[u8; 32]> = {
            let db = self.db();
            let mut statement = db.prepare_cached("SELECT key FROM records WHERE layer = ? ORDER BY key")?;
            let rows = statement.query_map([layer.as_str()], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        let mut found = Vec::new();
        for key in keys.into_iter().map(Key::from) {
            // Another process may have forgotten it meanwhile.
            found.extend(self.record(&key)?.map(|record| (key, record)));
        }
        Ok(found)
    }

    /// Writes a record, in the place of an earlier one.
    pub fn put_record(&self, key: &Key, record: &Record) -> Result<()> {
        put(&self.db(), key, record)
    }
}

/// See [`Store::put_record`].
pub(crate) fn put(db: &Connection, key: &Key, record: &Record) -> Result<()> {
    let milliseconds = to_sql(u64::try_from(record.duration.as_millis()).unwrap_or(u64::MAX));
    let mut statement = db.prepare_cached(
        "INSERT OR REPLACE INTO records (key, layer, build, name, created, used, duration_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?;
    statement.execute(params![
        key.as_bytes(),
        record.layer.as_str(),
        record.build.0,
        record.name,
        record.created,
        now_in_milliseconds(),
        milliseconds
    ])?;
    Ok(())
}
