//! Removing pieces of the store: those that nothing needs, those that were chosen, and whatever no row names.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction};

use crate::contents::{Item, Kind, Need, Needs, strings};
use crate::error::{Error, Result};
use crate::ids::random_name;
use crate::layers::boot_id;
use crate::runs::forget_listings;
use crate::schema::immediate;
use crate::{Store, families, temp, tree, uses};

/// Manifests are smaller than this; see the image specification.
const MAX_MANIFEST: u64 = 4 << 20;

/// How much is to go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruning {
    /// Stop as soon as the store holds no more than that, least recently used first. All that may go goes where not given.
    pub keep: Option<u64>,
    /// Whether images without a name go, too.
    pub unnamed_images: bool,
    /// Only say what would go.
    pub dry_run: bool,
}

/// What went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The pieces, in the order in which they went.
    pub items: Vec<Item>,
    /// Bytes that were freed, or would be: those of the pieces, and of what dead processes left.
    pub freed: u64,
}

/// What goes besides the pieces that were chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Nothing.
    Chosen,
    /// What no row names or what a power failure may have damaged, and perhaps images without a name.
    Everything { unnamed_images: bool },
}

impl Store {
    /// Removes pieces, and what processes left that died. Nobody is waited for: what is in use stays, until the next time.
    /// Of what nobody has in use and no image with a name needs `may_go` says what may go.
    pub fn prune(&self, pruning: Pruning, may_go: impl Fn(&Item) -> bool) -> Result<Pruned> {
        let choose = |items: Vec<Item>, held: u64| {
            let go = |item: &Item| item.need <= Need::Image && may_go(item);
            let may_go = items.into_iter().filter(go).collect();
            match pruning.keep {
                Some(keep) => least_recent(may_go, held.saturating_sub(keep)),
                None => may_go,
            }
        };
        if pruning.dry_run {
            let db = self.db();
            let _gate = self.close_gate()?;
            let items = choose(self.items(&db, &self.needs(&db)?)?, self.held(&db)?);
            let freed = items.iter().map(|item| item.disk).sum();
            return Ok(Pruned { items, freed });
        }
        let scope = Scope::Everything {
            unnamed_images: pruning.unnamed_images,
        };
        let mut pruned = self.remove(choose, scope)?;
        // Of what layers share less goes than it counts.
        while pruning.keep.is_some() {
            let more = self.remove(choose, Scope::Chosen)?;
            if more.items.is_empty() {
                break;
            }
            pruned.items.extend(more.items);
            pruned.freed += more.freed;
        }
        Ok(pruned)
    }

    /// Removes the pieces that are chosen of all, by how much the store holds.
    ///
    /// Rows are gone from the disk before their files are touched, so that no power failure brings one back whose files
    /// are no more. While others wait files are only moved out of the way.
    pub(crate) fn remove(&self, choose: impl FnOnce(Vec<Item>, u64) -> Vec<Item>, scope: Scope) -> Result<Pruned> {
        let swept = temp::sweep(&self.root.join("tmp"))?;
        let rubbish = self.temp()?.name()?;
        temp::create_directory(&rubbish)?;
        let (items, relatives) = {
            let mut db = self.db();
            let _gate = self.close_gate()?;
            db.pragma_update(None, "synchronous", "FULL")?;
            let chosen = self.forget(&mut db, choose, scope);
            db.pragma_update(None, "synchronous", "NORMAL")?;
            let chosen = chosen?;
            let mut relatives = Vec::new();
            for (item, family) in &chosen {
                let moved = move_away(&self.path_of(item), &rubbish)?;
                relatives.extend(family.clone().map(|family| (moved, family)));
            }
            if scope != Scope::Chosen {
                self.discard_orphans(&mut db, &rubbish)?;
            }
            (chosen.into_iter().map(|(item, _)| item).collect(), relatives)
        };
        let mut freed = swept;
        for (path, family) in relatives {
            let removed = tree::remove(&path).map_err(Error::io("remove", &path))?;
            families::freed(&self.db(), &family, removed)?;
            freed += removed;
        }
        // The directory itself is none of what was there before.
        let own = std::fs::metadata(&rubbish).map_or(0, |meta| tree::disk_of(&meta));
        let removed = tree::remove(&rubbish).map_err(Error::io("remove", &rubbish))?;
        Ok(Pruned {
            items,
            freed: freed + removed.saturating_sub(own),
        })
    }

    /// Forgets the pieces that are chosen, and gives them, each with its family if it shares files.
    fn forget(
        &self,
        db: &mut Connection,
        choose: impl FnOnce(Vec<Item>, u64) -> Vec<Item>,
        scope: Scope,
    ) -> Result<Vec<(Item, Option<String>)>> {
        let transaction = immediate(db)?;
        if scope != Scope::Chosen {
            transaction.execute("DELETE FROM layers WHERE NOT durable AND boot <> ?", [boot_id()])?;
        }
        let needs = self.needs(&transaction)?;
        forget_reservations(&transaction, &needs.processes)?;
        let held = self.held(&transaction)?;
        let chosen = choose(self.items(&transaction, &needs)?, held);
        if chosen.is_empty() && scope == Scope::Chosen {
            transaction.commit()?;
            return Ok(Vec::new());
        }
        let mut forgotten = Vec::with_capacity(chosen.len());
        for item in chosen {
            let family = match item.kind {
                Kind::Layer => families::of(&transaction, &item.id)?,
                Kind::Blob | Kind::CacheMount | Kind::Log => None,
            };
            forget_item(&transaction, item.kind, &item.id)?;
            forgotten.push((item, family));
        }
        let all = scope == Scope::Everything { unnamed_images: true };
        forget_images(&transaction, &needs, all)?;
        if scope != Scope::Chosen {
            transaction.execute("DELETE FROM records WHERE layer NOT IN (SELECT id FROM layers)", [])?;
            transaction.execute("DELETE FROM foreign_layers", [])?;
        }
        forget_listings(&transaction)?;
        transaction.commit()?;
        Ok(forgotten)
    }

    pub(crate) fn path_of(&self, item: &Item) -> PathBuf {
        let directory = match item.kind {
            Kind::Layer => "layers",
            Kind::Blob => "blobs/sha256",
            Kind::CacheMount => "cache",
            Kind::Log => "logs",
        };
        self.root.join(directory).join(&item.id)
    }

    /// Moves everything that no row names to `rubbish`. Nobody can be committing something of a name that is not in use.
    fn discard_orphans(&self, db: &mut Connection, rubbish: &Path) -> Result<()> {
        let needs = self.needs(db)?;
        for (directory, query, name) in [
            ("layers", "SELECT id FROM layers", uses::of_layer as fn(&str) -> String),
            ("blobs/sha256", "SELECT digest FROM blobs", uses::of_blob),
            ("cache", "SELECT directory FROM cache_mounts", uses::of_cache_mount),
            ("logs", "SELECT CAST(id AS TEXT) FROM builds", str::to_owned),
        ] {
            let known = strings(db, query)?;
            move_others(&self.root.join(directory), rubbish, |entry| {
                known.contains(entry) || needs.is_used(&name(entry))
            })?;
        }
        Ok(())
    }

    /// The config that a manifest names, and then the layers; `None` if it is not there or not readable, and so is of no
    /// use to anyone.
    pub(crate) fn named_by(&self, manifest: &str) -> Option<Vec<String>> {
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
}

/// The least recently used of these, until so many bytes are freed. Of what was used by the same build the newest goes
/// first: nobody finds what was made on top of something that is gone.
pub(crate) fn least_recent(mut items: Vec<Item>, bytes: u64) -> Vec<Item> {
    items.sort_by_key(|item| (item.used, std::cmp::Reverse(item.created)));
    let mut freed = 0;
    let goes = |item: &Item| {
        let more = freed < bytes;
        freed += item.disk;
        more
    };
    items.into_iter().take_while(goes).collect()
}

pub(crate) fn forget_item(transaction: &Transaction<'_>, kind: Kind, id: &str) -> Result<()> {
    let queries: &[&str] = match kind {
        Kind::Layer => &[
            "DELETE FROM records WHERE layer = ?",
            "DELETE FROM downloads WHERE layer = ?",
            "DELETE FROM layers WHERE id = ?",
        ],
        Kind::Blob => &[
            "DELETE FROM layer_blobs WHERE digest = 'sha256:' || ?",
            "DELETE FROM resolutions WHERE manifest = 'sha256:' || ?",
            "DELETE FROM blobs WHERE digest = ?",
        ],
        Kind::CacheMount => &["DELETE FROM cache_mounts WHERE directory = ?"],
        Kind::Log => &[
            "DELETE FROM runs WHERE build = CAST(? AS INTEGER) AND layer IS NULL",
            "DELETE FROM builds WHERE id = CAST(? AS INTEGER)",
        ],
    };
    for query in queries {
        transaction.prepare_cached(query)?.execute([id])?;
    }
    Ok(())
}

/// Forgets images that nobody uses or named, if they lost something, or `all` of them.
fn forget_images(transaction: &Transaction<'_>, needs: &Needs, all: bool) -> Result<()> {
    let layers = strings(transaction, "SELECT id FROM layers")?;
    let blobs = strings(transaction, "SELECT digest FROM blobs")?;
    let mut statement = transaction.prepare("SELECT id, layers FROM images")?;
    let images = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    for image in images {
        let (id, of_image) = image?;
        let whole = blobs.contains(&id[7..]) && of_image.split_whitespace().all(|layer| layers.contains(layer));
        if needs.of_blob(&id[7..]) <= Need::Image && (all || !whole) {
            transaction.execute(
                "DELETE FROM indexes WHERE id IN (SELECT image_index FROM index_images WHERE image = ?)",
                [&id],
            )?;
            transaction.execute("DELETE FROM images WHERE id = ?", [&id])?;
        }
    }
    Ok(())
}

/// Room that was kept for processes that are dead is free.
fn forget_reservations(transaction: &Transaction<'_>, alive: &[String]) -> Result<()> {
    for process in strings(transaction, "SELECT DISTINCT process FROM reservations")? {
        if !alive.contains(&process) {
            transaction.execute("DELETE FROM reservations WHERE process = ?", [process])?;
        }
    }
    Ok(())
}

/// Gives the path where it is then, if it was there.
fn move_away(path: &Path, rubbish: &Path) -> Result<PathBuf> {
    let moved = rubbish.join(random_name()?);
    match std::fs::rename(path, &moved) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("rename", path)(error)),
        _ => Ok(moved),
    }
}

fn move_others(directory: &Path, rubbish: &Path, stays: impl Fn(&str) -> bool) -> Result<()> {
    for entry in std::fs::read_dir(directory).map_err(Error::io("read", directory))? {
        let entry = entry.map_err(Error::io("read", directory))?;
        if !stays(&entry.file_name().to_string_lossy()) {
            move_away(&entry.path(), rubbish)?;
        }
    }
    Ok(())
}
