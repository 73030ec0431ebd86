//! What the tests share.

use std::path::{Path, PathBuf};

use kiln_image::{Digest, Platform};
use kiln_store::{Image, Item, Key, Kind, LayerId, LayerInfo, MountId, Need, Pruning, Record, Store};
use tempfile::TempDir;

/// A new store, and its directory, which goes with the value.
pub(crate) fn store() -> (TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    (directory, store)
}

/// Removes what nothing needs; with `all` everything that no image with a name needs. Gives the bytes that were freed.
pub(crate) fn prune(store: &Store, all: bool) -> u64 {
    let pruning = Pruning {
        unnamed_images: all,
        ..Pruning::default()
    };
    let may_go = |item: &Item| item.kind != Kind::Log && (all || item.need == Need::Nothing);
    store.prune(pruning, may_go).unwrap().freed
}

/// Adds a layer with one file.
pub(crate) fn add_layer(store: &Store, id: &LayerId, content: &str) {
    let directory = store.new_layer().unwrap();
    std::fs::write(directory.fs().join("file"), content).unwrap();
    store.commit_layer(&directory, id, &LayerInfo::default()).unwrap();
}

/// A layer as a step makes it, with a record.
pub(crate) fn add_step(store: &Store, key: u8, content: &str) -> LayerId {
    let id = LayerId::random().unwrap();
    add_layer(store, &id, content);
    let build = store.begin_build("test").unwrap();
    let record = Record::new(id.clone(), build, "RUN", std::time::Duration::ZERO);
    store.put_record(&self::key(key), &record).unwrap();
    id
}

/// A key.
pub(crate) fn key(number: u8) -> Key {
    Key::from([number; 32])
}

/// An image of these layers, with a config.
pub(crate) fn add_image(store: &Store, config: &str, layers: &[LayerId]) -> Digest {
    let id = store.put_blob(config.as_bytes()).unwrap();
    let image = Image {
        id,
        manifest: None,
        layers: layers.to_vec(),
        platform: Platform::host(),
        size: 0,
        created: 0,
    };
    store.put_image(&image).unwrap();
    id
}

/// The names in a directory, sorted.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The one directory of unfinished things.
pub(crate) fn temp(root: &Path) -> PathBuf {
    let mut entries = std::fs::read_dir(root.join("tmp"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries.find(|path| path.is_dir()).unwrap()
}

/// A cache mount with a file in it.
pub(crate) fn add_cache(store: &Store, name: &str) -> PathBuf {
    let directory = store.new_layer().unwrap();
    std::fs::write(directory.fs().join("file"), name).unwrap();
    store.commit_cache_mount(&directory, name, &MountId::default()).unwrap()
}
