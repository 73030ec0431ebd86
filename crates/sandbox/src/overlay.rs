//! Overlays as detached mounts.

use crate::Error;
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
            _ => self.mount_overlay(),
        }
    }

    fn mount_overlay(&self) -> Result<OwnedFd, Error> {
        let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(|e| error("open", "overlay".as_ref(), e))?;
        let options = Options { fs: &fs };
        // The layers' whiteouts and opaque marks are in `user.overlay.*`: the form that user namespaces can use.
        options.flag("userxattr")?;
        options.lower(self.lower)?;
        if let Some((upper, work)) = self.upper {
            options.directory("upperdir", upper)?;
            options.directory("workdir", work)?;
            if self.volatile {
                options.flag("volatile")?;
            }
        }
        let path = self.upper.map_or(self.lower[0].as_path(), |(upper, _)| upper);
        fsconfig_create(&fs).map_err(|e| options.error("create", path, e))?;
        fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).map_err(|e| error("mount", path, e))
    }
}

/// A single directory needs no overlay, only a mount that cannot be written through.
fn plain_read_only(path: &Path) -> Result<OwnedFd, Error> {
    let mount = clone_path(path, false).map_err(|e| error("open", path, e))?;
    add_attributes(&mount, MountAttrFlags::MOUNT_ATTR_RDONLY, false).map_err(|e| error("protect", path, e))?;
    Ok(mount)
}

fn error(step: &'static str, path: &Path, source: Errno) -> Error {
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

    /// One layer at a time (`lowerdir+`, Linux 6.8), or else all in one value.
    fn lower(&self, lower: &[PathBuf]) -> Result<(), Error> {
        for (index, path) in lower.iter().enumerate() {
            let set = short(path, false).and_then(|(value, _open)| fsconfig_set_string(self.fs, "lowerdir+", &*value));
            match set {
                Ok(()) => {}
                Err(Errno::INVAL) if index == 0 => return self.lower_at_once(lower),
                Err(errno) => return Err(self.error("add layer", path, errno)),
            }
        }
        Ok(())
    }

    /// For kernels before 6.8: `lowerdir=a:b:c`. The layers are named by short paths of open descriptors, since the
    /// value is limited.
    fn lower_at_once(&self, lower: &[PathBuf]) -> Result<(), Error> {
        let mut value = String::new();
        let mut open = Vec::new();
        for path in lower {
            let fd = open_directory(path).map_err(|e| error("open layer", path, e))?;
            if !value.is_empty() {
                value.push(':');
            }
            value.push_str(&descriptor_path(&fd));
            open.push(fd);
        }
        if value.len() > MAX_VALUE {
            let reason = format!("{} layers need Linux 6.8 or later", lower.len());
            return Err(Error::Overlay {
                step: "add layers",
                path: lower[0].clone(),
                source: io::Error::other(reason),
            });
        }
        fsconfig_set_string(self.fs, "lowerdir", value).map_err(|e| self.error("add layers", &lower[0], e))
    }

    fn directory(&self, key: &'static str, path: &Path) -> Result<(), Error> {
        short(path, true)
            .and_then(|(value, _open)| fsconfig_set_string(self.fs, key, &*value))
            .map_err(|e| self.error(key, path, e))
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
fn short(path: &Path, unescaped: bool) -> Result<(PathBuf, Option<OwnedFd>), Errno> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() <= MAX_VALUE && !(unescaped && bytes.contains(&b'\\')) {
        return Ok((path.to_owned(), None));
    }
    let fd = open_directory(path)?;
    Ok((descriptor_path(&fd).into(), Some(fd)))
}

fn open_directory(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn descriptor_path(fd: &OwnedFd) -> String {
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
