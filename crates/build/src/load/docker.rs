//! `manifest.json`: docker's list of the images of an archive.

use kiln_image::{Digest, Reference};
use kiln_store::Store;
use serde::Deserialize;

use super::{Archived, Entry, Files, lookup, not_an_image};
use crate::error::{Error, StepError, StepResult};
use crate::images::MAX_DOCUMENT;

/// Its name.
pub(crate) const LIST: &str = "manifest.json";

/// One image of the list.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Listed {
    /// The file that is its config.
    pub(crate) config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    /// The files that are its layers, lowest first.
    #[serde(default)]
    pub(crate) layers: Vec<String>,
}

impl Listed {
    /// Its names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.repo_tags.iter().flatten().map(String::as_str)
    }
}

/// The images of an archive with that list.
pub(super) fn entries(store: &Store, files: &Files, list: &Digest) -> Result<Vec<Entry>, Error> {
    let bytes = store.read_blob(list, MAX_DOCUMENT).map_err(StepError::from)?;
    let listed: Vec<Listed> = serde_json::from_slice(&bytes).map_err(|error| not_an_image(LIST, error))?;
    let entries: StepResult<Vec<Entry>> = listed.iter().map(|image| entry(files, image)).collect();
    Ok(entries?)
}

fn entry(files: &Files, image: &Listed) -> StepResult<Entry> {
    let name = |tag: &str| -> StepResult<Reference> {
        tag.parse()
            .map_err(|error| StepError::Invalid(format!("{LIST}: {error}")))
    };
    let archived = Archived {
        config: lookup(files, &image.config, LIST)?,
        manifest: None,
        blobs: image
            .layers
            .iter()
            .map(|path| lookup(files, path, LIST))
            .collect::<StepResult<_>>()?,
        platform: None,
    };
    Ok(Entry {
        images: vec![archived],
        index: None,
        left_out: 0,
        names: image.names().map(name).collect::<StepResult<_>>()?,
    })
}
