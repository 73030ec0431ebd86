//! An image of the store, to be looked into.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use kiln_image::{HistoryEntry, ImageConfig};
use kiln_store::{LayerId, Maker, Store};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use crate::error::Error;
use crate::index::{LayerIndex, open};
use crate::tree::{Place, Tree};

/// An image.
#[derive(Debug)]
pub struct Image {
    /// Its config.
    pub config: ImageConfig,
    /// Its layers, the lowest first.
    pub layers: Vec<Layer>,
    indexes: Vec<LayerIndex>,
    directories: Vec<OwnedFd>,
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
        let mut directories = Vec::with_capacity(layers.len());
        let mut known = Vec::with_capacity(layers.len());
        let history = history(&config, layers.len());
        for (number, id) in layers.iter().enumerate() {
            let missing = || Error::Missing { layer: id.to_string() };
            let row = store.layer(id)?.ok_or_else(missing)?;
            let index = LayerIndex::of_layer(store, id)?;
            directories.push(open(&store.layer_path(id))?);
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
            directories,
        })
    }

    /// What is in the layers, the lowest first.
    pub fn indexes(&self) -> &[LayerIndex] {
        &self.indexes
    }

    /// Opens a file of the image. Its layer is in the store's own directory, and no link is followed on the way: what the
    /// path leads through was looked up before.
    pub fn open_file(&self, tree: &Tree<'_>, place: Place) -> Result<File, Error> {
        debug_assert_eq!(tree.layers().len(), self.indexes.len());
        self.open_place(place)
    }

    /// The same for whoever has no tree.
    pub fn open_place(&self, place: Place) -> Result<File, Error> {
        let layer = place.layer as usize;
        let path = self.indexes[layer].path(place.entry);
        let directory = &self.directories[layer];
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let opened = openat2(directory, &*path, flags, Mode::empty(), resolve);
        opened.map(File::from).map_err(|errno| Error::File {
            path: PathBuf::from(OsString::from_vec(path)),
            source: errno.into(),
        })
    }

    /// The first bytes of a file, no more than `limit`.
    pub fn read_file(&self, tree: &Tree<'_>, place: Place, limit: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let read = self.open_file(tree, place)?.take(limit).read_to_end(&mut bytes);
        read.map_err(|source| Error::File {
            path: PathBuf::from(OsString::from_vec(tree.path_of(place))),
            source,
        })?;
        Ok(bytes)
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
