//! What can be made ready for a step before its namespaces exist: detached mounts, checked paths, C strings.

use crate::mnt::{Context, add_attributes, clone_at, clone_fd, clone_path, tmpfs};
use crate::path::open_in_root;
use crate::{BindSource, Error, Mount, MountKind, Spec};
use rustix::fs::{Gid, Mode, OFlags, Uid, fchmod, fchown, openat};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

const READ_ONLY: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_RDONLY;
const INERT: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// A mount and the place where it goes.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) target: String,
    pub(crate) mount: OwnedFd,
}

/// The root of the step: a mount of its own, so that the step's other mounts never show through the caller's
/// descriptor. Kernels before Linux 6.15 cannot clone a detached mount; there the caller's is used up.
pub(crate) fn root(spec: &Spec<'_>) -> Result<OwnedFd, Error> {
    match clone_fd(spec.root, false) {
        Err(Errno::INVAL) => spec
            .root
            .try_clone_to_owned()
            .map_err(|e| Error::setup("open", "the root", e)),
        result => result.context("clone the mount of", "the root"),
    }
}

/// `/etc/hosts` and `/etc/resolv.conf`.
pub(crate) fn network_files(spec: &Spec<'_>) -> Result<Vec<Placed>, Error> {
    let file = |path: &Path, target: &str| {
        let subject = path.display().to_string();
        let mount = clone_path(path, false).context("open", subject.as_str())?;
        add_attributes(&mount, READ_ONLY | INERT, false).context("protect", subject)?;
        Ok(Placed {
            target: target.to_owned(),
            mount,
        })
    };
    Ok(vec![
        file(&spec.hosts, "/etc/hosts")?,
        file(&spec.resolv_conf, "/etc/resolv.conf")?,
    ])
}

/// The mounts that the caller asked for, parents first.
pub(crate) fn mounts(spec: &Spec<'_>) -> Result<Vec<Placed>, Error> {
    let mut placed = Vec::with_capacity(spec.mounts.len());
    for mount in &spec.mounts {
        let target = clean_target(&mount.target)?;
        let detached = detached(mount)?;
        placed.push(Placed {
            target,
            mount: detached,
        });
    }
    placed.sort_by_key(|placed| placed.target.matches('/').count());
    Ok(placed)
}

/// The target without `.`, `..` and doubled slashes.
fn clean_target(target: &str) -> Result<String, Error> {
    if !target.starts_with('/') || target.contains('\0') {
        return Err(Error::InvalidSpec(format!(
            "mount target {target:?} is not an absolute path"
        )));
    }
    let mut parts = Vec::new();
    for component in Path::new(target).components() {
        match component {
            Component::Normal(name) => parts.push(name.to_str().unwrap_or_default()),
            Component::ParentDir => drop(parts.pop()),
            _ => {}
        }
    }
    match parts.first() {
        None => Err(Error::InvalidSpec(
            "a mount cannot replace the root directory".to_owned(),
        )),
        Some(&"proc") => Err(Error::InvalidSpec(format!("mount target {target:?} is inside /proc"))),
        _ => Ok(format!("/{}", parts.join("/"))),
    }
}

fn detached(mount: &Mount<'_>) -> Result<OwnedFd, Error> {
    let target = mount.target.as_str();
    match &mount.kind {
        MountKind::Bind { source, read_only } => {
            let (detached, recursive) = bind(source)?;
            if *read_only {
                add_attributes(&detached, READ_ONLY, recursive).context("make read-only the mount on", target)?;
            }
            Ok(detached)
        }
        MountKind::Tmpfs { size, mode } => tmpfs(*size, *mode, INERT).context("mount a tmpfs on", target),
        MountKind::File {
            content,
            mode,
            uid,
            gid,
        } => file(content, *mode, *uid, *gid).context("make the file for", target),
    }
}

/// A mount of a bind's source, and whether it has mounts on it.
fn bind(source: &BindSource<'_>) -> Result<(OwnedFd, bool), Error> {
    match source {
        BindSource::Path(path) => {
            let mount = clone_path(path, true).context("open the mount source", path.display().to_string())?;
            Ok((mount, true))
        }
        BindSource::Tree { root, path } => {
            let at = open_in_root(root, path, OFlags::PATH, Mode::empty()).context("open the mount source", path)?;
            Ok((clone_fd(at, false).context("clone the mount source", path)?, false))
        }
    }
}

/// A read-only file in memory.
fn file(content: &[u8], mode: u32, uid: u32, gid: u32) -> Result<OwnedFd, Errno> {
    const NAME: &str = "file";
    let memory = tmpfs(None, 0o700, INERT)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = openat(&memory, NAME, flags, Mode::RUSR)?;
    let mut rest = content;
    while !rest.is_empty() {
        rest = &rest[rustix::io::write(&file, rest)?..];
    }
    fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    fchmod(&file, Mode::from_raw_mode(mode))?;
    let mount = clone_at(memory.as_fd(), NAME, false)?;
    add_attributes(&mount, READ_ONLY, false)?;
    Ok(mount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        let check = |target: &str, expected: Option<&str>| {
            assert_eq!(clean_target(target).ok().as_deref(), expected, "{target}");
        };
        check("/a//b/./c/../d/", Some("/a/b/d"));
        check("/../x", Some("/x"));
        check("/dev/pipes/EOF", Some("/dev/pipes/EOF"));
        check("/", None);
        check("/a/..", None);
        check("relative", None);
        check("/proc/sys", None);
        check("/x/../proc", None);
    }
}
