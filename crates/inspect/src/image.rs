//! An image to be looked into: of the store, or from wherever somebody reads its layers.

mod bulk;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use kiln_image::{Digest, HistoryEntry, ImageConfig};
use kiln_store::{LayerId, Maker, Store};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use crate::error::{Error, path};
use crate::index::{Excerpt, Excerpts, LayerIndex, Program, Survey, open};
use crate::reread;
use crate::tree::{Place, Tree};

pub use bulk::Piece;

/// An image.
#[derive(Debug)]
pub struct Image {
    /// Its config.
    pub config: ImageConfig,
    /// Its layers, the lowest first.
    pub layers: Vec<Layer>,
    indexes: Vec<LayerIndex>,
    contents: Vec<Contents>,
    tars: Box<dyn Tars>,
    reread: AtomicUsize,
}

/// What is known of a layer besides what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its name in the store, which may not have it.
    pub id: LayerId,
    /// Bytes of its files.
    pub bytes: u64,
    /// Bytes of its smallest compressed form, if one is known.
    pub compressed: Option<u64>,
    /// The entry of the image's history that it belongs to, if the history tells.
    pub history: Option<usize>,
    /// The step that made it, if that is known.
    pub maker: Option<Maker>,
}

/// Reads layers that are not in the store.
pub trait Tars: std::fmt::Debug + Send + Sync {
    /// Reads those layers (0 is the lowest), perhaps several at the same time, and gives each one's tar to `take` once. The
    /// tars are not compressed, and have the digests that the image's config says if this succeeds.
    fn read(
        &self,
        layers: &[usize],
        take: &(dyn Fn(usize, &mut dyn Read) + Sync),
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

/// Of an image that the store has whole.
#[derive(Debug, Clone, Copy)]
pub struct NoTars;

impl Tars for NoTars {
    fn read(
        &self,
        _: &[usize],
        _: &(dyn Fn(usize, &mut dyn Read) + Sync),
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Err("the image's layers are not in the store".into())
    }
}

/// Where the contents of a layer's files are.
#[derive(Debug)]
enum Contents {
    /// In a directory of the store.
    Directory(OwnedFd),
    /// Elsewhere; this was kept of them.
    Excerpts(Excerpts),
}

/// What is in a layer.
type Looked = (LayerIndex, Contents);

/// How often a layer is read again for a file of which nothing was kept. That is seldom; an image may be made to do so.
const MOST_REREAD: usize = 64;

/// More bytes of a file are not read into memory.
const MOST_BYTES: u64 = 256 << 20;

impl Image {
    /// Looks into an image. Of layers that the store has nothing is read but what nobody has looked at yet; what it knows
    /// of others from before is not read again, and `tars` reads the rest, once each. `layers` are the names that they have
    /// in the store, or would have. The caller has the store in use.
    pub fn open(store: &Store, config: ImageConfig, layers: &[LayerId], tars: Box<dyn Tars>) -> Result<Self, Error> {
        let mut looked = BTreeMap::new();
        let mut known = Vec::with_capacity(layers.len());
        let history = history(&config, layers.len());
        for (number, id) in layers.iter().enumerate() {
            let row = store.layer(id)?;
            if row.is_some() {
                let index = LayerIndex::of_layer(store, id)?;
                let directory = open(&store.layer_path(id))?;
                looked.insert(number, (index, Contents::Directory(directory)));
            } else if let Some(survey) = Survey::remembered(store, diff_id(&config, number)?)? {
                looked.insert(number, (survey.index, Contents::Excerpts(survey.excerpts)));
            }
            known.push(Layer {
                id: id.clone(),
                bytes: 0,
                compressed: row.and_then(|row| row.blobs.iter().map(|blob| blob.size).min()),
                history: history.get(number).copied(),
                maker: store.maker(id)?,
            });
        }
        let missing: Vec<usize> = (0..layers.len())
            .filter(|number| !looked.contains_key(number))
            .collect();
        looked.extend(survey(store, &config, &missing, &*tars)?);
        let (indexes, contents): (Vec<_>, Vec<_>) = looked.into_values().unzip();
        for (layer, index) in known.iter_mut().zip(&indexes) {
            layer.bytes = index.bytes();
        }
        Ok(Self {
            config,
            layers: known,
            indexes,
            contents,
            tars,
            reread: AtomicUsize::new(0),
        })
    }

    /// What is in the layers, the lowest first.
    pub fn indexes(&self) -> &[LayerIndex] {
        &self.indexes
    }

    /// The first bytes of a file, no more than `limit`.
    pub fn read_file(&self, tree: &Tree<'_>, place: Place, limit: u64) -> Result<Vec<u8>, Error> {
        let (first, entry) = tree.content(place);
        let file = match &self.contents[first.layer as usize] {
            Contents::Directory(directory) => open_file(directory, tree.path_of(place))?,
            Contents::Excerpts(excerpts) => match excerpts.get(first.entry) {
                Some(Excerpt::Text(text)) => {
                    let length = usize::try_from(limit).map_or(text.len(), |limit| limit.min(text.len()));
                    return Ok(text[..length].to_vec());
                }
                _ if entry.size == 0 => return Ok(Vec::new()),
                _ => return self.reread(tree, first, limit),
            },
        };
        let mut bytes = Vec::new();
        let read = file.take(limit).read_to_end(&mut bytes);
        read.map_err(|source| Error::File {
            path: path(tree.path_of(place)),
            source,
        })?;
        Ok(bytes)
    }

    /// What a file is to who would start or load it.
    pub(crate) fn program(&self, tree: &Tree<'_>, place: Place) -> Result<Program, Error> {
        let (first, entry) = tree.content(place);
        let failed = |source| Error::File {
            path: path(tree.path_of(place)),
            source,
        };
        match &self.contents[first.layer as usize] {
            Contents::Directory(directory) => {
                let file = open_file(directory, tree.path_of(place))?;
                Program::of(&file).map_err(failed)
            }
            Contents::Excerpts(excerpts) => match excerpts.get(first.entry) {
                Some(Excerpt::Program(program)) => Ok(program),
                Some(Excerpt::Text(text)) => Program::of(&text[..]).map_err(failed),
                Some(Excerpt::Licenses(_)) => Ok(Program::Other),
                None => {
                    let bytes = self.reread(tree, first, entry.size)?;
                    Program::of(&bytes[..]).map_err(failed)
                }
            },
        }
    }

    /// Reads a file's layer again, for its first bytes.
    fn reread(&self, tree: &Tree<'_>, first: Place, limit: u64) -> Result<Vec<u8>, Error> {
        let layer = first.layer as usize;
        let entry = tree.entry(first);
        let name = path(tree.path_of(first));
        if limit.min(entry.size) > MOST_BYTES || self.reread.fetch_add(1, Ordering::Relaxed) >= MOST_REREAD {
            return Err(Error::NotKept { path: name });
        }
        let index = &self.indexes[layer];
        let names = index.names_of(first.entry).map(|entry| Place { entry, ..first });
        let wanted: Vec<Vec<u8>> = names.map(|place| tree.path_of(place)).collect();
        let found = Mutex::new(None);
        let take = |_: usize, tar: &mut dyn Read| {
            let read = reread::file(tar, &wanted, limit);
            *found.lock().expect("nobody panics with it") = Some(read);
        };
        self.tars.read(&[layer], &take).map_err(Error::Tars)?;
        match found.into_inner().expect("nobody panics with it") {
            Some(Ok(Some(bytes))) => Ok(bytes),
            Some(Err(source)) => Err(Error::Layer { layer: name, source }),
            Some(Ok(None)) | None => Err(Error::NotKept { path: name }),
        }
    }

    /// The entry of the history that says how a layer was made.
    pub fn history_of(&self, layer: usize) -> Option<&HistoryEntry> {
        self.config.history.get(self.layers.get(layer)?.history?)
    }
}

/// Looks into layers that nobody knows yet, and has what was found remembered.
fn survey(
    store: &Store,
    config: &ImageConfig,
    layers: &[usize],
    tars: &dyn Tars,
) -> Result<Vec<(usize, Looked)>, Error> {
    if layers.is_empty() {
        return Ok(Vec::new());
    }
    let found = Mutex::new(Vec::new());
    let take = |layer: usize, tar: &mut dyn Read| {
        let looked = diff_id(config, layer).and_then(|diff_id| {
            let name = PathBuf::from(diff_id.to_string());
            Survey::of_tar(tar, &name, store.scratch_file()?)
        });
        found.lock().expect("nobody panics with it").push((layer, looked));
    };
    let read = tars.read(layers, &take);
    let mut found = found.into_inner().expect("nobody panics with it");
    read.map_err(Error::Tars)?;
    let mut surveys = Vec::with_capacity(layers.len());
    for layer in layers {
        let at = found.iter().position(|(known, _)| known == layer);
        let looked = at.map(|at| found.swap_remove(at).1);
        let survey = looked.unwrap_or_else(|| Err(Error::Tars("a layer was not read".into())))?;
        survey.remember(store, diff_id(config, *layer)?)?;
        surveys.push((*layer, (survey.index, Contents::Excerpts(survey.excerpts))));
    }
    Ok(surveys)
}

fn diff_id(config: &ImageConfig, layer: usize) -> Result<&Digest, Error> {
    let missing = || Error::Tars(format!("the image's config does not name layer {layer}").into());
    config.rootfs.diff_ids.get(layer).ok_or_else(missing)
}

/// Opens a file of a layer in the store's own directory. No link is followed on the way: what the path leads through was
/// looked up before.
fn open_file(directory: &OwnedFd, name: Vec<u8>) -> Result<File, Error> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let opened = openat2(directory, &*name, flags, Mode::empty(), resolve);
    opened.map(File::from).map_err(|errno| Error::File {
        path: path(name),
        source: errno.into(),
    })
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
