//! The cap: how much the store may hold, and making room below it.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use rusqlite::{Connection, Row, params};

use crate::contents::{Item, Kind, Need};
use crate::error::{Error, Result};
use crate::upkeep::{Scope, least_recent};
use crate::values::{from_sql, to_sql};
use crate::{Store, schema};

/// How much a store may hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cap {
    /// Whatever there is.
    #[default]
    None,
    /// So many bytes.
    Bytes(u64),
    /// So many hundredths of the disk.
    Percent(u8),
    /// A share of the disk, as `BuildKit` has it by default: 80 %, at most 100 GB, and as little as it takes for 20 % of
    /// the disk to stay free; but 10 %, at most 10 GB, in any case.
    OfDisk,
}

/// See [`Cap::OfDisk`].
const MOST: (u64, u64) = (80, 100_000_000_000);
const LEAST: (u64, u64) = (10, 10_000_000_000);
const FREE: u64 = 20;

/// What of the cap is free after something had to go: a twentieth. Looking through the store takes as long as it is
/// large, and must not be done for every write to a full one.
const SPARE: u64 = 20;

/// How much a store must have grown that was above the cap, though nothing more could go, to be looked through again: a
/// hundredth of the cap.
const NOTICEABLE: u64 = 100;

/// What this process knows besides the database.
#[derive(Debug, Default)]
pub(crate) struct OfProcess {
    /// Bytes on the disk of what room is kept for.
    unfinished: AtomicU64,
    /// What the store held after all had gone that might, or less if it held less since. Where that was above the cap,
    /// nothing more could go.
    left: AtomicU64,
}

/// A store that holds more than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excess {
    /// What it holds.
    pub held: u64,
    /// What it may hold.
    pub cap: u64,
}

/// Room that is kept for something, until it is dropped.
#[derive(Debug)]
pub struct Room<'a> {
    store: &'a Store,
    /// `None` where there is no cap to keep.
    number: Option<i64>,
    written: u64,
}

impl<'a> Room<'a> {
    fn new(store: &'a Store, number: Option<i64>) -> Self {
        Self {
            store,
            number,
            written: 0,
        }
    }

    /// Says that so many more of its bytes are on the disk.
    pub(crate) fn wrote(&mut self, bytes: u64) {
        self.written += bytes;
        self.store.room.unfinished.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.store.room.unfinished.fetch_sub(self.written, Ordering::Relaxed);
        if let (Some(number), Ok(process)) = (self.number, self.store.process()) {
            let query = "DELETE FROM reservations WHERE process = ? AND number = ?";
            // If not now it goes with the process.
            let _goes_later = self.store.db().execute(query, params![process, number]);
        }
    }
}

impl Store {
    /// Makes room for `bytes` that will be written, and keeps it until the guard is dropped; drop it when they are written.
    ///
    /// What was used least recently goes, and never what is in use, or what images with a name need. If that is not
    /// enough, there is room all the same: [`Store::excess`] tells. Nothing goes for what will never fit: it may be a lie.
    pub fn reserve(&self, bytes: u64) -> Result<Room<'_>> {
        static NUMBER: AtomicI64 = AtomicI64::new(0);
        if self.cap == Cap::None || bytes > self.held_and_cap(&self.db())?.1 {
            return Ok(Room::new(self, None));
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        self.db().execute(
            "INSERT INTO reservations (process, number, bytes) VALUES (?, ?, ?)",
            params![self.process()?, number, to_sql(bytes)],
        )?;
        let room = Room::new(self, Some(number));
        self.make_room(0)?;
        Ok(room)
    }

    /// By how much the store holds more than it may, after all that may go went.
    pub fn excess(&self) -> Result<Option<Excess>> {
        self.make_room_again()?;
        let (held, cap) = self.held_and_cap(&self.db())?;
        Ok((held > cap).then_some(Excess { held, cap }))
    }

    /// Brings the store below the cap, by `bytes`; where something must go, with some room to spare. Cheap where it is
    /// below, or above and hardly more than when nothing else could go: numbers are compared.
    pub(crate) fn make_room(&self, bytes: u64) -> Result<()> {
        if self.cap == Cap::None {
            return Ok(());
        }
        let (held, cap) = self.held_and_cap(&self.db())?;
        let limit = cap.saturating_sub(bytes);
        let left = self.room.left.fetch_min(held, Ordering::Relaxed).min(held);
        let in_vain = left > limit && held <= left + cap / NOTICEABLE;
        if held <= limit || bytes > cap || in_vain {
            return Ok(());
        }
        // By now another process may have made room.
        let choose = |mut items: Vec<Item>, held: u64| {
            // Whoever asks what happened asks for the last build.
            let logs = items.iter().filter(|item| item.kind == Kind::Log);
            let last_build = logs.map(|log| log.created).max().unwrap_or_default();
            items.retain(|item| item.need <= Need::Image && item.disk > 0);
            items.retain(|item| item.kind != Kind::Log || item.created < last_build);
            let goal = limit.saturating_sub(cap / SPARE);
            let chosen = least_recent(items, held.saturating_sub(goal));
            let freed = chosen.iter().map(|item| item.disk).sum();
            self.room.left.store(held.saturating_sub(freed), Ordering::Relaxed);
            chosen
        };
        // Of what is shared less goes than it counts.
        while !self.remove(choose, Scope::Chosen)?.items.is_empty() && self.held_and_cap(&self.db())?.0 > limit {}
        Ok(())
    }

    /// The same after something became part of the store, which it is whatever comes of this: [`Store::excess`] tells.
    pub(crate) fn settle(&self) {
        let _told_later = self.make_room(0);
    }

    /// The same after something may go that could not before.
    pub(crate) fn make_room_again(&self) -> Result<()> {
        self.room.left.store(0, Ordering::Relaxed);
        self.make_room(0)
    }

    /// Bytes on disk of everything, and those that room is kept for. Known, not measured now.
    pub(crate) fn held(&self, db: &Connection) -> Result<u64> {
        let (stored, reserved) = self.stored_and_reserved(db)?;
        Ok(stored + reserved)
    }

    fn stored_and_reserved(&self, db: &Connection) -> Result<(u64, u64)> {
        let query = "SELECT bytes, (SELECT coalesce(sum(bytes), 0) FROM reservations) FROM held";
        let row = |row: &Row<'_>| Ok((from_sql(row.get(0)?), from_sql(row.get(1)?)));
        let (stored, reserved) = db.prepare_cached(query)?.query_row([], row)?;
        Ok((stored + self.database_size(db)?, reserved))
    }

    pub(crate) fn held_and_cap(&self, db: &Connection) -> Result<(u64, u64)> {
        let (stored, reserved) = self.stored_and_reserved(db)?;
        let cap = match self.cap {
            Cap::None => u64::MAX,
            Cap::Bytes(bytes) => bytes,
            Cap::Percent(percent) => self.disk()?.0 / 100 * u64::from(percent),
            Cap::OfDisk => {
                let (size, free) = self.disk()?;
                // What room is kept for is not on the disk yet; what of it was written is free no longer.
                share(stored + self.room.unfinished.load(Ordering::Relaxed), size, free)
            }
        };
        Ok((stored + reserved, cap))
    }

    /// Bytes of the disk that the store is on, and how many of them are free for it.
    pub fn disk(&self) -> Result<(u64, u64)> {
        let disk = rustix::fs::statvfs(&self.root);
        let disk = disk.map_err(|error| Error::io("examine", &self.root)(error.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Ok((bytes(disk.f_blocks), bytes(disk.f_bavail)))
    }

    /// See [`schema::database_size`].
    pub(crate) fn database_size(&self, db: &Connection) -> Result<u64> {
        schema::database_size(db, &self.root)
    }

    /// What this process is called in the store.
    pub(crate) fn process(&self) -> Result<String> {
        let name = self.temp()?.path().file_name().unwrap_or_default();
        Ok(name.to_string_lossy().into_owned())
    }
}

/// How much a store may hold that has `stored` on the disk, of a disk of so many bytes, of which some are free.
fn share(stored: u64, disk: u64, free: u64) -> u64 {
    let of_disk = |(percent, most): (u64, u64)| (disk / 100 * percent).min(most);
    let left = (stored + free).saturating_sub(disk / 100 * FREE);
    of_disk(MOST).min(left).max(of_disk(LEAST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        const GB: u64 = 1_000_000_000;
        for (what, stored, disk, free, cap) in [
            ("a disk that is large and empty", 0, 1000 * GB, 1000 * GB, 100 * GB),
            ("the store alone fills 80 %", 40 * GB, 50 * GB, 10 * GB, 40 * GB),
            ("others leave too little", 40 * GB, 100 * GB, 15 * GB, 35 * GB),
            ("others leave nothing", 40 * GB, 200 * GB, 0, 10 * GB),
            ("a small disk that is full", 2 * GB, 10 * GB, 0, GB),
        ] {
            assert_eq!(share(stored, disk, free), cap, "{what}");
        }
    }
}
