//! Images of the store by name and ID.

use std::collections::BTreeMap;

use kiln_image::{Digest, ImageConfig, Reference};
use kiln_store::{Found, Image};

use super::Engine;
use crate::failure::{Failure, Outcome};
use crate::glob::matches;
use crate::time;

/// An image under one of its names.
#[derive(Debug, Clone)]
pub(crate) struct ImageRow {
    /// The digest of its config.
    pub(crate) id: Digest,
    /// The digest of its manifest, if it has one.
    pub(crate) manifest: Option<Digest>,
    /// Its name as people write it; none if it has none.
    pub(crate) repository: Option<String>,
    /// The tag.
    pub(crate) tag: Option<String>,
    /// Seconds since 1970.
    pub(crate) created: i64,
    /// Unpacked bytes.
    pub(crate) size: u64,
    /// For what it is.
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
    /// Bytes of its layer; 0 if it made none.
    pub(crate) size: u64,
    /// Who made it.
    pub(crate) comment: String,
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

    fn new(image: &Image, name: Option<&Reference>, config: &ImageConfig) -> Self {
        Self {
            id: image.id,
            manifest: image.manifest,
            repository: name.map(Reference::familiar_name),
            tag: name.and_then(|name| name.tag().map(ToOwned::to_owned)),
            created: config.created.as_deref().map_or(0, time::parse),
            size: image.size,
            platform: image.platform.to_string(),
            labels: config.config.labels.clone(),
        }
    }
}

impl Engine {
    /// All images, once for each of their names.
    pub(crate) fn images(&self) -> Result<Vec<ImageRow>, Failure> {
        let mut rows = Vec::new();
        for image in self.store.images().map_err(Failure::internal)? {
            let names = self.names(&image.id)?;
            let config = self.image_config(&image.id)?;
            if names.is_empty() {
                rows.push(ImageRow::new(&image, None, &config));
            }
            rows.extend(names.iter().map(|name| ImageRow::new(&image, Some(name), &config)));
        }
        Ok(rows)
    }

    /// The image that a name, an ID or the beginning of an ID means.
    pub(crate) fn find(&self, text: &str) -> Result<ImageRow, Failure> {
        let image = self.find_image(text)?;
        let config = self.image_config(&image.id)?;
        let name: Option<Reference> = text.parse().ok();
        let names = self.names(&image.id)?;
        Ok(ImageRow::new(
            &image,
            names.iter().find(|known| Some(*known) == name.as_ref()),
            &config,
        ))
    }

    pub(super) fn find_image(&self, text: &str) -> Result<Image, Failure> {
        match self.store.find_image(text).map_err(Failure::internal)? {
            Found::Image(image, _) => Ok(image),
            Found::Nothing => Err(Failure::failed(anyhow::anyhow!("no such image: {text}"))
                .hint("`kiln images` lists those that are there; `kiln pull` gets others")),
            Found::Ambiguous(count) => Err(Failure::failed(anyhow::anyhow!(
                "{text} is ambiguous: {count} images' IDs begin so"
            ))),
        }
    }

    pub(super) fn names(&self, id: &Digest) -> Result<Vec<Reference>, Failure> {
        self.store.names(id).map_err(Failure::internal)
    }

    pub(super) fn image_config(&self, id: &Digest) -> Result<ImageConfig, Failure> {
        let bytes = self.config(id)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Failure::internal(anyhow::anyhow!("the config {id} is damaged: {error}")))
    }

    /// What was done to make an image, oldest first.
    pub(crate) fn history(&self, image: &ImageRow) -> Result<Vec<HistoryRow>, Failure> {
        let config = self.image_config(&image.id)?;
        let layers = self
            .store
            .image(&image.id)
            .map_err(Failure::internal)?
            .map(|image| image.layers)
            .unwrap_or_default();
        let mut layers = layers.iter();
        let mut rows = Vec::new();
        for entry in &config.history {
            let layer = if entry.empty_layer { None } else { layers.next() };
            let size = match layer {
                Some(layer) => self
                    .store
                    .layer(layer)
                    .map_err(Failure::internal)?
                    .map_or(0, |row| row.size),
                None => 0,
            };
            rows.push(HistoryRow {
                created: entry.created.as_deref().map_or(0, time::parse),
                created_by: entry.created_by.clone(),
                size,
                comment: entry.comment.clone(),
            });
        }
        Ok(rows)
    }

    /// Gives an image another name.
    pub(crate) fn tag(&self, image: &ImageRow, name: &Reference) -> Outcome {
        self.store.tag(name, &image.id).map_err(Failure::internal)
    }

    /// Removes a name, and the image if it was its last one; by ID, the image. Says what was done.
    pub(crate) fn remove(&self, text: &str, force: bool) -> Result<Vec<String>, Failure> {
        let image = match self.find_image(text) {
            Ok(image) => image,
            Err(failure) if force && failure.code == crate::failure::FAILED => return Ok(Vec::new()),
            Err(failure) => return Err(failure),
        };
        let names = self.names(&image.id)?;
        let given: Option<Reference> = text.parse().ok();
        let gone: Vec<Reference> = match names.iter().find(|name| Some(*name) == given.as_ref()) {
            Some(name) => vec![name.clone()],
            None if names.len() > 1 && !force => {
                let familiar: Vec<String> = names.iter().map(Reference::familiar).collect();
                let message = anyhow::anyhow!("image {} has several names: {}", image.id.short(), familiar.join(", "));
                return Err(Failure::failed(message).hint("remove them one by one, or all of them with --force"));
            }
            None => names.clone(),
        };
        let mut lines = Vec::new();
        for name in &gone {
            self.store.untag(name).map_err(Failure::internal)?;
            lines.push(format!("Untagged: {}", name.familiar()));
        }
        if gone.len() == names.len() {
            self.store.remove_image(&image.id).map_err(Failure::internal)?;
            lines.push(format!("Deleted: {}", image.id));
        }
        Ok(lines)
    }
}
