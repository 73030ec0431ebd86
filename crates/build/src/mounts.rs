//! Cache mounts between the store and caches, without a build.

use kiln_store::{LayerDir, MountId};

use crate::builder::{Builder, FIRST_TASK};
use crate::cache::{export_mounts, lock_name};
use crate::cancel::Cancel;
use crate::error::{Error, StepError, StepResult};
use crate::event::Sink;
use crate::images::Images;
use crate::request::{CacheExport, CachePlace, MountChoice};
use crate::session::Tasks;
use crate::solve;
use crate::waiting::{self, Share};

/// What became of the cache mounts that were chosen, by what people know them by.
#[derive(Debug, Default)]
pub struct MovedMounts {
    /// They are there now as they are here.
    pub moved: Vec<MountId>,
    /// Of an import: the store has them, and they stay as they are.
    pub kept: Vec<MountId>,
    /// They could not be had, or are too large; a notice said so.
    pub failed: Vec<MountId>,
}

impl Builder {
    /// Writes cache mounts of the store into a cache: those that its choice takes. An error if the cache cannot be read or
    /// written.
    pub fn export_mounts(&self, to: &CacheExport, sink: &dyn Sink, cancel: &Cancel) -> Result<MovedMounts, Error> {
        let _in_use = self.store.in_use().map_err(StepError::from)?;
        let tasks = Tasks::new(sink, FIRST_TASK);
        let images = Images::new(&self.store, &self.registry, &tasks, cancel);
        let mut mounts = self.store.cache_mounts().map_err(StepError::from)?;
        // What was private while another had the mount is no other's.
        mounts.retain(|(name, id)| solve::owner(name).is_some() && to.mounts.choice.takes(id));
        let written = export_mounts(&images, to, mounts.iter().cloned())?;
        let mut result = MovedMounts::default();
        for (name, id) in mounts {
            let ids = if written.contains(&name) {
                &mut result.moved
            } else {
                &mut result.failed
            };
            ids.push(id);
        }
        Ok(result)
    }

    /// Brings cache mounts into the store: those that `choice` takes and whose archives have no more than `most` bytes. What
    /// the store has stays as it is. An error if there is no cache, or it cannot be read.
    pub fn import_mounts(
        &self,
        from: &CachePlace,
        choice: &MountChoice,
        most: u64,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<MovedMounts, Error> {
        let _in_use = self.store.in_use().map_err(StepError::from)?;
        let tasks = Tasks::new(sink, FIRST_TASK);
        let images = Images::new(&self.store, &self.registry, &tasks, cancel);
        let images = images.with_caches(std::slice::from_ref(from), most);
        images.caches.require()?;
        let mut result = MovedMounts::default();
        for (name, id) in images.caches.mount_names() {
            let Some(owner) = solve::owner(&name).filter(|_| choice.takes(&id)) else {
                continue;
            };
            let _lock = waiting::lock(&self.store, cancel, &lock_name(&name), Share::Alone, || {})?;
            if self.store.cache_mount(&name).map_err(StepError::from)?.is_some() {
                result.kept.push(id);
            } else if let Some(directory) = images.bring_mount(&name)? {
                commit(self, &directory, &name, &id, owner)?;
                result.moved.push(id);
            } else {
                result.failed.push(id);
            }
        }
        Ok(result)
    }
}

fn commit(
    builder: &Builder,
    directory: &LayerDir,
    name: &str,
    id: &MountId,
    (mode, uid, gid): (u32, u32, u32),
) -> StepResult<()> {
    solve::set_owner(&directory.fs(), mode, uid, gid)?;
    builder.store.commit_cache_mount(directory, name, id)?;
    Ok(())
}
