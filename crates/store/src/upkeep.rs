//! What the store uses, and less of it.

use std::collections::HashSet;
use std::path::Path;

use crate::Store;
use crate::error::{Error, Result};
use crate::images::Image;
use crate::temp;

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

    /// Removes what no image needs and no record names; with `all` also what only records and cache mounts keep.
    /// Gives the bytes that were freed. No other process may be building: it holds the store's lock meanwhile.
    pub fn prune(&self, all: bool) -> Result<u64> {
        let _alone = self.lock_key("prune")?;
        temp::sweep(&self.root.join("tmp"))?;
        let images = self.images()?;
        if all {
            self.forget_cache(&images)?;
        }
        let (layers, blobs) = self.needed(&images)?;
        let mut freed = remove_others(&self.root.join("layers"), &layers)?;
        freed += remove_others(&self.root.join("blobs/sha256"), &blobs)?;
        if all {
            freed += remove_others(&self.root.join("cache"), &HashSet::new())?;
        }
        Ok(freed)
    }

    fn forget_cache(&self, images: &[Image]) -> Result<()> {
        let kept: HashSet<&str> = images
            .iter()
            .flat_map(|image| image.layers.iter().map(crate::LayerId::as_str))
            .collect();
        let mut db = self.db();
        let transaction = db.transaction()?;
        transaction.execute("DELETE FROM records", [])?;
        transaction.execute("DELETE FROM resolutions", [])?;
        transaction.execute("DELETE FROM cache_mounts", [])?;
        let all: Vec<String> = {
            let mut statement = transaction.prepare("SELECT id FROM layers")?;
            statement
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?
        };
        for id in all.iter().filter(|id| !kept.contains(id.as_str())) {
            transaction.execute("DELETE FROM layers WHERE id = ?", [id])?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// The names of the layers and blobs that stay.
    fn needed(&self, images: &[Image]) -> Result<(HashSet<String>, HashSet<String>)> {
        let db = self.db();
        let strings = |query: &str| -> Result<Vec<String>> {
            let mut statement = db.prepare(query)?;
            Ok(statement
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?)
        };
        let layers = strings("SELECT id FROM layers")?.into_iter().collect();
        let hex = |digest: String| digest.trim_start_matches("sha256:").to_owned();
        let mut blobs: HashSet<String> = strings("SELECT digest FROM layer_blobs")?
            .into_iter()
            .map(hex)
            .collect();
        let resolved = strings("SELECT manifest FROM resolutions")?;
        for image in images {
            blobs.insert(image.id.hex());
            blobs.extend(image.manifest.map(|digest| digest.hex()));
        }
        blobs.extend(resolved.into_iter().map(hex));
        drop(db);
        // Configs are named by manifests alone.
        for manifest in blobs.clone() {
            let path = self.root.join("blobs/sha256").join(&manifest);
            if std::fs::metadata(&path).is_ok_and(|meta| meta.len() < 1 << 20)
                && let Ok(bytes) = std::fs::read(&path)
                && let Ok(document) = serde_json::from_slice::<serde_json::Value>(&bytes)
                && let Some(config) = document.pointer("/config/digest").and_then(serde_json::Value::as_str)
            {
                blobs.insert(config.trim_start_matches("sha256:").to_owned());
            }
        }
        Ok((layers, blobs))
    }
}

fn remove_others(directory: &Path, keep: &HashSet<String>) -> Result<u64> {
    let mut freed = 0;
    for entry in std::fs::read_dir(directory).map_err(Error::io("read", directory))? {
        let entry = entry.map_err(Error::io("read", directory))?;
        if keep.contains(entry.file_name().to_string_lossy().as_ref()) {
            continue;
        }
        let path = entry.path();
        freed += measure(&path)?;
        let removed = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        removed.map_err(Error::io("remove", &path))?;
    }
    Ok(freed)
}

fn measure_children(directory: &Path) -> Result<(u64, u64)> {
    let mut total = (0, 0);
    for entry in std::fs::read_dir(directory).map_err(Error::io("read", directory))? {
        total.0 += 1;
        total.1 += measure(&entry.map_err(Error::io("read", directory))?.path())?;
    }
    Ok(total)
}

/// Bytes on disk of a file or of everything below a directory.
fn measure(path: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut total = 0;
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        let meta = match std::fs::symlink_metadata(&path) {
            Ok(meta) => meta,
            // Another process may be at work.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::io("examine", &path)(error)),
        };
        total += meta.blocks() * 512;
        if meta.is_dir() {
            let entries = std::fs::read_dir(&path).map_err(Error::io("read", &path))?;
            open.extend(entries.filter_map(std::result::Result::ok).map(|entry| entry.path()));
        }
    }
    Ok(total)
}
