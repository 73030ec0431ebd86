//! Cache mounts: directories that outlive the build.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use kiln_plan::{Exec, Mount, MountKind, Op, Sharing, StepId};
use kiln_sandbox::Exit;
use kiln_store::{LayerDir, LockGuard, MountId, MountStep};

use super::Solver;
use super::cache_id::CacheId;
use crate::cache::lock_name;
use crate::error::{StepError, StepResult};
use crate::event::{Event, TaskId};
use crate::waiting::Share;

/// The cache mounts of one step.
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
    /// The steps that were killed while they wrote to it, before this one began.
    killed: Vec<MountStep>,
    _lock: LockGuard,
}

/// How a step came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// As it should.
    Well,
    /// By itself, or before it began.
    Failed,
    /// It did not get to its end, and nobody knows what it was about to write.
    Killed,
}

impl End {
    /// Of a process.
    pub(super) fn of(exit: &Exit) -> Self {
        match exit.code {
            Some(0) => Self::Well,
            Some(_) if !exit.out_of_memory => Self::Failed,
            Some(_) | None => Self::Killed,
        }
    }
}

impl Caches {
    /// Those that a killed step had left.
    pub(super) fn left_by_killed(&self) -> Vec<String> {
        let left = self.locked.values().filter(|cache| !cache.killed.is_empty());
        left.map(|cache| cache.id.to_string()).collect()
    }
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
                killed: Vec::new(),
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

    /// Notes that a step begins to write to its cache mounts, and tells of what it finds there.
    pub(super) fn enter_caches(&self, task: TaskId, exec: &Exec, caches: &mut Caches) -> StepResult<()> {
        let store = self.session.store;
        for cache in caches.locked.values_mut() {
            cache.killed = store.killed_mount_steps(&cache.directory)?;
            if !cache.killed.is_empty() {
                let id = &cache.id;
                self.sink.event(Event::Notice(format!(
                    "the cache mount `{id}` was left by a step that was killed, in the middle of whatever it wrote: if a step \
                     has trouble with it, `kiln cache rm {id}` empties it"
                )));
            }
            if cache.writable {
                let writer = format!("{} ({})", self.base_name(exec.root), exec.platform);
                let others = store.enter_cache_mount(&cache.directory, self.mount_step(task), &writer)?;
                self.warn_of_writers(cache, &writer, &others);
            }
        }
        Ok(())
    }

    /// Measures the cache mounts that a step may have written to, notes how it ended, and lets go of all. What the step
    /// came to does not depend on it.
    pub(super) fn leave_caches(&self, task: TaskId, caches: Caches, end: End) {
        for (name, cache) in caches.locked {
            self.exports.mount(&name, &cache.id, true);
            let mut over = Vec::new();
            if end != End::Killed && cache.writable {
                over.push(self.mount_step(task));
            }
            if end == End::Well {
                over.extend(cache.killed);
            }
            if (cache.writable || !over.is_empty())
                && let Err(error) = self.session.store.leave_cache_mount(&cache.directory, &over)
            {
                self.sink.event(Event::Notice(format!(
                    "the store does not know how large the cache mount `{}` is now, or that this step left it: {error}",
                    cache.id
                )));
            }
        }
    }

    fn mount_step(&self, task: TaskId) -> MountStep {
        MountStep {
            build: self.session.build,
            step: task.0,
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
            mode,
            uid,
            gid,
            ..
        } = &exec.mounts[place].kind
        else {
            return Err(not_locked());
        };
        self.directory(task, cache, || {
            let directory = match self.images.bring_mount(&id.name)? {
                Some(brought) => brought,
                None => self.new_mount(*from, source)?,
            };
            set_owner(&directory.fs(), *mode, *uid, *gid)?;
            Ok(directory)
        })
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

    /// Says so when steps on another base or for another platform wrote to the mount before.
    fn warn_of_writers(&self, cache: &Locked, writer: &str, others: &[String]) {
        if others.is_empty() {
            return;
        }
        self.sink.event(Event::Notice(format!(
            "the cache mount `{}` is written on {writer} now, and was on {}: what one leaves the other may not be able to \
             use; another `id=` keeps them apart, and so do `key=platform` and `key=base` (`# kiln=cache-key`)",
            cache.id,
            others.join(", ")
        )));
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
    fn who_ends_by_itself_was_not_killed() {
        let exit = |code, out_of_memory| Exit {
            code,
            out_of_memory,
            ..Exit::default()
        };
        for (exit, expected) in [
            (exit(Some(0), false), End::Well),
            (exit(Some(0), true), End::Well),
            (exit(Some(1), false), End::Failed),
            (exit(Some(137), true), End::Killed),
            (exit(None, false), End::Killed),
        ] {
            assert_eq!(End::of(&exit), expected, "{exit:?}");
        }
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
