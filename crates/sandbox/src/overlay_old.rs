//! Overlays on kernels before Linux 6.8, by `mount(2)`.
//!
//! It attaches the mount to a path, so a thread with a mount namespace of its own does it, and takes a detached copy.

use crate::mnt::{clone_path, last_errno};
use crate::overlay::{descriptor_path, error, open_directory};
use crate::{Error, Overlay};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The kernel takes one page of options.
const MAX_OPTIONS: usize = 4095;

/// Mounts an overlay with at least one lower directory.
pub(crate) fn mount(overlay: &Overlay<'_>) -> Result<OwnedFd, Error> {
    let mounted = std::thread::scope(|scope| scope.spawn(|| mount_aside(overlay)).join());
    mounted.unwrap_or_else(|_| Err(error("mount", overlay.place(), Errno::IO)))
}

/// On a thread of its own: mounts where nobody sees it. The mount namespace ends with the thread.
fn mount_aside(overlay: &Overlay<'_>) -> Result<OwnedFd, Error> {
    let target = overlay.place();
    // SAFETY: without UnshareFlags::FILES the thread keeps sharing the descriptor table with all others.
    let unshared = unsafe { unshare_unsafe(UnshareFlags::FS | UnshareFlags::NEWNS) };
    let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    unshared
        .and_then(|()| mount_change("/", private))
        .map_err(|e| error("mount", target, e))?;
    // Descriptors make short paths without anything that needs to be escaped. The kernel wants them to be opened in
    // the mount namespace in which it mounts.
    let mut open = Vec::new();
    let options = options(overlay, &mut open)?;
    mount_onto(target, options)
        .and_then(|()| clone_path(target, false))
        .map_err(|e| error("mount", target, e))
}

fn options(overlay: &Overlay<'_>, open: &mut Vec<OwnedFd>) -> Result<String, Error> {
    let mut name = |path: &Path| -> Result<String, Error> {
        let fd = open_directory(path).map_err(|e| error("open", path, e))?;
        let name = descriptor_path(&fd);
        open.push(fd);
        Ok(name)
    };
    let lower = overlay
        .lower
        .iter()
        .map(|path| name(path))
        .collect::<Result<Vec<_>, _>>()?;
    let mut options = format!("userxattr,lowerdir={}", lower.join(":"));
    if let Some((upper, work)) = overlay.upper {
        options = format!("{options},upperdir={},workdir={}", name(upper)?, name(work)?);
        if overlay.volatile {
            options += ",volatile";
        }
    }
    if options.len() > MAX_OPTIONS {
        let reason = format!("{} layers need Linux 6.8 or later", overlay.lower.len());
        let source = std::io::Error::other(reason);
        return Err(Error::Overlay {
            step: "add layers",
            path: overlay.lower[0].clone(),
            source,
        });
    }
    Ok(options)
}

fn mount_onto(target: &Path, options: String) -> Result<(), Errno> {
    let at = CString::new(target.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
    let options = CString::new(options).map_err(|_| Errno::INVAL)?;
    let kind = c"overlay".as_ptr();
    // SAFETY: all arguments are C strings that outlive the call.
    match unsafe { libc::mount(kind, at.as_ptr(), kind, 0, options.as_ptr().cast()) } {
        0 => Ok(()),
        _ => Err(last_errno()),
    }
}
