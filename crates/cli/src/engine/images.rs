//! Images of the store by name and ID.

use std::collections::BTreeMap;

use kiln_build::SourceImage;
use kiln_image::{Digest, ImageConfig, Platform, Reference};
use kiln_store::{Entry, Found, Image, LayerId, Maker};

use super::Engine;
use crate::failure::{Failure, Outcome};
use crate::glob::matches;
use crate::time;

/// An image, or an index of images for several platforms, under one of its names.
#[derive(Debug, Clone)]
pub(crate) struct ImageRow {
    /// The digest of its config; of an index its own.
    pub(crate) id: Digest,
    /// The digest of the config that stands for it: of an index that of this machine's image, else of the first.
    pub(crate) config: Digest,
    /// The digest of its manifest or index, if it has one.
    pub(crate) manifest: Option<Digest>,
    /// All its names.
    pub(crate) names: Vec<Reference>,
    /// Its name as people write it; none if it has none.
    pub(crate) repository: Option<String>,
    /// The tag.
    pub(crate) tag: Option<String>,
    /// Seconds since 1970.
    pub(crate) created: i64,
    /// Unpacked bytes.
    pub(crate) size: u64,
    /// For what it is; of an index all of them.
    pub(crate) platform: String,
    /// Its labels.
    pub(crate) labels: BTreeMap<String, String>,
}

/// An entry of an image's history.
#[derive(Debug, Clone)]
pub(crate) struct HistoryRow {
    /// Seconds since 1970.
    pub(crate) created: i64,
    /// The command.
    pub(crate) created_by: String,
    /// Bytes of its layer, if these are known; 0 if it made none.
    pub(crate) size: Option<u64>,
    /// Who made it.
    pub(crate) comment: String,
    /// Bytes of its layer's smallest compressed form, if the store has one.
    pub(crate) compressed: Option<u64>,
    /// The step that made its layer, if that is known.
    pub(crate) maker: Option<Maker>,
}

impl ImageRow {
    /// Whether the name is `pattern`: a repository, or repository and tag; `*` and `?` match.
    pub(crate) fn matches(&self, pattern: &str) -> bool {
        let Some(repository) = &self.repository else {
            return false;
        };
        let tag = self.tag.as_deref().unwrap_or_default();
        let pattern = pattern
            .strip_prefix("docker.io/library/")
            .or_else(|| pattern.strip_prefix("docker.io/"))
            .unwrap_or(pattern);
        // A colon after the last slash separates a tag; before it a port.
        match pattern.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
            Some((name, wanted)) => matches(name, repository) && matches(wanted, tag),
            None => matches(pattern, repository),
        }
    }

    fn new(entry: &Entry, names: Vec<Reference>, shown: &Image, config: &ImageConfig) -> Self {
        let images = entry.images();
        let platforms: Vec<String> = images.iter().map(|image| image.platform.to_string()).collect();
        Self {
            id: *entry.id(),
            config: shown.id,
            manifest: match entry {
                Entry::Image(image) => image.manifest,
                Entry::Index(index) => Some(index.id),
            },
            names,
            repository: None,
            tag: None,
            created: config.created.as_deref().map_or(0, time::parse),
            size: images.iter().map(|image| image.size).sum(),
            platform: platforms.join(", "),
            labels: config.config.labels.clone(),
        }
    }

    fn named(&self, name: &Reference) -> Self {
        Self {
            repository: Some(name.familiar_name()),
            tag: name.tag().map(ToOwned::to_owned),
            ..self.clone()
        }
    }
}

impl Engine {
    /// All images, once for each of their names.
    pub(crate) fn images(&self) -> Result<Vec<ImageRow>, Failure> {
        let mut rows = Vec::new();
        for entry in self.store.entries().map_err(Failure::internal)? {
            let row = self.row(&entry, self.names(entry.id())?)?;
            if row.names.is_empty() {
                rows.push(row);
            } else {
                rows.extend(row.names.iter().map(|name| row.named(name)));
            }
        }
        Ok(rows)
    }

    /// The image that a name, an ID or the beginning of an ID means; of an index the one for the platform, if that is
    /// asked for.
    pub(crate) fn find(&self, text: &str, platform: Option<&Platform>) -> Result<ImageRow, Failure> {
        let found = self.find_entry(text)?;
        let names = self.names(found.id())?;
        let entry = match platform {
            None => found,
            Some(platform) => Entry::Image(found.select(platform).cloned().ok_or_else(|| {
                let offered: Vec<String> = found.images().iter().map(|image| image.platform.to_string()).collect();
                let message = anyhow::anyhow!("{text} has no image for {platform}; it has {}", offered.join(", "));
                Failure::failed(message).id("NoMatchingPlatform")
            })?),
        };
        let row = self.row(&entry, names)?;
        let name: Option<Reference> = text.parse().ok();
        let named = row.names.iter().find(|known| Some(*known) == name.as_ref());
        Ok(named.map_or_else(|| row.clone(), |name| row.named(name)))
    }

    /// The image of that name or ID, if the store has it.
    pub(crate) fn find_named(&self, text: &str) -> Result<Option<ImageRow>, Failure> {
        match self.store.find_image(text).map_err(Failure::internal)? {
            Found::One(entry, _) => self.row(&entry, self.names(entry.id())?).map(Some),
            Found::Nothing | Found::Ambiguous(_) => Ok(None),
        }
    }

    fn row(&self, entry: &Entry, names: Vec<Reference>) -> Result<ImageRow, Failure> {
        let shown = entry.meant(None).or(entry.images().first());
        let shown = shown.ok_or_else(|| Failure::internal(anyhow::anyhow!("the index {} has no image", entry.id())))?;
        Ok(ImageRow::new(entry, names, shown, &self.image_config(&shown.id)?))
    }

    fn find_entry(&self, text: &str) -> Result<Entry, Failure> {
        match self.store.find_image(text).map_err(Failure::internal)? {
            Found::One(entry, _) => Ok(entry),
            Found::Nothing => Err(Failure::failed(anyhow::anyhow!("no such image: {text}"))
                .hint("`kiln images` lists those that are there; `docker://NAME` means one of a registry")),
            Found::Ambiguous(count) => Err(Failure::failed(anyhow::anyhow!(
                "{text} is ambiguous: {count} images' IDs begin so"
            ))),
        }
    }

    fn names(&self, id: &Digest) -> Result<Vec<Reference>, Failure> {
        self.store.names(id).map_err(Failure::internal)
    }

    pub(super) fn image_config(&self, id: &Digest) -> Result<ImageConfig, Failure> {
        let bytes = self.config(id)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Failure::internal(anyhow::anyhow!("the config {id} is damaged: {error}")))
    }

    /// What was done to make an image of the store, oldest first.
    pub(crate) fn history(&self, image: &ImageRow) -> Result<Vec<HistoryRow>, Failure> {
        let config = self.image_config(&image.config)?;
        let image = self.store.image(&image.config).map_err(Failure::internal)?;
        let layers: Vec<_> = image
            .iter()
            .flat_map(|image| &image.layers)
            .map(|id| (id.clone(), None))
            .collect();
        self.rows_of_history(&config, &layers)
    }

    /// What was done to make an image that is anywhere, oldest first. Layers are not read for it.
    pub(crate) fn history_of(&self, source: &SourceImage) -> Result<Vec<HistoryRow>, Failure> {
        let layers = source.layers.iter();
        let layers: Vec<_> = layers.map(|layer| (layer.id.clone(), layer.compressed())).collect();
        self.rows_of_history(&source.config, &layers)
    }

    /// Of layers by their names in the store, with their compressed bytes where these are known.
    fn rows_of_history(
        &self,
        config: &ImageConfig,
        layers: &[(LayerId, Option<u64>)],
    ) -> Result<Vec<HistoryRow>, Failure> {
        let mut layers = layers.iter().zip(&config.rootfs.diff_ids);
        let mut rows = Vec::new();
        for entry in &config.history {
            let layer = if entry.empty_layer { None } else { layers.next() };
            let mut row = HistoryRow {
                created: entry.created.as_deref().map_or(0, time::parse),
                created_by: entry.created_by.clone(),
                size: Some(0),
                comment: entry.comment.clone(),
                compressed: None,
                maker: None,
            };
            if let Some(((id, compressed), diff_id)) = layer {
                let known = self.store.layer(id).map_err(Failure::internal)?;
                row.size = match &known {
                    Some(known) => Some(known.size),
                    None => kiln_inspect::remembered_bytes(&self.store, diff_id).map_err(Failure::internal)?,
                };
                let smallest = known.and_then(|known| known.blobs.iter().map(|blob| blob.size).min());
                row.compressed = smallest.or(*compressed);
                row.maker = self.store.maker(id).map_err(Failure::internal)?;
            }
            rows.push(row);
        }
        Ok(rows)
    }

    /// Gives an image another name.
    pub(crate) fn tag(&self, image: &ImageRow, name: &Reference) -> Outcome {
        self.store.tag(name, &image.id).map_err(Failure::internal)
    }

    /// Removes a name, and the image if it was its last one; by ID, the image. Says what was done.
    pub(crate) fn remove(&self, text: &str, force: bool) -> Result<Vec<String>, Failure> {
        let entry = match self.find_entry(text) {
            Ok(entry) => entry,
            Err(failure) if force && failure.code == crate::failure::FAILED => return Ok(Vec::new()),
            Err(failure) => return Err(failure),
        };
        let names = self.names(entry.id())?;
        let given: Option<Reference> = text.parse().ok();
        let gone: Vec<Reference> = match names.iter().find(|name| Some(*name) == given.as_ref()) {
            Some(name) => vec![name.clone()],
            None if names.len() > 1 && !force => {
                let familiar: Vec<String> = names.iter().map(Reference::familiar).collect();
                let message = anyhow::anyhow!(
                    "image {} has several names: {}",
                    entry.id().short(),
                    familiar.join(", ")
                );
                return Err(Failure::failed(message).hint("remove them one by one, or all of them with --force"));
            }
            None => names.clone(),
        };
        let last = gone.len() == names.len();
        let holders = self.store.indexes_of(entry.id()).map_err(Failure::internal)?;
        if let (Some(index), true) = (holders.first(), gone.is_empty()) {
            let message = anyhow::anyhow!("image {} is one of the index {}", entry.id().short(), index.id.short());
            return Err(Failure::failed(message).hint("remove the index: its images go with it"));
        }
        let mut lines = Vec::new();
        for name in &gone {
            self.store.untag(name).map_err(Failure::internal)?;
            lines.push(format!("Untagged: {}", name.familiar()));
        }
        // An image that is also one of an index stays for that.
        if last && holders.is_empty() {
            let removed = match &entry {
                Entry::Image(image) => self.store.remove_image(&image.id),
                Entry::Index(index) => self.store.remove_index(&index.id),
            };
            removed.map_err(Failure::internal)?;
            lines.push(format!("Deleted: {}", entry.id()));
        }
        Ok(lines)
    }
}
