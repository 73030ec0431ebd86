//! An image of the store, to be looked into.

use kiln_image::{HistoryEntry, ImageConfig};
use kiln_store::{LayerId, Maker, Store};

use crate::error::Error;
use crate::index::LayerIndex;

/// An image.
#[derive(Debug)]
pub struct Image {
    /// Its config.
    pub config: ImageConfig,
    /// Its layers, the lowest first.
    pub layers: Vec<Layer>,
    indexes: Vec<LayerIndex>,
}

/// What is known of a layer besides what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its name in the store.
    pub id: LayerId,
    /// Bytes of its files.
    pub bytes: u64,
    /// Bytes of its smallest compressed form, if the store has one.
    pub compressed: Option<u64>,
    /// The entry of the image's history that it belongs to, if the history tells.
    pub history: Option<usize>,
    /// The step that made it, if that is known.
    pub maker: Option<Maker>,
}

impl Image {
    /// Looks into an image whose layers are in the store. The caller has it in use.
    pub fn open(store: &Store, config: ImageConfig, layers: &[LayerId]) -> Result<Self, Error> {
        let mut indexes = Vec::with_capacity(layers.len());
        let mut known = Vec::with_capacity(layers.len());
        let history = history(&config, layers.len());
        for (number, id) in layers.iter().enumerate() {
            let missing = || Error::Missing { layer: id.to_string() };
            let row = store.layer(id)?.ok_or_else(missing)?;
            let index = LayerIndex::of_layer(store, id)?;
            known.push(Layer {
                id: id.clone(),
                bytes: index.bytes(),
                compressed: row.blobs.iter().map(|blob| blob.size).min(),
                history: history.get(number).copied(),
                maker: store.maker(id)?,
            });
            indexes.push(index);
        }
        Ok(Self {
            config,
            layers: known,
            indexes,
        })
    }

    /// What is in the layers, the lowest first.
    pub fn indexes(&self) -> &[LayerIndex] {
        &self.indexes
    }

    /// The entry of the history that says how a layer was made.
    pub fn history_of(&self, layer: usize) -> Option<&HistoryEntry> {
        self.config.history.get(self.layers.get(layer)?.history?)
    }
}

/// The entries of the history that made layers; none where they are not as many as there are layers.
fn history(config: &ImageConfig, layers: usize) -> Vec<usize> {
    let entries = config.history.iter().enumerate();
    let made: Vec<usize> = entries
        .filter(|(_, entry)| !entry.empty_layer)
        .map(|(at, _)| at)
        .collect();
    if made.len() == layers { made } else { Vec::new() }
}
