//! Layers that are copied: those of trees that have many, and those that must share no file.
//!
//! A mount, and each look-up of a path below it, takes the kernel as long as the tree has layers, and of some number it
//! takes no more. So small layers that follow one another become one, of which no image ever knows.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kiln_image::Digest;
use kiln_layer::CopyOptions;
use kiln_sandbox::Overlay;
use kiln_store::{LayerId, LayerInfo};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};

use crate::error::{StepError, StepResult};
use crate::images::Images;
use crate::measure::layer_info;
use crate::waiting::{self, Share};

/// How many small layers become one.
const GROUP: usize = 16;

/// The most bytes of a small one. Copying it costs less than it saves the steps above it.
const SMALL: u64 = 128 << 10;

/// How many layers are mounted at once: the sandbox's limit, with room for what is laid under and over them.
const MOST: usize = 990;

/// How many of too many become one. Not as few as would do: a Dockerfile that goes on growing finds it made.
const MERGED: usize = 900;

/// What was found out about layers: they stay as they are while the process uses them.
#[derive(Default)]
pub(crate) struct Stacks {
    small: Mutex<HashMap<LayerId, bool>>,
    merged: Mutex<HashSet<LayerId>>,
}

impl Stacks {
    /// Knows from now on how large a layer is.
    pub(crate) fn made(&self, layer: &LayerId, info: &LayerInfo) {
        lock(&self.small).insert(layer.clone(), is_small(info.size, info.disk));
    }
}

fn is_small(size: u64, disk: u64) -> bool {
    size.max(disk) <= SMALL
}

impl Images<'_> {
    /// Layers, lowest first, that have the files of `layers` and can be mounted. All of `layers` must be in the store.
    pub(crate) fn mountable(&self, layers: &[LayerId]) -> StepResult<Vec<LayerId>> {
        let mut layers = self.few(layers)?;
        while layers.len() > MOST {
            let above = layers.split_off(MERGED);
            let merged = self.merged(&[], &layers, Some(&format!("[internal] merge {MERGED} layers")))?;
            layers = std::iter::once(merged).chain(above).collect();
        }
        Ok(layers)
    }

    /// The directories of layers that can be mounted, as overlays want them: topmost first.
    pub(crate) fn directories(&self, layers: &[LayerId]) -> Vec<PathBuf> {
        layers.iter().rev().map(|layer| self.store.layer_path(layer)).collect()
    }

    /// A layer with the same files that are no other layer's.
    pub(crate) fn apart(&self, layer: &LayerId) -> StepResult<LayerId> {
        self.merged(
            &[],
            std::slice::from_ref(layer),
            Some("[internal] copy a layer that shares files"),
        )
    }

    /// The same with small layers merged, and what that gives if it is small too. Which become one depends on those below
    /// them alone, so that the tree of the next step has the same.
    fn few(&self, layers: &[LayerId]) -> StepResult<Vec<LayerId>> {
        let mut few: Vec<LayerId> = Vec::with_capacity(layers.len());
        let mut small = 0;
        for layer in layers {
            few.push(layer.clone());
            small = if self.is_small(layer)? { small + 1 } else { 0 };
            if small == GROUP {
                let group = few.split_off(few.len() - GROUP);
                few.push(self.merged(&few, &group, None)?);
                small = 0;
            }
        }
        if few.len() < layers.len() {
            self.few(&few)
        } else {
            Ok(few)
        }
    }

    fn is_small(&self, layer: &LayerId) -> StepResult<bool> {
        if let Some(small) = lock(&self.stacks.small).get(layer) {
            return Ok(*small);
        }
        let found = self.store.layer(layer)?;
        let small = found.is_some_and(|layer| is_small(layer.size, layer.disk));
        lock(&self.stacks.small).insert(layer.clone(), small);
        Ok(small)
    }

    /// A layer that does to those `below` what all of `layers` do; where it must be made, and that takes long, under a title.
    fn merged(&self, below: &[LayerId], layers: &[LayerId], title: Option<&str>) -> StepResult<LayerId> {
        let names = |layers: &[LayerId]| layers.iter().map(LayerId::as_str).collect::<Vec<_>>().join("\n");
        let id = format!("merged\n{}\nover\n{}", names(layers), names(below));
        let id = LayerId::from_digest(&Digest::of(id));
        if lock(&self.stacks.merged).contains(&id) {
            return Ok(id);
        }
        let name = format!("layer-{id}");
        let alone = waiting::lock(self.store, self.cancel, &name, Share::Alone, || {})?;
        if self.store.layer(&id)?.is_none() {
            let task = title.map(|title| self.tasks.start(title.to_owned()));
            let made = self.merge(below, layers, &id);
            match task {
                Some(task) => task.end(made)?,
                None => made?,
            }
        }
        drop(alone);
        lock(&self.stacks.merged).insert(id.clone());
        Ok(id)
    }

    fn merge(&self, below: &[LayerId], layers: &[LayerId], id: &LayerId) -> StepResult<()> {
        let directory = self.store.new_layer()?;
        let target = open(&directory.fs())?;
        let root = Path::new("/");
        let options = CopyOptions {
            layer: true,
            ..CopyOptions::default()
        };
        for layer in layers {
            let source = open(&self.store.layer_path(layer))?;
            kiln_layer::copy_tree(source.as_fd(), root, target.as_fd(), root, &options)?;
        }
        let lower = self.read_only(below)?;
        kiln_layer::remove_idle_whiteouts(target.as_fd(), lower.as_ref().map(AsFd::as_fd))?;
        let info = layer_info(&directory, None)?;
        Ok(self.store.commit_layer(&directory, id, &info)?)
    }

    /// The merged tree of layers, if there are any.
    fn read_only(&self, layers: &[LayerId]) -> StepResult<Option<OwnedFd>> {
        let lower = self.directories(layers);
        let mount = (!lower.is_empty()).then(|| {
            Overlay {
                lower: &lower,
                upper: None,
                volatile: false,
            }
            .mount()
        });
        Ok(mount.transpose()?)
    }
}

fn open(directory: &Path) -> StepResult<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(directory, flags, Mode::empty()).map_err(StepError::errno("open", directory))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
