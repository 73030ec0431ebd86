//! Images and their names, which indexes have too.

use std::collections::HashSet;

use kiln_image::{Digest, Platform, Reference};
use rusqlite::{OptionalExtension as _, Row, params};

use crate::Store;
use crate::error::{Error, Result};
use crate::ids::LayerId;
use crate::indexes::ImageIndex;
use crate::schema::immediate;
use crate::uses::Use;
use crate::values::{from_sql, parse_digest, to_sql};

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The digest of its config: docker's image ID. The config is a blob of the store.
    pub id: Digest,
    /// The digest of its manifest, if it was pulled or exported.
    pub manifest: Option<Digest>,
    /// Its layers, lowest first.
    pub layers: Vec<LayerId>,
    /// For what it is.
    pub platform: Platform,
    /// Unpacked bytes of all layers.
    pub size: u64,
    /// When it came into the store; seconds since 1970.
    pub created: i64,
}

const COLUMNS: &str = "images.id, images.manifest, images.layers, images.platform, images.size, images.created";

pub(crate) type Columns = (String, Option<String>, String, String, i64, i64);

pub(crate) fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
    ))
}

pub(crate) fn image((id, manifest, layers, platform, size, created): Columns) -> Result<Image> {
    let platform = platform.parse().map_err(|error| Error::Damaged(format!("{error}")))?;
    let layers = layers
        .split_whitespace()
        .map(|id| LayerId::parse(id.to_owned()))
        .collect::<Result<_>>()?;
    let manifest = manifest.as_deref().map(parse_digest).transpose()?;
    Ok(Image {
        id: parse_digest(&id)?,
        manifest,
        layers,
        platform,
        size: from_sql(size),
        created,
    })
}

/// What a name or an ID stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An image.
    Image(Image),
    /// Images of several platforms.
    Index(ImageIndex),
}

impl Entry {
    /// Its ID.
    pub const fn id(&self) -> &Digest {
        match self {
            Self::Image(image) => &image.id,
            Self::Index(index) => &index.id,
        }
    }

    /// The image, or the index's.
    pub fn images(&self) -> &[Image] {
        match self {
            Self::Image(image) => std::slice::from_ref(image),
            Self::Index(index) => &index.images,
        }
    }

    /// The image that serves the platform best.
    pub fn select(&self, platform: &Platform) -> Option<&Image> {
        match self {
            Self::Image(image) => platform.distance(&image.platform).map(|_| image),
            Self::Index(index) => index.select(platform),
        }
    }

    /// The image for the platform; where none is asked for an image is meant whatever it is for, and of an index that of
    /// this machine.
    pub fn meant(&self, asked: Option<&Platform>) -> Option<&Image> {
        match (self, asked) {
            (_, Some(platform)) => self.select(platform),
            (Self::Image(image), None) => Some(image),
            (Self::Index(index), None) => index.select(&Platform::host()),
        }
    }

    fn created(&self) -> i64 {
        match self {
            Self::Image(image) => image.created,
            Self::Index(index) => index.created,
        }
    }
}

/// What a text stands for among the images of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one at a time, never in numbers")]
pub enum Found {
    /// This; by that name, unless by its ID.
    One(Entry, Option<Reference>),
    /// Nothing that is there.
    Nothing,
    /// The beginning of the IDs of so many.
    Ambiguous(usize),
}

impl Store {
    /// What a name, an ID or the beginning of an ID means; a name comes first.
    pub fn find_image(&self, text: &str) -> Result<Found> {
        if let Ok(reference) = text.parse::<Reference>()
            && let Some(entry) = self.by_reference(&reference)?
        {
            return Ok(Found::One(entry, Some(reference)));
        }
        let prefix = text.strip_prefix("sha256:").unwrap_or(text);
        if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Found::Nothing);
        }
        let images = self.images()?.into_iter().map(Entry::Image);
        let mut all: Vec<Entry> = images.chain(self.indexes()?.into_iter().map(Entry::Index)).collect();
        all.retain(|entry| entry.id().hex().starts_with(prefix));
        let found = match &all[..] {
            [] => None,
            // Looked up again: now it is in use.
            [Entry::Image(image)] => self.image(&image.id)?.map(Entry::Image),
            [Entry::Index(index)] => self.index(&index.id)?.map(Entry::Index),
            several => return Ok(Found::Ambiguous(several.len())),
        };
        Ok(found.map_or(Found::Nothing, |entry| Found::One(entry, None)))
    }

    /// Adds an image, or what is newly known of it. Its config must be in the store.
    pub fn put_image(&self, image: &Image) -> Result<()> {
        self.uses(Use::Blob(image.id))?;
        let layers: Vec<&str> = image.layers.iter().map(LayerId::as_str).collect();
        self.db().execute(
            "INSERT INTO images (id, manifest, layers, platform, size, created) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET manifest = coalesce(excluded.manifest, manifest), layers = excluded.layers,
             size = excluded.size",
            params![
                image.id.to_string(),
                image.manifest.map(|digest| digest.to_string()),
                layers.join(" "),
                image.platform.to_string(),
                to_sql(image.size),
                image.created
            ],
        )?;
        Ok(())
    }

    /// The image with that ID.
    pub fn image(&self, id: &Digest) -> Result<Option<Image>> {
        self.one_image("id = ?", &id.to_string())
    }

    /// What has that name. Digests are those of manifests, in indexes too, and of indexes.
    pub fn by_reference(&self, reference: &Reference) -> Result<Option<Entry>> {
        if let Some(digest) = reference.digest() {
            if let Some(image) = self.one_image("manifest = ?", &digest.to_string())? {
                return Ok(Some(Entry::Image(image)));
            }
            if let Some(index) = self.index(&digest)? {
                return Ok(Some(Entry::Index(index)));
            }
            return Ok(self.image_of_index(&digest)?.map(Entry::Image));
        }
        let name = reference.to_string();
        if let Some(image) = self.one_image("id = (SELECT image FROM tags WHERE name = ?)", &name)? {
            return Ok(Some(Entry::Image(image)));
        }
        let index = self.one_index("id = (SELECT image FROM tags WHERE name = ?)", &name)?;
        Ok(index.map(Entry::Index))
    }

    fn one_image(&self, condition: &str, value: &str) -> Result<Option<Image>> {
        let db = self.look_up()?;
        let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM images WHERE {condition}"))?;
        let row = statement.query_row([value], columns).optional()?;
        let image = row.map(image).transpose()?;
        if let Some(image) = &image {
            db.uses(Use::Blob(image.id))?;
        }
        Ok(image)
    }

    /// All images, newest first.
    pub fn images(&self) -> Result<Vec<Image>> {
        let db = self.db();
        let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM images ORDER BY created DESC, id"))?;
        let rows: Vec<Columns> = statement.query_map([], columns)?.collect::<rusqlite::Result<_>>()?;
        rows.into_iter().map(image).collect()
    }

    /// All indexes and images, newest first; images that are only there for an index are not listed beside it.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let indexes = self.indexes()?;
        let inside: HashSet<Digest> = indexes
            .iter()
            .flat_map(|index| &index.images)
            .map(|image| image.id)
            .collect();
        let mut entries: Vec<Entry> = indexes.into_iter().map(Entry::Index).collect();
        for image in self.images()? {
            if !inside.contains(&image.id) || !self.names(&image.id)?.is_empty() {
                entries.push(Entry::Image(image));
            }
        }
        entries.sort_by_key(|entry| (std::cmp::Reverse(entry.created()), *entry.id()));
        Ok(entries)
    }

    /// The names of an image or index, sorted.
    pub fn names(&self, id: &Digest) -> Result<Vec<Reference>> {
        let db = self.db();
        let mut statement = db.prepare_cached("SELECT name FROM tags WHERE image = ? ORDER BY name")?;
        let names: Vec<String> = statement
            .query_map([id.to_string()], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        names
            .iter()
            .map(|name| name.parse().map_err(|error| Error::Damaged(format!("{error}"))))
            .collect()
    }

    /// Gives an image or index a name, taking it from another.
    pub fn tag(&self, name: &Reference, id: &Digest) -> Result<()> {
        self.db().execute(
            "INSERT OR REPLACE INTO tags (name, image) VALUES (?, ?)",
            [name.to_string(), id.to_string()],
        )?;
        Ok(())
    }

    /// Takes a name away. Nothing where nobody has it.
    pub fn untag(&self, name: &Reference) -> Result<()> {
        self.db()
            .execute("DELETE FROM tags WHERE name = ?", [name.to_string()])?;
        Ok(())
    }

    /// Forgets an image, which no index may have, and its names. Its layers stay for the cache until [`Store::prune`], or
    /// until their room is needed.
    pub fn remove_image(&self, id: &Digest) -> Result<()> {
        let mut db = self.db();
        let transaction = immediate(&mut db)?;
        transaction.execute("DELETE FROM tags WHERE image = ?", [id.to_string()])?;
        transaction.execute("DELETE FROM images WHERE id = ?", [id.to_string()])?;
        transaction.commit()?;
        drop(db);
        self.make_room_again()
    }

    /// What a name stood for when a registry was last asked: the manifest for the platform.
    pub fn resolution(&self, name: &Reference, platform: &Platform) -> Result<Option<Digest>> {
        let db = self.db();
        let mut statement = db.prepare_cached("SELECT manifest FROM resolutions WHERE name = ? AND platform = ?")?;
        let found: Option<String> = statement
            .query_row([name.to_string(), platform.to_string()], |row| row.get(0))
            .optional()?;
        found.as_deref().map(parse_digest).transpose()
    }

    /// Remembers what a registry said.
    pub fn put_resolution(&self, name: &Reference, platform: &Platform, manifest: &Digest) -> Result<()> {
        self.db().execute(
            "INSERT OR REPLACE INTO resolutions (name, platform, manifest) VALUES (?, ?, ?)",
            [name.to_string(), platform.to_string(), manifest.to_string()],
        )?;
        Ok(())
    }
}
