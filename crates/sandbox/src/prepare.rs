//! What can be made ready for a step before its namespaces exist: detached mounts and checked paths.

use crate::kernel::clone_detached;
use crate::mnt::{Context, add_attributes, attach_at, clone_fd, clone_path, tmpfs};
use crate::path::open_in_root;
use crate::{BindSource, Error, Mount, MountKind, Spec};
use rustix::fs::{CWD, FileType, Gid, Mode, OFlags, Uid, fchmod, fchown, openat};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

const READ_ONLY: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_RDONLY;
const INERT: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// A mount and the place where it goes.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) target: String,
    source: Source,
    attributes: MountAttrFlags,
    recursive: bool,
}

/// Where a mount comes from.
#[derive(Debug)]
enum Source {
    /// It is there.
    Ready(OwnedFd),
    /// It is a path in a detached mount, of which this kernel cannot clone a part. That works once the mount is
    /// attached somewhere, which the step's own mount namespace is good for.
    Inside { tree: OwnedFd, path: String },
}

impl Placed {
    fn ready(mount: OwnedFd) -> Self {
        Self::new(Source::Ready(mount))
    }

    fn new(source: Source) -> Self {
        Self {
            target: String::new(),
            source,
            attributes: MountAttrFlags::empty(),
            recursive: false,
        }
    }

    /// The target and the mount. Call it in the mount namespace of the step, before its root is mounted.
    pub(crate) fn resolve(self) -> Result<(String, OwnedFd), Error> {
        let target = self.target;
        let mount = match self.source {
            Source::Ready(mount) => mount,
            Source::Inside { tree, path } => inside(&tree, &path).context("open the source of", target.as_str())?,
        };
        if !self.attributes.is_empty() {
            let added = add_attributes(&mount, self.attributes, self.recursive);
            added.context("restrict the mount on", target.as_str())?;
        }
        Ok((target, mount))
    }
}

/// A mount of a part of a detached one, which is left attached on top of the old root and goes with it.
fn inside(tree: &OwnedFd, path: &str) -> Result<OwnedFd, Errno> {
    match attach_at(tree, CWD, "/") {
        // ELOOP: it is attached already, since two mounts come from the same tree.
        Ok(()) | Err(Errno::LOOP) => {}
        Err(errno) => return Err(errno),
    }
    clone_fd(open_in_root(tree, path, OFlags::PATH, Mode::empty())?, false)
}

/// The root of the step: a mount of its own, so that the step's other mounts never show through the caller's
/// descriptor. Kernels before Linux 6.15 cannot clone a detached mount; there the caller's is used up.
pub(crate) fn root(spec: &Spec<'_>) -> Result<OwnedFd, Error> {
    match clone_detached(spec.root) {
        Err(Errno::INVAL) => duplicate(spec.root).context("open", "the root"),
        result => result.context("clone the mount of", "the root"),
    }
}

fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    rustix::io::fcntl_dupfd_cloexec(fd, 3)
}

/// `/etc/hosts` and `/etc/resolv.conf`.
pub(crate) fn network_files(spec: &Spec<'_>) -> Result<Vec<Placed>, Error> {
    let file = |path: &Path, target: &str| {
        let mount = clone_path(path, false).context("open", path.display().to_string())?;
        Ok(Placed {
            target: target.to_owned(),
            attributes: READ_ONLY | INERT,
            ..Placed::ready(mount)
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
        placed.push(Placed {
            target,
            ..source(mount, spec.privileged)?
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

fn source(mount: &Mount<'_>, privileged: bool) -> Result<Placed, Error> {
    let target = mount.target.as_str();
    match &mount.kind {
        MountKind::Bind { source, read_only } => {
            let attributes = if *read_only { READ_ONLY } else { MountAttrFlags::empty() };
            let devices = if privileged {
                MountAttrFlags::empty()
            } else {
                MountAttrFlags::MOUNT_ATTR_NODEV
            };
            let attributes = attributes | devices;
            Ok(Placed {
                attributes,
                ..bind(source)?
            })
        }
        MountKind::Tmpfs { size, mode } => {
            let mount = tmpfs(*size, *mode, INERT).context("mount a tmpfs on", target)?;
            Ok(Placed::ready(mount))
        }
        MountKind::Device { source } => device(source),
        MountKind::File {
            content,
            mode,
            uid,
            gid,
        } => file(content, *mode, *uid, *gid).context("make the file for", target),
    }
}

/// The host's node, bound. The mount is read-only, which lets who may write to the device, but not change the node.
fn device(source: &Path) -> Result<Placed, Error> {
    let subject = || source.display().to_string();
    let stat = rustix::fs::stat(source).context("look at the device", subject())?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    if !matches!(kind, FileType::CharacterDevice | FileType::BlockDevice) {
        return Err(Error::InvalidSpec(format!("{} is no device", source.display())));
    }
    let mount = clone_path(source, false).context("open the device", subject())?;
    Ok(Placed {
        attributes: READ_ONLY | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC,
        ..Placed::ready(mount)
    })
}

fn bind(source: &BindSource<'_>) -> Result<Placed, Error> {
    match source {
        BindSource::Path(path) => {
            let mount = clone_path(path, true).context("open the mount source", path.display().to_string())?;
            Ok(Placed {
                recursive: true,
                ..Placed::ready(mount)
            })
        }
        BindSource::Tree { root, path } => {
            let at = open_in_root(root, path, OFlags::PATH, Mode::empty()).context("open the mount source", path)?;
            part(&at, *root, path).context("clone the mount source", path)
        }
    }
}

/// A mount of `at`, which is `path` in the mount `tree`.
fn part(at: &OwnedFd, tree: BorrowedFd<'_>, path: &str) -> Result<Placed, Errno> {
    match clone_detached(at) {
        Err(Errno::INVAL) => Ok(Placed::new(Source::Inside {
            tree: duplicate(tree)?,
            path: path.to_owned(),
        })),
        result => result.map(Placed::ready),
    }
}

/// A read-only file in memory.
fn file(content: &[u8], mode: u32, uid: u32, gid: u32) -> Result<Placed, Errno> {
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
    drop(file);
    let at = openat(&memory, NAME, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    Ok(Placed {
        attributes: READ_ONLY,
        ..part(&at, memory.as_fd(), NAME)?
    })
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
