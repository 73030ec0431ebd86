//! What the store knows of an image, for those who only ask in passing.

use std::collections::{HashMap, HashSet};

use kiln_image::{Digest, ImageConfig, Manifest, Platform, Reference};
use kiln_store::{Build, Store};
use serde::de::DeserializeOwned;

use super::LARGEST_DOCUMENT;
use crate::settings::Settings;

/// An image that the store knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownImage {
    /// As people write it.
    pub(crate) name: String,
    /// What it weighs.
    pub(crate) weight: Weight,
    /// For what it is.
    pub(crate) platform: Platform,
    /// The variables that it sets.
    pub(crate) environment: Vec<(String, String)>,
}

/// Bytes of an image's layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Unpacked.
    Unpacked(u64),
    /// As its registry has them.
    Compressed(u64),
}

/// What the store knows of the image of that name, if there is a store and it knows it. Nothing is fetched or made.
pub(crate) fn known_image(settings: &Settings, name: &str) -> Option<KnownImage> {
    let reference: Reference = name.parse().ok()?;
    let store = open(settings).ok()??;
    let (config, weight) = find(&store, &reference)?;
    let config: ImageConfig = document(&store, &config)?;
    let pair = |text: &String| {
        let (name, value) = text.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    Some(KnownImage {
        name: reference.familiar(),
        weight,
        platform: config.platform(),
        environment: config.config.env.iter().filter_map(pair).collect(),
    })
}

/// The unpacked bytes that the steps of these names added in the newest build that had them all, if all of that is still there.
pub(crate) fn known_weight(settings: &Settings, steps: &[String]) -> Option<u64> {
    let store = open(settings).ok()??;
    let has_all = |build: &Build| {
        let names = store.build_steps(build.id).unwrap_or_default();
        let names: HashSet<String> = names.into_iter().map(|step| step.name).collect();
        steps.iter().all(|step| names.contains(step))
    };
    let build = store.builds().ok()?.into_iter().find(has_all)?;
    let layers = store.layers_of_build(build.id).ok()?.into_iter();
    let sizes: HashMap<String, u64> = layers.map(|(step, _, size)| (step, size)).collect();
    steps.iter().map(|step| sizes.get(step)).sum()
}

/// The store, if there is one.
pub(super) fn open(settings: &Settings) -> Result<Option<Store>, kiln_store::Error> {
    let root = settings.root().ok().filter(|root| Store::is_in(root));
    root.map(|root| Store::open(&root)).transpose()
}

/// The digest of its config, and its weight.
fn find(store: &Store, reference: &Reference) -> Option<(Digest, Weight)> {
    if let Some(entry) = store.by_reference(reference).ok()? {
        let image = entry.meant(None)?;
        return Some((image.id, Weight::Unpacked(image.size)));
    }
    // What builds stand on is known by its manifest.
    let digest = store.resolution(reference, &Platform::host()).ok()??;
    let manifest: Manifest = document(store, &digest)?;
    let compressed = manifest.layers.iter().map(|layer| layer.size).sum();
    Some((manifest.config.digest, Weight::Compressed(compressed)))
}

fn document<T: DeserializeOwned>(store: &Store, digest: &Digest) -> Option<T> {
    let bytes = store.read_blob(digest, LARGEST_DOCUMENT).ok()?;
    serde_json::from_slice(&bytes).ok()
}
