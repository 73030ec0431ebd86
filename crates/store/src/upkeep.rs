//! What the store uses, and less of it.

use std::collections::HashSet;
use std::path::Path;

use rusqlite::Connection;

use crate::error::{Error, Result};
use crate::ids::random_name;
use crate::layers::boot_id;
use crate::schema::immediate;
use crate::{LayerId, Store, temp, tree};

/// Use by kind: how many, and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Unpacked layers.
    pub layers: (u64, u64),
    /// Compressed layers, manifests and configs.
    pub blobs: (u64, u64),
    /// Cache mounts.
    pub cache_mounts: (u64, u64),
    /// Logs of builds.
    pub logs: (u64, u64),
}

/// Manifests are smaller than this; see the image specification.
const MAX_MANIFEST: u64 = 4 << 20;

impl Store {
    /// Measures what is there.
    pub fn usage(&self) -> Result<Usage> {
        let measure = |name: &str| measure_children(&self.root.join(name));
        Ok(Usage {
            layers: measure("layers")?,
            blobs: measure("blobs/sha256")?,
            cache_mounts: measure("cache")?,
            logs: measure("logs")?,
        })
    }

    /// Removes what no image needs and no record names; with `all` also images without a name, and what only records
    /// and cache mounts keep. Gives the bytes that were freed.
    ///
    /// Waits until no process has [`Store::in_use`]; layers that were pinned stay. The files are only moved out of the
    /// way while others wait, and removed afterwards.
    pub fn prune(&self, all: bool) -> Result<u64> {
        let swept = temp::sweep(&self.root.join("tmp"))?;
        let rubbish = self.temp()?.name()?;
        temp::create_directory(&rubbish)?;
        {
            let _alone = self.unused()?;
            self.forget(all)?;
            self.discard(&rubbish)?;
        }
        let removed = tree::remove(&rubbish).map_err(Error::io("remove", &rubbish))?;
        Ok(swept + removed)
    }

    /// Deletes rows. They are gone from the disk before this returns, so that no power failure brings one back when its
    /// files are no more.
    fn forget(&self, all: bool) -> Result<()> {
        let mut db = self.db();
        db.pragma_update(None, "synchronous", "FULL")?;
        let forgotten = self.forget_rows(&mut db, all);
        db.pragma_update(None, "synchronous", "NORMAL")?;
        forgotten
    }

    fn forget_rows(&self, db: &mut Connection, all: bool) -> Result<()> {
        let transaction = immediate(db)?;
        if all {
            transaction.execute_batch(
                "DELETE FROM indexes WHERE id NOT IN (SELECT image FROM tags);
                 DELETE FROM images WHERE id NOT IN (SELECT image FROM tags)
                 AND id NOT IN (SELECT image FROM index_images);
                 DELETE FROM records; DELETE FROM resolutions; DELETE FROM cache_mounts; DELETE FROM downloads;",
            )?;
        }
        let unneeded = unneeded_layers(&transaction, all)?;
        for id in unneeded {
            if !self.is_pinned(&LayerId::parse(id.clone())?)? {
                transaction.execute("DELETE FROM layers WHERE id = ?", [id])?;
            }
        }
        transaction.execute("DELETE FROM records WHERE layer NOT IN (SELECT id FROM layers)", [])?;
        transaction.execute(
            "DELETE FROM listings WHERE digest NOT IN (SELECT digest FROM run_listings)",
            [],
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// Moves everything that no row names to `rubbish`.
    fn discard(&self, rubbish: &Path) -> Result<()> {
        let layers = self.strings("SELECT id FROM layers")?;
        let caches = self.strings("SELECT directory FROM cache_mounts")?;
        let logs = self.strings("SELECT CAST(id AS TEXT) FROM builds")?;
        move_others(&self.root.join("layers"), &layers, rubbish)?;
        move_others(&self.root.join("blobs/sha256"), &self.needed_blobs()?, rubbish)?;
        move_others(&self.root.join("cache"), &caches, rubbish)?;
        move_others(&self.root.join("logs"), &logs, rubbish)
    }

    /// The names of the blobs that stay.
    fn needed_blobs(&self) -> Result<HashSet<String>> {
        let manifests = self.strings(
            "SELECT substr(manifest, 8) FROM resolutions
             UNION SELECT substr(manifest, 8) FROM images WHERE manifest IS NOT NULL",
        )?;
        let indexed = self.strings("SELECT substr(manifest, 8) FROM index_images")?;
        let mut blobs = self.strings(
            "SELECT substr(digest, 8) FROM layer_blobs UNION SELECT substr(id, 8) FROM images
             UNION SELECT substr(id, 8) FROM indexes",
        )?;
        // Configs of images that were only asked for are named by manifests alone.
        blobs.extend(
            manifests
                .iter()
                .filter_map(|manifest| self.named_by(manifest)?.into_iter().next()),
        );
        blobs.extend(manifests);
        // An index goes out as it is, and so must all that it names.
        blobs.extend(indexed.iter().filter_map(|manifest| self.named_by(manifest)).flatten());
        blobs.extend(indexed);
        Ok(blobs)
    }

    /// The config that a manifest names, and then the layers; `None` if it is not there or not readable, and so is of no
    /// use to anyone.
    fn named_by(&self, manifest: &str) -> Option<Vec<String>> {
        let path = self.root.join("blobs/sha256").join(manifest);
        if std::fs::metadata(&path).ok()?.len() > MAX_MANIFEST {
            return None;
        }
        let document: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
        let layers = document.get("layers").and_then(serde_json::Value::as_array);
        let named = std::iter::once(document.get("config")?).chain(layers.into_iter().flatten());
        let digest =
            |named: &serde_json::Value| Some(named.get("digest")?.as_str()?.trim_start_matches("sha256:").to_owned());
        named.map(digest).collect()
    }

    fn strings(&self, query: &str) -> Result<HashSet<String>> {
        strings(&self.db(), query)
    }
}

/// The layers that go: those that no image has and that nobody could find again. Steps' layers are found by records,
/// downloads by their addresses, pulled layers by the digests that are their names; with `all` none of that matters.
fn unneeded_layers(db: &Connection, all: bool) -> Result<HashSet<String>> {
    db.execute("DELETE FROM layers WHERE NOT durable AND boot <> ?", [boot_id()])?;
    let mut unneeded = strings(
        db,
        if all {
            "SELECT id FROM layers"
        } else {
            "SELECT id FROM layers WHERE length(id) < 64 AND id NOT IN (SELECT layer FROM records)
             AND id NOT IN (SELECT layer FROM downloads)"
        },
    )?;
    for image in strings(db, "SELECT layers FROM images")? {
        for layer in image.split_whitespace() {
            unneeded.remove(layer);
        }
    }
    Ok(unneeded)
}

fn strings(db: &Connection, query: &str) -> Result<HashSet<String>> {
    let mut statement = db.prepare(query)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn move_others(directory: &Path, keep: &HashSet<String>, rubbish: &Path) -> Result<()> {
    for entry in std::fs::read_dir(directory).map_err(Error::io("read", directory))? {
        let entry = entry.map_err(Error::io("read", directory))?;
        if !keep.contains(entry.file_name().to_string_lossy().as_ref()) {
            let path = entry.path();
            std::fs::rename(&path, rubbish.join(random_name()?)).map_err(Error::io("rename", &path))?;
        }
    }
    Ok(())
}

fn measure_children(directory: &Path) -> Result<(u64, u64)> {
    let mut total = (0, 0);
    for entry in std::fs::read_dir(directory).map_err(Error::io("read", directory))? {
        let path = entry.map_err(Error::io("read", directory))?.path();
        total.0 += 1;
        total.1 += tree::measure(&path).map_err(Error::io("measure", &path))?;
    }
    Ok(total)
}
