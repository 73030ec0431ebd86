//! Layers that share files, so that each file counts once in what the store holds.
//!
//! A layer counts only what none of its family had before it. What a layer counted that goes is counted by another of the
//! family from then on (a trigger sees to it), and less is as soon as it is known what really went: at no moment
//! is it less than what is there.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::contents::{Item, Kind};
use crate::error::Result;
use crate::ids::LayerId;
use crate::layers::to_sql;

/// Says that a layer shares files with another.
pub(crate) fn join(db: &Connection, id: &LayerId, other: &LayerId) -> Result<()> {
    db.prepare_cached("UPDATE layers SET family = id WHERE id = ? AND family IS NULL")?
        .execute([other.as_str()])?;
    db.prepare_cached("UPDATE layers SET family = (SELECT family FROM layers WHERE id = ?2) WHERE id = ?1")?
        .execute([id.as_str(), other.as_str()])?;
    Ok(())
}

/// The family of a piece that is a layer and has one.
pub(crate) fn of(db: &Connection, item: &Item) -> Result<Option<String>> {
    if item.kind != Kind::Layer {
        return Ok(None);
    }
    let family = db
        .prepare_cached("SELECT family FROM layers WHERE id = ?")?
        .query_row([&item.id], |row| row.get(0))
        .optional()?;
    Ok(family.flatten())
}

/// Sees to it that no build finds a layer of the family of a damaged one, or shares files with it: the damage may be in a
/// file that they share. Images that have such layers keep them.
pub(crate) fn distrust(db: &Connection, id: &str) -> Result<()> {
    for table in ["records", "runs"] {
        let query = format!(
            "DELETE FROM {table} WHERE layer IN
             (SELECT id FROM layers WHERE family = (SELECT family FROM layers WHERE id = ?))"
        );
        db.prepare_cached(&query)?.execute([id])?;
    }
    Ok(())
}

/// Says how much of what a family held went with the files of one that is removed.
pub(crate) fn freed(db: &Connection, family: &str, bytes: u64) -> Result<()> {
    db.prepare_cached(
        "UPDATE layers SET disk = max(disk - ?2, 0) WHERE id =
         (SELECT id FROM layers WHERE family = ?1 ORDER BY created DESC, id LIMIT 1)",
    )?
    .execute(params![family, to_sql(bytes)])?;
    Ok(())
}
