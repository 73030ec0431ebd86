//! Cache mounts: directories that outlive the build.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use kiln_plan::{Exec, Mount, MountKind, Op, Sharing, Source, StepId};
use kiln_store::{LayerDir, LockGuard};

use super::Solver;
use crate::cache::lock_name;
use crate::error::{StepError, StepResult};
use crate::event::{Event, TaskId};
use crate::waiting::Share;

/// The cache mounts of one step, by identity.
#[derive(Default)]
pub(super) struct Caches(BTreeMap<String, Locked>);

/// A cache mount that a step has.
struct Locked {
    /// The name of its directory in the store.
    name: String,
    writable: bool,
    _lock: LockGuard,
}

/// What a step wants of a cache mount, which it may have in several places.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    sharing: Sharing,
    writable: bool,
}

fn wanted(mounts: &[Mount]) -> BTreeMap<String, Wanted> {
    let mut all: BTreeMap<String, Wanted> = BTreeMap::new();
    for mount in mounts {
        let Some((identity, sharing)) = identity(&mount.kind) else {
            continue;
        };
        let writable = matches!(mount.kind, MountKind::Cache { read_only: false, .. });
        let known = all.entry(identity).or_insert(Wanted { sharing, writable });
        known.writable |= writable;
        if sharing != Sharing::Shared {
            known.sharing = sharing;
        }
    }
    all
}

/// Who the mount is: owner and mode are part of it, as in `BuildKit`, for a directory that was made for one user is no
/// use to another. `None` for other kinds of mount.
pub(crate) fn identity(kind: &MountKind) -> Option<(String, Sharing)> {
    let MountKind::Cache {
        id,
        from,
        sharing,
        mode,
        uid,
        gid,
        ..
    } = kind
    else {
        return None;
    };
    let seeded = from.is_some();
    Some((format!("{id}\n{mode:o} {uid} {gid} {seeded}"), *sharing))
}

/// Mode, user and group of the mount of that identity; `None` if it is none.
pub(crate) fn owner(identity: &str) -> Option<(u32, u32, u32)> {
    let (_, owner) = identity.rsplit_once('\n')?;
    let mut words = owner.split(' ');
    let mode = u32::from_str_radix(words.next()?, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)?;
    let (uid, gid) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let whole = matches!(words.next()?, "true" | "false") && words.next().is_none();
    whole.then_some((mode, uid, gid))
}

impl Solver<'_> {
    /// Locks the cache mounts of a step: each once, and all steps in the same order, so that no two of them wait for
    /// each other.
    pub(super) fn lock_caches(&self, task: TaskId, exec: &Exec) -> StepResult<Caches> {
        let mut caches = Caches::default();
        for (identity, wanted) in wanted(&exec.mounts) {
            let (name, lock) = self.lock_cache(task, &identity, wanted.sharing)?;
            let locked = Locked {
                name,
                writable: wanted.writable,
                _lock: lock,
            };
            caches.0.insert(identity, locked);
        }
        Ok(caches)
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
        for (identity, cache) in caches.0 {
            self.exports.used_mount(&identity);
            if cache.writable
                && let Err(error) = self.session.store.measure_cache_mount(&cache.name)
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

    /// The directory of a cache mount, made and filled if it is new.
    pub(super) fn cache(&self, task: TaskId, caches: &Caches, exec: &Exec, kind: &MountKind) -> StepResult<PathBuf> {
        let not_locked = || StepError::Invalid("a cache mount was not locked".to_owned());
        let (identity, _) = identity(kind).ok_or_else(not_locked)?;
        let Locked { name, .. } = caches.0.get(&identity).ok_or_else(not_locked)?;
        let MountKind::Cache {
            id,
            from,
            source,
            read_only,
            mode,
            uid,
            gid,
            ..
        } = kind
        else {
            return Err(not_locked());
        };
        let path = self.directory(task, name, id, || {
            let directory = match self.images.bring_mount(&identity)? {
                Some(brought) => brought,
                None => self.new_mount(*from, source)?,
            };
            set_owner(&directory.fs(), *mode, *uid, *gid)?;
            Ok(directory)
        })?;
        if !read_only {
            self.warn_of_writers(exec, name, id)?;
        }
        Ok(path)
    }

    /// The directory of a cache mount. If nobody has it, one of the steps that share it makes it, and the others wait.
    fn directory(
        &self,
        task: TaskId,
        name: &str,
        id: &str,
        make: impl FnOnce() -> StepResult<LayerDir>,
    ) -> StepResult<PathBuf> {
        let store = self.session.store;
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
            None => Ok(store.commit_cache_mount(&make()?, name, id)?),
        }
    }

    /// Says so when steps on another base or for another platform wrote to the mount before: once for each.
    fn warn_of_writers(&self, exec: &Exec, name: &str, id: &str) -> StepResult<()> {
        let writer = format!("{} ({})", self.base_name(exec.root), exec.platform);
        let others = self.session.store.add_cache_writer(name, &writer)?;
        if !others.is_empty() {
            self.sink.event(Event::Notice(format!(
                "the cache mount `{id}` is written on {writer} now, and was on {}: what one leaves the other may not be able \
                 to use; another `id=` keeps them apart",
                others.join(", ")
            )));
        }
        Ok(())
    }

    /// The image that a tree stands on, as the Dockerfile names it.
    fn base_name(&self, root: Option<StepId>) -> String {
        let mut root = root;
        while let Some(id) = root {
            let step = &self.plan.steps[id.0];
            root = match &step.op {
                Op::Source(Source::Image { reference, .. }) => return reference.familiar(),
                Op::Source(_) => return step.name.clone(),
                Op::Merge(inputs) => inputs.first().copied(),
                Op::Exec(_) | Op::File(_) => step.root(),
            };
        }
        "scratch".to_owned()
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

    fn mount(id: &str, sharing: Sharing, read_only: bool) -> Mount {
        Mount {
            target: "/m".to_owned(),
            kind: MountKind::Cache {
                id: id.to_owned(),
                from: None,
                source: String::new(),
                sharing,
                read_only,
                mode: 0o755,
                uid: 0,
                gid: 0,
            },
        }
    }

    #[test]
    fn a_mount_in_several_places_is_wanted_once_for_all_of_them() {
        let found = wanted(&[
            mount("twice", Sharing::Locked, true),
            mount("twice", Sharing::Shared, false),
            mount("read", Sharing::Shared, true),
        ]);
        let found: Vec<_> = found.into_values().collect();
        let expected = [(Sharing::Shared, false), (Sharing::Locked, true)];
        assert_eq!(found, expected.map(|(sharing, writable)| Wanted { sharing, writable }));
    }
}
