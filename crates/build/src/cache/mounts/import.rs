//! Mounts out of caches.

use kiln_layer::Limits;
use kiln_store::{LayerDir, MountId};

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
        let (size, to_fetch) = (mount.size(), mounts.pack_bytes(mount));
        check_size(size, to_fetch, self.caches.most_mount)?;
        // Packs go as they are read, but a cache may have put the chunks in such an order that none does.
        let _room = self.store.reserve(size + to_fetch)?;
        let directory = self.store.new_layer()?;
        let mut packs = Packs::new(backend, mounts, &mount.chunks, self.store, task)?;
        let limits = Limits {
            // Files are no larger than their tar: there are no holes in it.
            bytes: size,
            ..Limits::default()
        };
        kiln_layer::unpack_whole(Content::new(&mut packs, mount), &directory.fs(), limits)?;
        Ok(directory)
    }
}

/// Whether it may be fetched. At least half of a pack is used, if not all of that by one mount.
fn check_size(size: u64, to_fetch: u64, most: u64) -> StepResult<()> {
    let too_large = |what: &str, bytes: u64, most: u64| {
        let message =
            format!("{what} {bytes} bytes, more than {most} (`kiln cache import --mount-max=SIZE` takes more)");
        Err(StepError::Invalid(message))
    };
    if size > most {
        return too_large("its archive has", size, most);
    }
    let most = most.saturating_mul(2);
    if to_fetch > most {
        return too_large("its packs have", to_fetch, most);
    }
    Ok(())
}

impl Mounts {
    /// Whether there is one of that name.
    pub(in crate::cache) fn has(&self, name: &str) -> bool {
        self.mounts.contains_key(name)
    }

    /// The names and the ids of all.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, &MountId)> {
        self.mounts.iter().map(|(name, mount)| (name.as_str(), &mount.id))
    }
}
