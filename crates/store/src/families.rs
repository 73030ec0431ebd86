//! Layers that share files, so that each file counts once in what the store holds.
//!
//! A layer counts only what none of its family had before it. What a layer counted that goes is counted by another of the
//! family from then on (a trigger sees to it), and less is as soon as it is known what really went: at no moment
//! is it less than what is there. Where a layer goes otherwise than by being removed (its files are damaged, or the power
//! failed), and where a process dies in between, it stays more until everything is measured anew.
//!
//! A link more or less changes the time of a file's last change of anything, which programs may watch that read it (tar does).
//! So nothing is removed of a family of which somebody uses a layer.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::Store;
use crate::error::{Error, Result};
use crate::ids::LayerId;
use crate::values::to_sql;

/// Says that a layer shares files with another, which must still be there.
pub(crate) fn join(db: &Connection, id: &LayerId, other: &LayerId) -> Result<()> {
    let query = "UPDATE layers SET family = coalesce(family, id) WHERE id = ? RETURNING family";
    let family: Option<String> = db
        .prepare_cached(query)?
        .query_row([other.as_str()], |row| row.get(0))
        .optional()?;
    let Some(family) = family else {
        return Err(Error::Damaged(format!(
            "layer {other} went while another was made that has files of it"
        )));
    };
    db.prepare_cached("UPDATE layers SET family = ? WHERE id = ?")?
        .execute([family.as_str(), id.as_str()])?;
    Ok(())
}

impl Store {
    /// Whether files of a layer may be those of others, too: it is one of them, or of the family of one.
    pub fn is_related(&self, layer: &LayerId, others: &[LayerId]) -> Result<bool> {
        if others.contains(layer) {
            return Ok(true);
        }
        let db = self.look_up()?;
        let Some(family) = of(&db, layer.as_str())? else {
            return Ok(false);
        };
        for other in others {
            if of(&db, other.as_str())?.as_deref() == Some(family.as_str()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The layers of each family.
pub(crate) fn all(db: &Connection) -> Result<Vec<Vec<String>>> {
    let mut families: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut statement = db.prepare_cached("SELECT family, id FROM layers WHERE family IS NOT NULL")?;
    for row in statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
        let (family, id) = row?;
        families.entry(family).or_default().push(id);
    }
    Ok(families.into_values().collect())
}

/// The family of a layer that has one.
pub(crate) fn of(db: &Connection, id: &str) -> Result<Option<String>> {
    let family = db
        .prepare_cached("SELECT family FROM layers WHERE id = ?")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    Ok(family.flatten())
}

/// Sees to it that no build finds a layer of the family of a damaged one, or shares files with it: the damage may be in a
/// file that they share. Images that have such layers keep them.
pub(crate) fn distrust(db: &Connection, id: &str) -> Result<()> {
    for what in ["DELETE FROM records", "UPDATE runs SET layer = NULL, lost = 1"] {
        let query = format!(
            "{what} WHERE layer IN (SELECT id FROM layers WHERE family = (SELECT family FROM layers WHERE id = ?))"
        );
        db.prepare_cached(&query)?.execute([id])?;
    }
    // A run stays as long as its layer or its build does.
    db.execute(
        "DELETE FROM runs WHERE lost AND build NOT IN (SELECT id FROM builds)",
        [],
    )?;
    Ok(())
}

/// Says how much of what a family held went with the files of one that is removed.
pub(crate) fn freed(db: &Connection, family: &str, bytes: u64) -> Result<()> {
    db.prepare_cached(
        "UPDATE layers SET disk = max(disk - ?2, 0) WHERE id =
         (SELECT id FROM layers WHERE family = ?1 ORDER BY disk DESC, id LIMIT 1)",
    )?
    .execute(params![family, to_sql(bytes)])?;
    Ok(())
}
