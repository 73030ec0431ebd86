//! Where the steps of a build ran, and what those left that failed: for who wants to look around there.

use rusqlite::{OptionalExtension as _, params};

use crate::contents::{Item, Kind, Need, strings};
use crate::error::Result;
use crate::ids::{BuildId, LayerId};
use crate::layers::{LayerDir, LayerInfo};
use crate::upkeep::Scope;
use crate::values::{from_sql, to_sql};
use crate::{Store, now};

/// How many failed steps are kept, the newest of them, and for how long, in seconds.
const KEPT: i64 = 3;
const WEEK: i64 = 7 * 24 * 60 * 60;

impl Store {
    /// Notes where the steps of a build ran. What the bytes mean the store does not know.
    pub fn put_places(&self, build: BuildId, places: &[u8]) -> Result<()> {
        let db = self.db();
        db.prepare_cached("INSERT OR REPLACE INTO places (build, content) VALUES (?, ?)")?
            .execute(params![build.0, places])?;
        Ok(())
    }

    /// What was noted of a build's steps, if anything was.
    pub fn places(&self, build: BuildId) -> Result<Option<Vec<u8>>> {
        let db = self.db();
        let mut statement = db.prepare_cached("SELECT content FROM places WHERE build = ?")?;
        Ok(statement.query_row([build.0], |row| row.get(0)).optional()?)
    }

    /// Keeps what a step wrote that failed, as a layer which no other step finds. It goes when three others were kept since, in
    /// a week, with its build, or when room is needed.
    pub fn keep_failed(&self, build: BuildId, step: usize, directory: &LayerDir, info: &LayerInfo) -> Result<LayerId> {
        let layer = LayerId::random()?;
        self.commit_layer(directory, &layer, info)?;
        self.db().execute(
            "INSERT OR REPLACE INTO failed_steps (build, step, layer) VALUES (?, ?, ?)",
            params![build.0, to_sql(step as u64), layer.as_str()],
        )?;
        self.forget_failed(0)?;
        Ok(layer)
    }

    /// What a step left that failed, if it was kept.
    pub fn failed_layer(&self, build: BuildId, step: usize) -> Result<Option<LayerId>> {
        let found: Option<String> = {
            let db = self.db();
            let mut statement = db.prepare_cached("SELECT layer FROM failed_steps WHERE build = ? AND step = ?")?;
            statement
                .query_row(params![build.0, to_sql(step as u64)], |row| row.get(0))
                .optional()?
        };
        found.map(LayerId::parse).transpose()
    }

    /// The last step that failed and was kept, of all builds or of one.
    pub fn last_failed(&self, build: Option<BuildId>) -> Result<Option<(BuildId, usize)>> {
        let db = self.db();
        let mut statement = db.prepare_cached(
            "SELECT build, step FROM failed_steps WHERE ?1 IS NULL OR build = ?1 ORDER BY build DESC, step LIMIT 1",
        )?;
        let row = statement.query_row([build.map(|build| build.0)], |row| {
            let step = usize::try_from(from_sql(row.get(1)?)).unwrap_or(0);
            Ok((BuildId(row.get(0)?), step))
        });
        Ok(row.optional()?)
    }

    /// Removes what has been kept long enough, and of builds up to that number.
    pub(crate) fn forget_failed(&self, last: i64) -> Result<()> {
        let old = {
            let db = self.db();
            let query = format!(
                "SELECT layer FROM failed_steps JOIN builds ON builds.id = build
                 WHERE build <= {last} OR started < {} UNION
                 SELECT layer FROM (SELECT layer FROM failed_steps ORDER BY build DESC, step LIMIT -1 OFFSET {KEPT})",
                now() - WEEK
            );
            strings(&db, &query)?
        };
        if old.is_empty() {
            return Ok(());
        }
        let goes = |item: &Item| item.kind == Kind::Layer && item.need < Need::InUse && old.contains(&item.id);
        self.remove(|items, _| items.into_iter().filter(goes).collect(), Scope::Chosen)?;
        Ok(())
    }
}
