//! Cache mounts between the store and caches, without a build.

use kiln_store::LayerDir;

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

impl Builder {
    /// Writes cache mounts of the store into a cache: those that its choice takes. Gives their ids.
    pub fn export_mounts(&self, to: &CacheExport, sink: &dyn Sink, cancel: &Cancel) -> Result<Vec<String>, Error> {
        let _in_use = self.store.in_use().map_err(StepError::from)?;
        let tasks = Tasks::new(sink, FIRST_TASK);
        let images = Images::new(&self.store, &self.registry, &tasks, cancel);
        let mut mounts = self.store.cache_mounts().map_err(StepError::from)?;
        // What was private while another had the mount is no other's.
        mounts.retain(|(name, id)| solve::owner(name).is_some() && to.mounts.choice.takes(id));
        let ids = mounts.iter().map(|(_, id)| id.clone()).collect();
        export_mounts(&images, to, mounts.into_iter())?;
        Ok(ids)
    }

    /// Brings cache mounts into the store: those that `choice` takes and whose archives have no more than `most` bytes. What
    /// the store has stays as it is. Gives the ids of those that were brought, and of those that were there.
    pub fn import_mounts(
        &self,
        from: &CachePlace,
        choice: &MountChoice,
        most: u64,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<(Vec<String>, Vec<String>), Error> {
        let _in_use = self.store.in_use().map_err(StepError::from)?;
        let tasks = Tasks::new(sink, FIRST_TASK);
        let images = Images::new(&self.store, &self.registry, &tasks, cancel);
        let images = images.with_caches(std::slice::from_ref(from), most);
        let (mut brought, mut there) = (Vec::new(), Vec::new());
        for (name, id) in images.caches.mount_names() {
            let Some(owner) = solve::owner(&name).filter(|_| choice.takes(&id)) else {
                continue;
            };
            let _lock = waiting::lock(&self.store, cancel, &lock_name(&name), Share::Alone, || {})?;
            if self.store.cache_mount(&name).map_err(StepError::from)?.is_some() {
                there.push(id);
            } else if let Some(directory) = images.bring_mount(&name)? {
                commit(self, &directory, &name, &id, owner)?;
                brought.push(id);
            }
        }
        Ok((brought, there))
    }
}

fn commit(
    builder: &Builder,
    directory: &LayerDir,
    name: &str,
    id: &str,
    (mode, uid, gid): (u32, u32, u32),
) -> StepResult<()> {
    solve::set_owner(&directory.fs(), mode, uid, gid)?;
    builder.store.commit_cache_mount(directory, name, id)?;
    Ok(())
}
