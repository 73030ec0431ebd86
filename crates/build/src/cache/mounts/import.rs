//! Mounts out of caches.

use kiln_layer::Limits;
use kiln_store::LayerDir;

use super::document::{Mounts, StoredMount};
use super::packs::{Content, Packs};
use crate::cache::backend::Backend;
use crate::error::{StepError, StepResult};
use crate::images::Images;
use crate::session::Task;

impl Images<'_> {
    /// What the first cache has that can give the mount of that name: a directory with its content, but for the owner and
    /// the mode of the directory itself. A cache that cannot is told of.
    pub(crate) fn bring_mount(&self, name: &str) -> StepResult<Option<LayerDir>> {
        for (backend, mounts) in self.caches.mounts() {
            let Some(mount) = mounts.mounts.get(name) else {
                continue;
            };
            let (id, cache) = (&mount.id, backend.name());
            let task = self.tasks.start(format!("importing cache mount {id} from {cache}"));
            let brought = self.unpack_mount(backend, &mounts, mount, &task);
            match task.end(brought) {
                Ok(directory) => return Ok(Some(directory)),
                Err(_) if self.cancel.is_canceled() => return Err(StepError::Canceled),
                Err(error) => {
                    self.caches.lost_mount(name);
                    self.tasks.notice(format!(
                        "the cache {cache} cannot give the cache mount `{id}`, so nothing is taken from it: {error}"
                    ));
                }
            }
        }
        Ok(None)
    }

    fn unpack_mount(
        &self,
        backend: &dyn Backend,
        mounts: &Mounts,
        mount: &StoredMount,
        task: &Task<'_>,
    ) -> StepResult<LayerDir> {
        let directory = self.store.new_layer()?;
        let mut packs = Packs::new(backend, mounts, self.store, task)?;
        let limits = Limits {
            // Files are no larger than their tar: there are no holes in it.
            bytes: mount.size(),
            ..Limits::default()
        };
        kiln_layer::unpack_whole(Content::new(&mut packs, mount), &directory.fs(), limits)?;
        Ok(directory)
    }
}

impl Mounts {
    /// The names and the ids of all.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.mounts
            .iter()
            .map(|(name, mount)| (name.as_str(), mount.id.as_str()))
    }
}
