//! What was found in layers that are not in the store: images are looked into wherever they are. A layer is known by the
//! digest of its tar, so that nobody has to fetch or read it twice.

use kiln_image::Digest;
use rusqlite::{OptionalExtension as _, params};

use crate::error::Result;
use crate::schema::immediate;
use crate::values::to_sql;
use crate::{Cap, Store, now_in_milliseconds};

/// More is not kept of one layer: it has more than a million files.
const LARGEST: usize = 64 << 20;

/// More is not kept in all; what was used least recently goes.
const MOST: u64 = 256 << 20;

/// Of what a store may hold it is no more than this part.
const PART: u64 = 10;

impl Store {
    /// What was kept of a layer in that format; whether its bytes are what they were their reader must see.
    pub fn foreign_layer(&self, diff_id: &Digest, format: u32) -> Result<Option<Vec<u8>>> {
        let db = self.db();
        let diff_id = diff_id.to_string();
        let mut statement = db.prepare_cached("SELECT content FROM foreign_layers WHERE diff_id = ? AND format = ?")?;
        let found = statement
            .query_row(params![diff_id, format], |row| row.get(0))
            .optional()?;
        if found.is_some() {
            db.prepare_cached("UPDATE foreign_layers SET used = ? WHERE diff_id = ?")?
                .execute(params![now_in_milliseconds(), diff_id])?;
        }
        Ok(found)
    }

    /// Keeps what was found in a layer, in place of what was kept of it before. Nothing where it is larger than 64 MiB. Of
    /// all layers no more than 256 MiB are kept, or a tenth of what the store may hold.
    pub fn put_foreign_layer(&self, diff_id: &Digest, format: u32, content: &[u8]) -> Result<()> {
        let most = self.most_foreign()?;
        if content.len() > LARGEST || content.len() as u64 > most {
            return Ok(());
        }
        self.make_room(content.len() as u64)?;
        let mut db = self.db();
        let transaction = immediate(&mut db)?;
        transaction.execute(
            "INSERT OR REPLACE INTO foreign_layers (diff_id, format, content, used) VALUES (?, ?, ?, ?)",
            params![diff_id.to_string(), format, content, now_in_milliseconds()],
        )?;
        transaction.execute(
            "DELETE FROM foreign_layers WHERE diff_id IN (SELECT diff_id FROM (
                 SELECT diff_id, sum(length(content)) OVER (ORDER BY used DESC, diff_id) AS total FROM foreign_layers
             ) WHERE total > ?)",
            [to_sql(most)],
        )?;
        transaction.commit()?;
        Ok(())
    }

    fn most_foreign(&self) -> Result<u64> {
        if self.cap == Cap::None {
            return Ok(MOST);
        }
        let (_, cap) = self.held_and_cap(&self.db())?;
        Ok(MOST.min(cap / PART))
    }
}
