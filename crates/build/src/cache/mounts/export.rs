//! Which mounts go into a cache.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kiln_store::MountId;

use super::document::Mounts;
use super::write::{NewMount, Writer};
use crate::cache::backend::Backend;
use crate::cache::request::{MountChoice, MountExport};
use crate::error::{StepError, StepResult};
use crate::images::Images;
use crate::session::Task;
use crate::waiting::{self, Share};

/// A mount that a build may have used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cache) struct Wanted {
    /// What people know it by.
    pub(in crate::cache) id: MountId,
    /// Whether a step ran with it: else it is what it was.
    pub(in crate::cache) ran: bool,
}

/// What a cache has of mounts.
pub(in crate::cache) struct Exported {
    /// All.
    pub(in crate::cache) mounts: Mounts,
    /// The names of those that are as this build left them.
    pub(in crate::cache) brought: BTreeSet<String>,
}

/// Brings mounts to a cache that has `there`. A mount that cannot be had is told of, and left as it was.
pub(in crate::cache) fn export(
    images: &Images<'_>,
    backend: &dyn Backend,
    there: &Mounts,
    wanted: &BTreeMap<String, Wanted>,
    options: &MountExport,
    task: &Task<'_>,
    is_over: &dyn Fn() -> bool,
) -> StepResult<Exported> {
    // Where old blobs are removed, those of the mounts at hand must not get old.
    let mut gone = BTreeSet::new();
    for pack in there.packs_of(|name| wanted.contains_key(name)) {
        if !backend.keep(pack)? {
            gone.insert(pack.digest);
        }
    }
    let mut there = there.clone();
    there.retain(|pack| backend.still_has(pack) && !gone.contains(&pack.digest));
    // What is damaged there is written anew.
    let mut old = there.clone();
    old.forget(&images.caches.lost_mounts());
    let chosen = |name: &String, mount: &Wanted| {
        let known = old.mounts.contains_key(name);
        options.choice.takes(&mount.id) && (mount.ran || !known)
    };
    let chosen: Vec<_> = wanted.iter().filter(|(name, mount)| chosen(name, mount)).collect();
    if chosen.is_empty() {
        let brought = BTreeSet::new();
        return Ok(Exported { mounts: there, brought });
    }
    let mut writer = Writer::new(backend, &old, images.store, task, is_over)?;
    let mut new = Vec::new();
    for (name, mount) in chosen {
        match read(images, &mut writer, name, options.most) {
            Ok(None) => {}
            Ok(Some(digests)) => new.push(NewMount {
                name: name.clone(),
                id: mount.id.clone(),
                used: now(),
                digests,
            }),
            Err(_) if is_over() => return Err(StepError::Canceled),
            Err(error) => {
                let cache = backend.name();
                let id = &mount.id;
                images.tasks.notice(format!(
                    "the cache mount `{id}` does not go to the cache {cache}: {error}"
                ));
            }
        }
    }
    let brought = new.iter().map(|mount| mount.name.clone()).collect();
    let mounts = writer.end(there, new, images.store)?;
    Ok(Exported { mounts, brought })
}

/// The chunks of a mount; `None` if the store does not have it.
fn read(
    images: &Images<'_>,
    writer: &mut Writer<'_>,
    name: &str,
    most: u64,
) -> StepResult<Option<Vec<kiln_image::Digest>>> {
    let _lock = waiting::lock(images.store, images.cancel, &lock_name(name), Share::Shared, || {})?;
    let Some(directory) = images.store.cache_mount(name)? else {
        return Ok(None);
    };
    if !images.store.killed_mount_steps(name)?.is_empty() {
        let message = "a step that was killed left it, and none was well with it since (`kiln cache rm` empties it)";
        return Err(StepError::Invalid(message.to_owned()));
    }
    check_size(&directory, most)?;
    writer.directory(&directory, most).map(Some)
}

fn check_size(directory: &Path, most: u64) -> StepResult<()> {
    let size = kiln_layer::disk_usage(directory)?.bytes;
    if size > most {
        let message = format!("it holds {size} bytes, more than {most} (mount-max=SIZE allows more)");
        return Err(StepError::Invalid(message));
    }
    Ok(())
}

/// The lock of a cache mount.
pub(crate) fn lock_name(name: &str) -> String {
    format!("cache-{name}")
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

impl MountChoice {
    /// Whether the mount is meant.
    pub(crate) fn takes(&self, id: &MountId) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Only(ids) => ids.iter().any(|only| id.is_meant_by(only)),
        }
    }
}
