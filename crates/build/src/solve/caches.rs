//! Cache mounts: directories that outlive the build.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use kiln_plan::{Exec, Mount, MountKind, Op, Sharing, StepId};
use kiln_store::{LayerDir, LockGuard, MountId};

use super::Solver;
use super::cache_id::CacheId;
use crate::cache::lock_name;
use crate::error::{StepError, StepResult};
use crate::event::{Event, TaskId};
use crate::waiting::Share;

/// The cache mounts of one step.
#[derive(Default)]
pub(super) struct Caches {
    /// What each of the step's mounts is, of whatever kind.
    ids: Vec<Option<CacheId>>,
    /// By name.
    locked: BTreeMap<String, Locked>,
}

/// A cache mount that a step has.
struct Locked {
    id: MountId,
    /// The name of its directory in the store.
    directory: String,
    writable: bool,
    _lock: LockGuard,
}

/// What a step wants of a cache mount, which it may have in several places.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    id: MountId,
    sharing: Sharing,
    writable: bool,
}

fn wanted(mounts: &[Mount], ids: &[Option<CacheId>]) -> BTreeMap<String, Wanted> {
    let mut all: BTreeMap<String, Wanted> = BTreeMap::new();
    for (mount, id) in mounts.iter().zip(ids) {
        let Some(CacheId { name, id, sharing }) = id else {
            continue;
        };
        let writable = matches!(mount.kind, MountKind::Cache { read_only: false, .. });
        let known = all.entry(name.clone()).or_insert_with(|| Wanted {
            id: id.clone(),
            sharing: *sharing,
            writable,
        });
        known.writable |= writable;
        if *sharing != Sharing::Shared {
            known.sharing = *sharing;
        }
    }
    all
}

impl Solver<'_> {
    /// Locks the cache mounts of a step: each once, and all steps in the same order, so that no two of them wait for
    /// each other.
    pub(super) fn lock_caches(&self, task: TaskId, exec: &Exec) -> StepResult<Caches> {
        let id = |mount: &Mount| self.cache_id(exec, &mount.kind);
        let ids = exec.mounts.iter().map(id).collect::<StepResult<Vec<_>>>()?;
        let mut locked = BTreeMap::new();
        for (name, wanted) in wanted(&exec.mounts, &ids) {
            let (directory, lock) = self.lock_cache(task, &name, wanted.sharing)?;
            let cache = Locked {
                id: wanted.id,
                directory,
                writable: wanted.writable,
                _lock: lock,
            };
            locked.insert(name, cache);
        }
        Ok(Caches { ids, locked })
    }

    /// Tells the caches that are written of all cache mounts of the plan's steps, also of those that did not run.
    pub(super) fn export_caches(&self) {
        if !self.exports.take_mounts() {
            return;
        }
        let execs = self.plan.steps.iter().filter_map(|step| match &step.op {
            Op::Exec(exec) => Some(exec),
            _ => None,
        });
        for (exec, mount) in execs.flat_map(|exec| exec.mounts.iter().map(move |mount| (exec, mount))) {
            // Whose key has no value now, no step that ran had.
            if let Ok(Some(CacheId { name, id, .. })) = self.cache_id(exec, &mount.kind) {
                self.exports.mount(&name, &id, false);
            }
        }
    }

    /// Gives the name of the directory: a private one that is in use has others beside it.
    fn lock_cache(&self, task: TaskId, name: &str, sharing: Sharing) -> StepResult<(String, LockGuard)> {
        let share = match sharing {
            Sharing::Shared => Share::Shared,
            Sharing::Locked => Share::Alone,
            Sharing::Private => return self.private_cache(name),
        };
        let lock = self.lock(task, &lock_name(name), share, "the cache mount")?;
        Ok((name.to_owned(), lock))
    }

    /// Measures the cache mounts that a step which ended may have written to, and lets go of all. What the step came to
    /// does not depend on it.
    pub(super) fn release_caches(&self, caches: Caches) {
        for (name, cache) in caches.locked {
            self.exports.mount(&name, &cache.id, true);
            if cache.writable
                && let Err(error) = self.session.store.measure_cache_mount(&cache.directory)
            {
                self.sink.event(Event::Notice(format!(
                    "a cache mount counts in the store as large as it was before this step: {error}"
                )));
            }
        }
    }

    /// What a mount begins with that nobody has: nothing, or a copy of its `from`.
    fn new_mount(&self, from: Option<StepId>, source: &str) -> StepResult<LayerDir> {
        let directory = self.session.store.new_layer()?;
        if let Some(from) = from {
            self.seed(&directory.fs(), from, source)?;
        }
        Ok(directory)
    }

    fn private_cache(&self, name: &str) -> StepResult<(String, LockGuard)> {
        let mut number = 0;
        loop {
            let name = match number {
                0 => name.to_owned(),
                number => format!("{name}\nprivate {number}"),
            };
            if let Some(lock) = self.session.store.try_lock_key(&lock_name(&name))? {
                return Ok((name, lock));
            }
            number += 1;
        }
    }

    /// The directory of the cache mount at that place among the step's mounts, made and filled if it is new.
    pub(super) fn cache(&self, task: TaskId, caches: &Caches, exec: &Exec, place: usize) -> StepResult<PathBuf> {
        let not_locked = || StepError::Invalid("a cache mount was not locked".to_owned());
        let id = caches.ids.get(place).and_then(Option::as_ref).ok_or_else(not_locked)?;
        let cache = caches.locked.get(&id.name).ok_or_else(not_locked)?;
        let MountKind::Cache {
            from,
            source,
            read_only,
            mode,
            uid,
            gid,
            ..
        } = &exec.mounts[place].kind
        else {
            return Err(not_locked());
        };
        let path = self.directory(task, cache, || {
            let directory = match self.images.bring_mount(&id.name)? {
                Some(brought) => brought,
                None => self.new_mount(*from, source)?,
            };
            set_owner(&directory.fs(), *mode, *uid, *gid)?;
            Ok(directory)
        })?;
        if !read_only {
            self.warn_of_writers(exec, cache)?;
        }
        Ok(path)
    }

    /// The directory of a cache mount. If nobody has it, one of the steps that share it makes it, and the others wait.
    fn directory(
        &self,
        task: TaskId,
        cache: &Locked,
        make: impl FnOnce() -> StepResult<LayerDir>,
    ) -> StepResult<PathBuf> {
        let (store, name) = (self.session.store, &cache.directory);
        if let Some(path) = store.cache_mount(name)? {
            return Ok(path);
        }
        let _alone = self.lock(
            task,
            &format!("new-{}", lock_name(name)),
            Share::Alone,
            "the cache mount",
        )?;
        match store.cache_mount(name)? {
            Some(path) => Ok(path),
            None => Ok(store.commit_cache_mount(&make()?, name, &cache.id)?),
        }
    }

    /// Says so when steps on another base or for another platform wrote to the mount before: once for each.
    fn warn_of_writers(&self, exec: &Exec, cache: &Locked) -> StepResult<()> {
        let writer = format!("{} ({})", self.base_name(exec.root), exec.platform);
        let others = self.session.store.add_cache_writer(&cache.directory, &writer)?;
        if !others.is_empty() {
            self.sink.event(Event::Notice(format!(
                "the cache mount `{}` is written on {writer} now, and was on {}: what one leaves the other may not be able \
                 to use; another `id=` keeps them apart, and so do `key=platform` and `key=base` (`# kiln=cache-key`)",
                cache.id,
                others.join(", ")
            )));
        }
        Ok(())
    }
}

/// Says in the directory whose it is.
pub(crate) fn set_owner(path: &Path, mode: u32, uid: u32, gid: u32) -> StepResult<()> {
    chown(path, Some(uid), Some(gid)).map_err(StepError::io("change the owner of", path))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(StepError::io("change the mode of", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(name: &str, sharing: Sharing, read_only: bool) -> (Mount, Option<CacheId>) {
        let mount = Mount {
            target: "/m".to_owned(),
            kind: MountKind::Cache {
                id: name.to_owned(),
                key: Vec::new(),
                from: None,
                source: String::new(),
                sharing,
                read_only,
                mode: 0o755,
                uid: 0,
                gid: 0,
            },
        };
        let id = CacheId {
            name: name.to_owned(),
            id: MountId::default(),
            sharing,
        };
        (mount, Some(id))
    }

    #[test]
    fn a_mount_in_several_places_is_wanted_once_for_all_of_them() {
        let (mounts, ids): (Vec<_>, Vec<_>) = [
            mount("twice", Sharing::Locked, true),
            mount("twice", Sharing::Shared, false),
            mount("read", Sharing::Shared, true),
        ]
        .into_iter()
        .unzip();
        let found: Vec<_> = wanted(&mounts, &ids).into_values().collect();
        let expected = [(Sharing::Shared, false), (Sharing::Locked, true)].map(|(sharing, writable)| Wanted {
            id: MountId::default(),
            sharing,
            writable,
        });
        assert_eq!(found, expected);
    }
}
