//! Layers that are copied: those of trees that have more than the kernel lays over one another, and those that must share no file.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use kiln_image::Digest;
use kiln_layer::CopyOptions;
use kiln_sandbox::Overlay;
use kiln_store::LayerId;
use rustix::fs::{Mode, OFlags};

use crate::error::{StepError, StepResult};
use crate::images::Images;
use crate::measure::layer_info;
use crate::waiting::{self, Share};

/// How many layers are mounted at once: the sandbox's limit, with room for what is laid under and over them.
const MOST: usize = 990;

/// How many of too many become one. Not as few as would do: a Dockerfile that goes on growing finds it made.
const MERGED: usize = 900;

impl Images<'_> {
    /// Layers, lowest first, that have the files of `layers` and can be mounted. The lowest of too many are copied into a
    /// layer of their own, which no image ever has. All of `layers` must be in the store.
    pub(crate) fn mountable(&self, layers: &[LayerId]) -> StepResult<Vec<LayerId>> {
        let mut layers = layers.to_vec();
        while layers.len() > MOST {
            let above = layers.split_off(MERGED);
            let merged = self.merged(&layers)?;
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
        self.merged(std::slice::from_ref(layer))
    }

    fn merged(&self, layers: &[LayerId]) -> StepResult<LayerId> {
        let names: Vec<String> = layers.iter().map(ToString::to_string).collect();
        let id = LayerId::from_digest(&Digest::of(format!("merged\n{}", names.join("\n"))));
        let name = format!("layer-{id}");
        let _alone = waiting::lock(self.store, self.cancel, &name, Share::Alone, || {})?;
        if self.store.layer(&id)?.is_none() {
            let title = match layers.len() {
                1 => "[internal] copy a layer that shares files".to_owned(),
                count => format!("[internal] merge {count} layers"),
            };
            let task = self.tasks.start(title);
            task.end(self.merge(layers, &id))?;
        }
        Ok(id)
    }

    fn merge(&self, layers: &[LayerId], id: &LayerId) -> StepResult<()> {
        let tree = Overlay {
            lower: &self.directories(layers),
            upper: None,
            volatile: false,
        }
        .mount()?;
        let directory = self.store.new_layer()?;
        let path = directory.fs();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let target = rustix::fs::open(&path, flags, Mode::empty()).map_err(StepError::errno("open", &path))?;
        let root = Path::new("/");
        kiln_layer::copy_tree(tree.as_fd(), root, target.as_fd(), root, &CopyOptions::default())?;
        let info = layer_info(&directory, None)?;
        Ok(self.store.commit_layer(&directory, id, &info)?)
    }
}
