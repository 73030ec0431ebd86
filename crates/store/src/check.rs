//! Looking for damage: rows and files that do not go together, and bytes that are not what they were.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use kiln_image::{Digest, Hasher};

use crate::contents::{Item, Kind, Need};
use crate::error::{Error, Result};
use crate::upkeep::{Pruned, Scope};
use crate::values::{parse_digest, to_sql};
use crate::{Store, families, tree};

/// What is wrong with a piece of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is known, but not there.
    Missing,
    /// Its bytes are not those that were written.
    Changed,
}

/// A piece that is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Which.
    pub item: Item,
    /// Where it is, or should be.
    pub path: PathBuf,
    /// What is wrong.
    pub fault: Fault,
}

impl Damage {
    /// Whether that is the piece.
    pub fn is_of(&self, item: &Item) -> bool {
        self.item.kind == item.kind && self.item.id == item.id
    }
}

impl Store {
    /// Looks at all layers and blobs, which takes as long as it takes to read them. `digest` gives that of a layer's tar; layers whose
    /// digest was never asked for can only be looked for.
    pub fn check(&self, digest: &dyn Fn(&Path) -> io::Result<Digest>) -> Result<Vec<Damage>> {
        self.check_database()?;
        let mut damages = Vec::new();
        for item in self.contents()?.items {
            let path = self.path_of(&item);
            let fault = match item.kind {
                // A build that wrote nothing has no log, mounts are not there before they are used, and what steps write
                // to them has no digest.
                Kind::Log | Kind::CacheMount => None,
                Kind::Blob => blob_fault(&path, &item.id)?,
                Kind::Layer => self.layer_fault(&path, &item.id, digest)?,
            };
            if let Some(fault) = fault {
                damages.push(Damage { item, path, fault });
            }
        }
        if !damages.is_empty() {
            // What was removed meanwhile is no damage.
            let items = self.contents()?.items;
            let is_there = |damage: &Damage| items.iter().any(|item| damage.is_of(item));
            damages.retain(is_there);
        }
        Ok(damages)
    }

    /// Drops what is damaged and not in use, so that it is fetched or made again, and measures everything anew.
    pub fn repair(&self, damages: &[Damage]) -> Result<Pruned> {
        let is_damaged = |item: &Item| item.need != Need::InUse && damages.iter().any(|damage| damage.is_of(item));
        let choose = |items: Vec<Item>, _| items.into_iter().filter(is_damaged).collect();
        for damage in damages.iter().filter(|damage| damage.item.kind == Kind::Layer) {
            families::distrust(&self.db(), &damage.item.id)?;
        }
        let scope = Scope::Everything { unnamed_images: false };
        let dropped = self.remove(choose, scope)?;
        for item in self.contents()?.items {
            self.measure_again(&item)?;
        }
        Ok(dropped)
    }

    fn check_database(&self) -> Result<()> {
        let found: String = self
            .db()
            .pragma_query_value(None, "integrity_check", |row| row.get(0))?;
        if found == "ok" {
            Ok(())
        } else {
            Err(Error::Damaged(found))
        }
    }

    fn layer_fault(
        &self,
        path: &Path,
        id: &str,
        digest: &dyn Fn(&Path) -> io::Result<Digest>,
    ) -> Result<Option<Fault>> {
        if !path.is_dir() {
            return Ok(Some(Fault::Missing));
        }
        // The digest of a layer that was fetched is that of somebody else's tar, which has no length here.
        let query = "SELECT max(diff_id) FROM layers WHERE id = ? AND tar_size IS NOT NULL";
        let known: Option<String> = self.db().query_row(query, [id], |row| row.get(0))?;
        let Some(known) = known else { return Ok(None) };
        match digest(path) {
            Ok(found) => Ok((found != parse_digest(&known)?).then_some(Fault::Changed)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(Fault::Missing)),
            Err(error) => Err(Error::io("read", path)(error)),
        }
    }

    fn measure_again(&self, item: &Item) -> Result<()> {
        let path = self.path_of(item);
        let disk = tree::measure(&path).map_err(Error::io("measure", &path))?;
        let query = match item.kind {
            Kind::Layer => "UPDATE layers SET disk = ? WHERE id = ?",
            Kind::Blob => "UPDATE blobs SET disk = ? WHERE digest = ?",
            Kind::CacheMount => "UPDATE cache_mounts SET disk = ? WHERE directory = ?",
            Kind::Log => "UPDATE builds SET disk = ? WHERE id = CAST(? AS INTEGER)",
        };
        if disk != item.disk {
            self.db().execute(query, rusqlite::params![to_sql(disk), item.id])?;
        }
        Ok(())
    }
}

pub(crate) fn blob_fault(path: &Path, hex: &str) -> Result<Option<Fault>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Fault::Missing)),
        Err(error) => return Err(Error::io("open", path)(error)),
    };
    let found = digest_of(file).map_err(Error::io("read", path))?;
    Ok((found.hex() != hex).then_some(Fault::Changed))
}

fn digest_of(mut file: impl io::Read) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&buffer[..count]),
        }
    }
}
