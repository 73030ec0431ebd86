//! Overlays as detached mounts.

use crate::Error;
use crate::kernel::has_layer_by_layer;
use crate::mnt::{add_attributes, clone_path};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A stack of directories to be seen as one.
#[derive(Debug)]
pub struct Overlay<'a> {
    /// Lower directories, topmost first; at least one.
    pub lower: &'a [PathBuf],
    /// The upper directory, which takes all changes, and the empty work directory next to it (same file system).
    /// `None`: read-only.
    pub upper: Option<(&'a Path, &'a Path)>,
    /// Never sync the upper directory; for roots of steps, which a crash makes worthless anyhow. The work directory
    /// cannot be used a second time (the kernel leaves `work/incompat/volatile` in it and then refuses it).
    pub volatile: bool,
}

/// The kernel takes at most 255 bytes as the value of a mount option.
const MAX_VALUE: usize = 255;

/// `OVL_MAX_STACK`: the lower directories of an overlay.
const MAX_LOWER: usize = 500;

impl Overlay<'_> {
    /// Mounts it, visible to nobody but through the descriptor; closing that unmounts it.
    ///
    /// Needs `CAP_SYS_ADMIN` in the current user namespace ([`enter`](crate::enter)).
    pub fn mount(&self) -> Result<OwnedFd, Error> {
        match (self.lower, self.upper) {
            ([], _) => Err(Error::InvalidSpec(
                "an overlay needs at least one lower directory".to_owned(),
            )),
            ([single], None) => plain_read_only(single),
            (lower, _) if lower.len() <= MAX_LOWER => self.mount_overlay(),
            (lower, _) => self.mount_nested(lower),
        }
    }

    /// The lowest directories as an overlay of their own: the kernel takes overlays of overlays, but no third storey.
    /// Nothing is below them, so it does not matter that what they hide is not to be seen any more.
    fn mount_nested(&self, lower: &[PathBuf]) -> Result<OwnedFd, Error> {
        let (above, below) = lower.split_at(lower.len() - MAX_LOWER);
        if above.len() >= MAX_LOWER {
            return Err(Error::TooManyLayers {
                found: lower.len(),
                limit: 2 * MAX_LOWER - 1,
            });
        }
        let below = Overlay {
            lower: below,
            upper: None,
            volatile: false,
        };
        let below = below.mount()?;
        let mut storeys = above.to_vec();
        storeys.push(descriptor_path(&below).into());
        Overlay {
            lower: &storeys,
            ..*self
        }
        .mount_overlay()
    }

    fn mount_overlay(&self) -> Result<OwnedFd, Error> {
        if !has_layer_by_layer() {
            return crate::overlay_old::mount(self);
        }
        let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(|e| error("open", "overlay".as_ref(), e))?;
        let options = Options { fs: &fs };
        options.value("source", "overlay".as_ref())?;
        // The layers' whiteouts and opaque marks are in `user.overlay.*`: the form that user namespaces can use.
        options.flag("userxattr")?;
        for path in self.lower {
            options.directory("lowerdir+", path)?;
        }
        if let Some((upper, work)) = self.upper {
            options.directory("upperdir", upper)?;
            options.directory("workdir", work)?;
            if self.volatile {
                options.flag("volatile")?;
            }
        }
        let path = self.place();
        fsconfig_create(&fs).map_err(|e| options.error("create", path, e))?;
        fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).map_err(|e| error("mount", path, e))
    }

    /// The directory to name in messages.
    pub(crate) fn place(&self) -> &Path {
        self.upper.map_or(self.lower[0].as_path(), |(upper, _)| upper)
    }
}

/// A single directory needs no overlay, only a mount that cannot be written through.
fn plain_read_only(path: &Path) -> Result<OwnedFd, Error> {
    let mount = clone_path(path, false).map_err(|e| error("open", path, e))?;
    add_attributes(&mount, MountAttrFlags::MOUNT_ATTR_RDONLY, false).map_err(|e| error("protect", path, e))?;
    Ok(mount)
}

pub(crate) fn error(step: &'static str, path: &Path, source: Errno) -> Error {
    Error::Overlay {
        step,
        path: path.to_owned(),
        source: source.into(),
    }
}

/// Sets options on a file system context.
struct Options<'a> {
    fs: &'a OwnedFd,
}

impl Options<'_> {
    fn flag(&self, key: &str) -> Result<(), Error> {
        fsconfig_set_flag(self.fs, key).map_err(|e| self.error("set option", key.as_ref(), e))
    }

    fn value(&self, key: &'static str, value: &Path) -> Result<(), Error> {
        fsconfig_set_string(self.fs, key, value).map_err(|e| self.error(key, value, e))
    }

    fn directory(&self, key: &'static str, path: &Path) -> Result<(), Error> {
        let (value, _open) = short(path).map_err(|e| self.error(key, path, e))?;
        self.value(key, &value)
    }

    /// An error with what the kernel wrote about it into the context's log.
    fn error(&self, step: &'static str, path: &Path, errno: Errno) -> Error {
        let mut log = [0; 1024];
        let source = match rustix::io::read(self.fs, &mut log) {
            Ok(length) if length > 0 => {
                let text = String::from_utf8_lossy(&log[..length]);
                io::Error::new(io::Error::from(errno).kind(), format!("{errno} ({})", text.trim()))
            }
            _ => errno.into(),
        };
        Error::Overlay {
            step,
            path: path.to_owned(),
            source,
        }
    }
}

/// A path that can be an option's value: itself, or that of a descriptor where it is too long, or where the kernel
/// would take its backslashes for escapes. The descriptor must stay open until the option is set.
fn short(path: &Path) -> Result<(PathBuf, Option<OwnedFd>), Errno> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() <= MAX_VALUE && !bytes.contains(&b'\\') {
        return Ok((path.to_owned(), None));
    }
    let fd = open_directory(path)?;
    Ok((descriptor_path(&fd).into(), Some(fd)))
}

pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

pub(crate) fn descriptor_path(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// Makes, in the empty or missing directory `dir`, the mount points that every step needs: `/proc`, `/sys`, `/dev`,
/// `/etc/hosts`, `/etc/resolv.conf`. As the lowest layer of an overlay they spare the upper directory any trace.
pub fn create_stubs(dir: &Path) -> Result<(), Error> {
    let fail = |source: io::Error| Error::setup("create the stub directory", dir.display().to_string(), source);
    for name in ["proc", "sys", "dev", "etc"] {
        std::fs::create_dir_all(dir.join(name)).map_err(fail)?;
    }
    for name in ["etc/hosts", "etc/resolv.conf"] {
        std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(dir.join(name))
            .map_err(fail)?;
    }
    Ok(())
}
