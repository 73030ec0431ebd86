//! Indexes of layers: what is in them, so that nobody has to walk a layer twice. They are rows, which go with their layers.

use rusqlite::{OptionalExtension as _, params};

use crate::Store;
use crate::error::Result;
use crate::ids::LayerId;

/// A larger index is not kept: it is of a layer of more than a million files, and would be most of the database.
const LARGEST: usize = 64 << 20;

impl Store {
    /// What was kept of a layer in that format; whether its bytes are what they were their reader must see.
    pub fn layer_index(&self, layer: &LayerId, format: u32) -> Result<Option<Vec<u8>>> {
        let db = self.db();
        let mut statement = db.prepare_cached("SELECT content FROM layer_indexes WHERE layer = ? AND format = ?")?;
        let found = statement.query_row(params![layer.as_str(), format], |row| row.get(0));
        Ok(found.optional()?)
    }

    /// Whether something was kept of a layer in that format.
    pub fn has_layer_index(&self, layer: &LayerId, format: u32) -> Result<bool> {
        let db = self.db();
        let mut statement = db.prepare_cached("SELECT 1 FROM layer_indexes WHERE layer = ? AND format = ?")?;
        Ok(statement.exists(params![layer.as_str(), format])?)
    }

    /// Keeps an index as long as its layer is there, in place of an earlier one. Nothing where the layer is gone, or the
    /// index is larger than 64 MiB.
    pub fn put_layer_index(&self, layer: &LayerId, format: u32, content: &[u8]) -> Result<()> {
        if content.len() > LARGEST {
            return Ok(());
        }
        self.make_room(content.len() as u64)?;
        self.db()
            .prepare_cached(
                "INSERT OR REPLACE INTO layer_indexes (layer, format, content)
                 SELECT id, ?2, ?3 FROM layers WHERE id = ?1",
            )?
            .execute(params![layer.as_str(), format, content])?;
        Ok(())
    }
}
