//! Which step of which build made a layer, which layers the steps of a build made, and what that took.

use std::time::Duration;

use rusqlite::{OptionalExtension as _, params};

use crate::Store;
use crate::error::{Error, Result};
use crate::ids::{BuildId, LayerId};
use crate::values::from_sql;

/// Who made a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maker {
    /// The step as shown to people: `[build 2/5] RUN make`.
    pub step: String,
    /// The newest build that is remembered in which it stands.
    pub build: Option<BuildId>,
    /// Of what that build was.
    pub project: Option<String>,
    /// Its first and last line in that build's Dockerfile.
    pub lines: Option<(u32, u32)>,
}

/// A step of a build, with what it took when it ran, in this build or in the one that this one has its layer from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Took {
    /// The build that it stands in.
    pub build: BuildId,
    /// The step as shown to people.
    pub step: String,
    /// How long it ran.
    pub duration: Duration,
    /// Its layer and the unpacked bytes of that; `None` if it is gone, or it had none.
    pub layer: Option<(LayerId, u64)>,
    /// Whether its program ran in an emulator.
    pub emulated: bool,
    /// Whether it ran in this build.
    pub ran: bool,
}

/// A step that ran stands in the build that ran it; one that was cached has its layer by itself.
const IN_BUILDS: &str = "
    SELECT steps.name, steps.build, builds.name, steps.first_line, steps.last_line
    FROM steps JOIN builds ON builds.id = steps.build
    WHERE EXISTS (SELECT 1 FROM runs
                  WHERE runs.layer = ?1 AND runs.build = steps.build AND runs.step = steps.number)
       OR steps.cached_layer = ?1
    ORDER BY steps.build DESC LIMIT 1";

/// The layers of a build's steps that are still there: of those that ran, and of those that were cached.
const OF_BUILD: &str = "
    SELECT steps.name, layers.id, layers.size
    FROM steps JOIN layers ON layers.id = coalesce(
        (SELECT runs.layer FROM runs
         WHERE runs.build = steps.build AND runs.step = steps.number AND runs.layer IS NOT NULL
         ORDER BY runs.number DESC LIMIT 1),
        steps.cached_layer)
    WHERE steps.build = ? ORDER BY steps.number";

/// Of a step that was cached the record says how long it ran (of several records with the same layer any will do), and
/// whether in an emulator the step that ran. What another machine measured does not count.
const TOOK: &str = "
    SELECT steps.build, steps.name, steps.duration_ms, layers.id, layers.size, steps.emulated, 1
    FROM steps LEFT JOIN layers ON layers.id =
        (SELECT runs.layer FROM runs
         WHERE runs.build = steps.build AND runs.step = steps.number AND runs.layer IS NOT NULL
         ORDER BY runs.number DESC LIMIT 1)
    WHERE steps.lineage = ?1 AND steps.outcome = 'done'
    UNION ALL
    SELECT steps.build, steps.name, records.duration_ms, layers.id, layers.size,
        coalesce((SELECT makers.emulated FROM runs
                      JOIN steps AS makers ON makers.build = runs.build AND makers.number = runs.step
                  WHERE runs.layer = steps.cached_layer LIMIT 1), 0),
        0
    FROM steps
        JOIN records ON records.key = (SELECT key FROM records WHERE records.layer = steps.cached_layer LIMIT 1)
        LEFT JOIN layers ON layers.id = steps.cached_layer
    WHERE steps.lineage = ?1 AND steps.outcome = 'cached' AND steps.made_by <> ?2
    ORDER BY 1 DESC, 2";

impl Store {
    /// The steps of that lineage in all builds that are remembered, newest first. One instruction may have several in a build:
    /// one for each platform, and one for what it downloads.
    pub fn took(&self, lineage: &[u8; 32]) -> Result<Vec<Took>> {
        let db = self.db();
        let mut statement = db.prepare_cached(TOOK)?;
        let rows = statement.query_map(params![lineage, BuildId::ELSEWHERE.0], |row| {
            let took = Took {
                build: BuildId(row.get(0)?),
                step: row.get(1)?,
                duration: Duration::from_millis(from_sql(row.get(2)?)),
                layer: None,
                emulated: row.get(5)?,
                ran: row.get(6)?,
            };
            let layer: Option<String> = row.get(3)?;
            Ok((took, layer.zip(row.get::<_, Option<i64>>(4)?.map(from_sql))))
        })?;
        let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
        let with_layer = |(took, layer): (Took, Option<(String, u64)>)| {
            let layer = layer.map(|(id, size)| Ok::<_, Error>((LayerId::parse(id)?, size)));
            Ok(Took {
                layer: layer.transpose()?,
                ..took
            })
        };
        rows.into_iter().map(with_layer).collect()
    }

    /// The steps of a build by name, as shown to people, with their layers and the unpacked bytes of these; without those
    /// whose layer is gone, or that had none.
    pub fn layers_of_build(&self, build: BuildId) -> Result<Vec<(String, LayerId, u64)>> {
        let db = self.db();
        let mut statement = db.prepare_cached(OF_BUILD)?;
        let rows = statement.query_map([build.0], |row| Ok((row.get(0)?, row.get(1)?, from_sql(row.get(2)?))))?;
        let rows: Vec<(String, String, u64)> = rows.collect::<rusqlite::Result<_>>()?;
        rows.into_iter()
            .map(|(name, layer, size)| Ok((name, LayerId::parse(layer)?, size)))
            .collect()
    }

    /// The step that made a layer; `None` of layers that came from elsewhere.
    pub fn maker(&self, layer: &LayerId) -> Result<Option<Maker>> {
        let db = self.db();
        let in_builds = db
            .prepare_cached(IN_BUILDS)?
            .query_row([layer.as_str()], |row| {
                Ok(Maker {
                    step: row.get(0)?,
                    build: Some(BuildId(row.get(1)?)),
                    project: Some(row.get(2)?),
                    lines: row.get::<_, Option<u32>>(3)?.zip(row.get(4)?),
                })
            })
            .optional()?;
        if in_builds.is_some() {
            return Ok(in_builds);
        }
        let recorded = db
            .prepare_cached("SELECT name FROM records WHERE layer = ? ORDER BY created DESC LIMIT 1")?
            .query_row(params![layer.as_str()], |row| row.get(0))
            .optional()?;
        Ok(recorded.map(|step| Maker {
            step,
            build: None,
            project: None,
            lines: None,
        }))
    }
}
