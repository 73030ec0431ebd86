//! Indexes: images of several platforms under one ID.

use kiln_image::{Digest, Platform};
use rusqlite::{Connection, params};

use crate::Store;
use crate::error::{Error, Result};
use crate::images::{Columns, Image, columns, image};
use crate::schema::immediate;
use crate::uses::Use;
use crate::values::{parse_digest, to_sql};

/// Images of several platforms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageIndex {
    /// The digest of the index, which is a blob of the store.
    pub id: Digest,
    /// The images in its order, each with the manifest and the platform that the index says. They are images of the
    /// store in their own right.
    pub images: Vec<Image>,
    /// When it came into the store; seconds since 1970.
    pub created: i64,
}

impl ImageIndex {
    /// The image that serves the platform best.
    pub fn select(&self, platform: &Platform) -> Option<&Image> {
        let fitting = self
            .images
            .iter()
            .filter_map(|image| Some((platform.distance(&image.platform)?, image)));
        fitting.min_by_key(|(distance, _)| *distance).map(|(_, image)| image)
    }
}

impl Store {
    /// Adds an index whose images are there, and whose blob and manifests are. What is there already stays as it is: the ID
    /// says all of it.
    pub fn put_index(&self, index: &ImageIndex) -> Result<()> {
        self.uses(Use::Blob(index.id))?;
        let mut db = self.db();
        let transaction = immediate(&mut db)?;
        transaction.execute(
            "INSERT OR IGNORE INTO indexes (id, created) VALUES (?, ?)",
            params![index.id.to_string(), index.created],
        )?;
        for (position, image) in index.images.iter().enumerate() {
            let manifest = image.manifest.ok_or_else(|| {
                Error::Damaged(format!(
                    "the index {} was to name the image {}, which has no manifest",
                    index.id, image.id
                ))
            })?;
            transaction.execute(
                "INSERT OR IGNORE INTO index_images (image_index, position, image, manifest, platform)
                 VALUES (?, ?, ?, ?, ?)",
                params![
                    index.id.to_string(),
                    to_sql(position as u64),
                    image.id.to_string(),
                    manifest.to_string(),
                    image.platform.to_string()
                ],
            )?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// The index with that ID.
    pub fn index(&self, id: &Digest) -> Result<Option<ImageIndex>> {
        self.one_index("id = ?", &id.to_string())
    }

    /// All indexes, newest first.
    pub fn indexes(&self) -> Result<Vec<ImageIndex>> {
        self.indexes_where("TRUE", &[])
    }

    /// The image that an index has under that manifest.
    pub(crate) fn image_of_index(&self, manifest: &Digest) -> Result<Option<Image>> {
        let condition = "id IN (SELECT image_index FROM index_images WHERE manifest = ?)";
        let indexes = self.indexes_where(condition, &[&manifest.to_string()])?;
        let mut images = indexes.into_iter().flat_map(|index| index.images);
        Ok(images.find(|image| image.manifest == Some(*manifest)))
    }

    /// The indexes that an image is in.
    pub fn indexes_of(&self, image: &Digest) -> Result<Vec<ImageIndex>> {
        let condition = "id IN (SELECT image_index FROM index_images WHERE image = ?)";
        self.indexes_where(condition, &[&image.to_string()])
    }

    /// One that will be used.
    pub(crate) fn one_index(&self, condition: &str, value: &str) -> Result<Option<ImageIndex>> {
        let db = self.look_up()?;
        let index = indexes_in(&db, condition, &[value])?.pop();
        if let Some(index) = &index {
            db.uses(Use::Blob(index.id))?;
        }
        Ok(index)
    }

    fn indexes_where(&self, condition: &str, values: &[&str]) -> Result<Vec<ImageIndex>> {
        indexes_in(&self.db(), condition, values)
    }

    /// Forgets an index and its names, and those of its images that nothing else names. Layers stay for the cache until
    /// [`Store::prune`].
    pub fn remove_index(&self, id: &Digest) -> Result<()> {
        let mut db = self.db();
        let transaction = immediate(&mut db)?;
        let id = id.to_string();
        let images: Vec<String> = transaction
            .prepare("SELECT DISTINCT image FROM index_images WHERE image_index = ?")?
            .query_map([&id], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        transaction.execute("DELETE FROM tags WHERE image = ?", [&id])?;
        transaction.execute("DELETE FROM indexes WHERE id = ?", [&id])?;
        for image in images {
            transaction.execute(
                "DELETE FROM images WHERE id = ? AND id NOT IN (SELECT image FROM tags)
                 AND id NOT IN (SELECT image FROM index_images)",
                [image],
            )?;
        }
        transaction.commit()?;
        drop(db);
        self.make_room_again()
    }
}

fn indexes_in(db: &Connection, condition: &str, values: &[&str]) -> Result<Vec<ImageIndex>> {
    let query = format!("SELECT id, created FROM indexes WHERE {condition} ORDER BY created DESC, id");
    let mut statement = db.prepare_cached(&query)?;
    let found = statement.query_map(rusqlite::params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let found: Vec<(String, i64)> = found.collect::<rusqlite::Result<_>>()?;
    let mut images = db.prepare_cached(
        "SELECT images.id, index_images.manifest, images.layers, index_images.platform, images.size, images.created
         FROM index_images JOIN images ON images.id = index_images.image WHERE image_index = ? ORDER BY position",
    )?;
    let mut indexes = Vec::new();
    for (id, created) in found {
        let rows: Vec<Columns> = images.query_map([&id], columns)?.collect::<rusqlite::Result<_>>()?;
        indexes.push(ImageIndex {
            id: parse_digest(&id)?,
            images: rows.into_iter().map(image).collect::<Result<_>>()?,
            created,
        });
    }
    Ok(indexes)
}
