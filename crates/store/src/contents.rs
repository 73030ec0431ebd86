//! What is in the store, piece by piece: how large, when used last, and who needs it.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use crate::caches::MountId;
use crate::error::Result;
use crate::locks;
use crate::values::from_sql;
use crate::{Store, builds, families, uses};

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An unpacked layer.
    Layer,
    /// A compressed layer, a manifest, a config.
    Blob,
    /// A cache mount.
    CacheMount,
    /// The logs of a build.
    Log,
}

/// Who needs a piece; the greater, the more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// Nobody could find it.
    Nothing,
    /// Later builds could find it.
    Cache,
    /// An image without a name.
    Image,
    /// An image that has a name, or is in an index that has one.
    NamedImage,
    /// A process that is running.
    InUse,
}

/// A piece of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// Its name among those of its kind.
    pub id: String,
    /// Bytes on disk.
    pub disk: u64,
    /// When it was made; seconds since 1970.
    pub created: i64,
    /// When it was used last; milliseconds since 1970.
    pub used: i64,
    /// Who needs it.
    pub need: Need,
    /// The step that made it as shown to people, the address it came from, or what people know a cache mount by.
    pub description: Option<String>,
    /// What people know it by, if it is a cache mount.
    pub mount: Option<MountId>,
    /// What the build was of that made it, if that build is remembered.
    pub project: Option<String>,
}

/// All that a store has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Its pieces.
    pub items: Vec<Item>,
    /// How many images, with and without a name.
    pub images: u64,
    /// How many records of steps.
    pub records: u64,
    /// Bytes on disk of the database, which has the records, but for what of it is free.
    pub database: u64,
}

impl Contents {
    /// Bytes on disk of everything.
    pub fn held(&self) -> u64 {
        self.items.iter().map(|item| item.disk).sum::<u64>() + self.database
    }
}

/// The names of layers and blobs that are needed, and how much.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    layers: HashMap<String, Need>,
    blobs: HashMap<String, Need>,
    /// The processes that were there.
    pub(crate) processes: Vec<String>,
    uses: HashSet<String>,
}

impl Needs {
    fn layer(&mut self, id: &str, need: Need) {
        raise(&mut self.layers, id, need);
    }

    fn blob(&mut self, hex: &str, need: Need) {
        raise(&mut self.blobs, hex, need);
    }

    /// Who needs the blob of that name.
    pub(crate) fn of_blob(&self, hex: &str) -> Need {
        self.of(&uses::of_blob(hex), self.blobs.get(hex))
    }

    fn of_layer(&self, id: &str) -> Need {
        self.of(&uses::of_layer(id), self.layers.get(id))
    }

    fn of(&self, name: &str, known: Option<&Need>) -> Need {
        if self.is_used(name) {
            Need::InUse
        } else {
            known.copied().unwrap_or(Need::Nothing)
        }
    }

    /// Whether a process said that it uses that.
    pub(crate) fn is_used(&self, name: &str) -> bool {
        self.uses.contains(name)
    }
}

fn raise(needs: &mut HashMap<String, Need>, name: &str, need: Need) {
    match needs.get_mut(name) {
        Some(known) => *known = need.max(*known),
        None => {
            needs.insert(name.to_owned(), need);
        }
    }
}

impl Store {
    /// All that the store has, in no order. Nothing is measured for it: sizes are known.
    pub fn contents(&self) -> Result<Contents> {
        let db = self.db();
        let _gate = self.close_gate()?;
        let count = |query: &str| -> Result<u64> { Ok(from_sql(db.query_row(query, [], |row| row.get(0))?)) };
        Ok(Contents {
            items: self.items(&db, &self.needs(&db)?)?,
            images: count("SELECT count(*) FROM images")?,
            records: count("SELECT count(*) FROM records")?,
            database: self.database_size(&db)?,
        })
    }

    /// Who needs what. The gate is closed.
    pub(crate) fn needs(&self, db: &Connection) -> Result<Needs> {
        let (mut uses, processes) = self.all_uses()?;
        for family in families::all(db)? {
            let names: Vec<String> = family.iter().map(|id| uses::of_layer(id)).collect();
            if names.iter().any(|name| uses.contains(name)) {
                uses.extend(names);
            }
        }
        let mut needs = Needs {
            processes,
            uses,
            ..Needs::default()
        };
        self.add_images(db, &mut needs)?;
        // What was only asked for is found by the name that was asked for.
        for manifest in strings(db, "SELECT substr(manifest, 8) FROM resolutions")? {
            let config = self.named_by(&manifest).and_then(|named| named.into_iter().next());
            for blob in config.iter().chain([&manifest]) {
                needs.blob(blob, Need::Cache);
            }
        }
        for layer in strings(
            db,
            // Steps' layers are found by records, downloads by their addresses, pulled layers by the digests that are
            // their names.
            "SELECT layer FROM records UNION SELECT layer FROM downloads UNION SELECT layer FROM failed_steps
             UNION SELECT id FROM layers WHERE length(id) = 64",
        )? {
            needs.layer(&layer, Need::Cache);
        }
        // The compressed form of a layer is worth no more than the layer, and can be made again.
        for (blob, layer) in pairs(db, "SELECT substr(digest, 8), layer FROM layer_blobs")? {
            let need = needs.of_layer(&layer).min(Need::Cache);
            needs.blob(&blob, need);
        }
        Ok(needs)
    }

    /// What images need. Who uses an image uses its config, or the index that it is in.
    fn add_images(&self, db: &Connection, needs: &mut Needs) -> Result<()> {
        let named = strings(db, "SELECT substr(image, 8) FROM tags")?;
        let need = |needs: &Needs, hex: &str| match () {
            () if needs.is_used(&uses::of_blob(hex)) => Need::InUse,
            () if named.contains(hex) => Need::NamedImage,
            () => Need::Image,
        };
        let mut of_images: HashMap<String, Need> = HashMap::new();
        for (index, image, manifest) in triples(
            db,
            "SELECT substr(image_index, 8), substr(image, 8), substr(manifest, 8) FROM index_images",
        )? {
            let need = need(needs, &index);
            raise(&mut of_images, &image, need);
            needs.blob(&index, need);
            // An index goes out as it is, and so must all that it names.
            self.add_manifest(needs, &manifest, need);
        }
        for (image, layers, manifest) in triples(
            db,
            "SELECT substr(id, 8), layers, coalesce(substr(manifest, 8), '') FROM images",
        )? {
            let inherited = of_images.get(&image).copied().unwrap_or(Need::Nothing);
            let need = need(needs, &image).max(inherited);
            needs.blob(&image, need);
            for layer in layers.split_whitespace() {
                needs.layer(layer, need);
            }
            if !manifest.is_empty() {
                self.add_manifest(needs, &manifest, need);
            }
        }
        Ok(())
    }

    /// A manifest that came from elsewhere or went there names these bytes and no others.
    fn add_manifest(&self, needs: &mut Needs, manifest: &str, need: Need) {
        needs.blob(manifest, need);
        for blob in self.named_by(manifest).into_iter().flatten() {
            needs.blob(&blob, need);
        }
    }

    /// The pieces, by these needs.
    pub(crate) fn items(&self, db: &Connection, needs: &Needs) -> Result<Vec<Item>> {
        let mut items = rows(
            db,
            Kind::Layer,
            "SELECT id, disk, created, used, coalesce((SELECT name FROM records WHERE layer = layers.id LIMIT 1),
                (SELECT url FROM downloads WHERE layer = layers.id),
                (SELECT 'failed: ' || name FROM failed_steps JOIN steps
                 ON steps.build = failed_steps.build AND number = step WHERE layer = layers.id)),
             coalesce(
                (SELECT builds.name FROM records JOIN builds ON builds.id = records.build WHERE layer = layers.id LIMIT 1),
                (SELECT name FROM failed_steps JOIN builds ON builds.id = build WHERE layer = layers.id)),
             NULL FROM layers",
            |id| needs.of_layer(id),
        )?;
        items.extend(rows(
            db,
            Kind::Blob,
            "SELECT digest, disk, created, used, NULL, NULL, NULL FROM blobs",
            |hex| needs.of_blob(hex),
        )?);
        items.extend(rows(
            db,
            Kind::CacheMount,
            "SELECT directory, disk, created, used, id, NULL, key FROM cache_mounts",
            |directory| needs.of(&uses::of_cache_mount(directory), Some(&Need::Cache)),
        )?);
        let mut logs = rows(
            db,
            Kind::Log,
            "SELECT CAST(id AS TEXT), disk, started, started * 1000, NULL, name, NULL FROM builds",
            |_| Need::Cache,
        )?;
        for log in &mut logs {
            if locks::try_exclusive(self.root(), &builds::running(&log.id))?.is_none() {
                log.need = Need::InUse;
            }
        }
        items.extend(logs);
        Ok(items)
    }
}

fn rows(db: &Connection, kind: Kind, query: &str, need: impl Fn(&str) -> Need) -> Result<Vec<Item>> {
    let mut statement = db.prepare(query)?;
    let items = statement.query_map([], |row| {
        let (id, description): (String, Option<String>) = (row.get(0)?, row.get(4)?);
        let key: Option<String> = row.get(6)?;
        let mount = key.map(|key| MountId {
            id: description.clone().unwrap_or_default(),
            key,
        });
        Ok(Item {
            kind,
            disk: from_sql(row.get(1)?),
            created: row.get(2)?,
            used: row.get(3)?,
            need: need(&id),
            description: mount.as_ref().map(ToString::to_string).or(description),
            mount,
            project: row.get(5)?,
            id,
        })
    })?;
    Ok(items.collect::<rusqlite::Result<_>>()?)
}

pub(crate) fn strings(db: &Connection, query: &str) -> Result<HashSet<String>> {
    let mut statement = db.prepare(query)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn pairs(db: &Connection, query: &str) -> Result<Vec<(String, String)>> {
    let mut statement = db.prepare(query)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn triples(db: &Connection, query: &str) -> Result<Vec<(String, String, String)>> {
    let mut statement = db.prepare(query)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
