//! Extended attributes: which belong to a layer, and reading and setting them.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr};
use rustix::io::Errno;

/// Name and value, sorted by name.
pub(crate) type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// The mark of a directory that hides what lies below it (overlayfs.rst, "whiteouts and opaque directories").
pub(crate) const OPAQUE: &str = "user.overlay.opaque";

/// What of a layer is missing in its directory: the paths of device nodes that could not be made, divided by zeros. On the
/// layer's top; no tar ever has it.
const SKIPPED: &str = "user.overlay.kiln-skipped";

/// No more bytes of it are kept: some file systems have little room for attributes.
const MOST_SKIPPED: usize = 1000;

/// The longest value, and the longest list of names, that the kernel takes (xattr(7)).
const MAX: usize = 64 * 1024;

/// Whether an attribute is part of a file's content.
///
/// That are file capabilities and the users' own attributes: what an ordinary user in a user namespace can read and
/// write just as root, so that a layer comes out the same for both. Overlayfs's own never are.
pub(crate) fn belongs(name: &[u8]) -> bool {
    name == b"security.capability" || (name.starts_with(b"user.") && !is_overlay(name))
}

/// Whether the attribute is overlayfs's bookkeeping.
pub(crate) fn is_overlay(name: &[u8]) -> bool {
    name.starts_with(b"user.overlay.") || name.starts_with(b"trusted.overlay.")
}

/// Every name of an open file's attributes. Most files have none, which costs one system call.
fn list(file: impl AsFd) -> Result<Vec<Vec<u8>>, Errno> {
    let mut buffer = [0; 1024];
    let listed = match flistxattr(&file, &mut buffer[..]) {
        Ok(length) => buffer[..length].to_vec(),
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(Errno::RANGE) => {
            let mut buffer = vec![0; MAX];
            let length = flistxattr(&file, &mut buffer[..])?;
            buffer.truncate(length);
            buffer
        }
        Err(errno) => return Err(errno),
    };
    Ok(listed
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
        .map(<[u8]>::to_vec)
        .collect())
}

/// Whether an open file has no attributes but those that [belong](belongs) to it.
pub(crate) fn all_belong(file: impl AsFd) -> Result<bool, Errno> {
    Ok(list(&file)?.iter().all(|name| belongs(name)))
}

/// The attributes that [belong](belongs) to an open file, and whether it carries the opaque mark.
pub(crate) fn read(file: impl AsFd) -> Result<(Xattrs, bool), Errno> {
    let mut found = Xattrs::new();
    let mut opaque = false;
    for name in list(&file)? {
        if name == OPAQUE.as_bytes() {
            opaque = get(&file, &name)?.is_some_and(|value| value == b"y");
        } else if belongs(&name)
            && let Some(value) = get(&file, &name)?
        {
            found.push((name, value));
        }
    }
    found.sort();
    Ok((found, opaque))
}

fn get(file: impl AsFd, name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    let mut small = [0; 256];
    let name = OsStr::from_bytes(name);
    match fgetxattr(&file, name, &mut small[..]) {
        Ok(length) => Ok(Some(small[..length].to_vec())),
        Err(Errno::RANGE) => {
            let mut buffer = vec![0; MAX];
            let length = fgetxattr(&file, name, &mut buffer[..])?;
            buffer.truncate(length);
            Ok(Some(buffer))
        }
        // Removed since the names were listed.
        Err(Errno::NODATA) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Sets what an archive says. What the file system cannot hold is left out, and so is what only the host's root may set.
pub(crate) fn apply(file: impl AsFd, xattrs: &Xattrs) -> Result<(), Errno> {
    for (name, value) in xattrs {
        if is_overlay(name) || is_of_the_host(name) {
            continue;
        }
        match fsetxattr(&file, OsStr::from_bytes(name), value, XattrFlags::empty()) {
            Ok(()) | Err(Errno::OPNOTSUPP) => {}
            Err(Errno::PERM | Errno::INVAL) if !belongs(name) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Takes away the attributes that [belong](belongs) to an open file.
pub(crate) fn clear(file: impl AsFd) -> Result<(), Errno> {
    for name in list(&file)?.iter().filter(|name| belongs(name)) {
        match fremovexattr(&file, OsStr::from_bytes(name)) {
            Ok(()) | Err(Errno::NODATA) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Labels and signatures that the host's own policy gives to its files.
fn is_of_the_host(name: &[u8]) -> bool {
    matches!(
        name,
        b"security.selinux" | b"security.ima" | b"security.evm" | b"security.apparmor"
    ) || name.starts_with(b"security.SMACK64")
}

/// Marks a directory as hiding what lies below it.
pub(crate) fn set_opaque(directory: impl AsFd) -> Result<(), Errno> {
    fsetxattr(directory, OPAQUE, b"y", XattrFlags::empty())
}

/// Notes which device nodes a layer should have and has not.
pub(crate) fn set_skipped(top: impl AsFd, paths: &[Vec<u8>]) -> Result<(), Errno> {
    let mut value: Vec<u8> = Vec::new();
    for path in paths {
        if value.len() + path.len() >= MOST_SKIPPED && !value.is_empty() {
            break;
        }
        value.extend(path.iter().take(MOST_SKIPPED).chain(&[0]));
    }
    match fsetxattr(top, SKIPPED, &value, XattrFlags::empty()) {
        Err(Errno::OPNOTSUPP) => Ok(()),
        done => done,
    }
}

/// The first of these device nodes.
pub(crate) fn skipped(top: impl AsFd) -> Result<Vec<Vec<u8>>, Errno> {
    let value = match get(&top, SKIPPED.as_bytes()) {
        Err(Errno::OPNOTSUPP) => None,
        found => found?,
    };
    let value = value.unwrap_or_default();
    Ok(value
        .split(|&byte| byte == 0)
        .filter(|path| !path.is_empty())
        .map(<[u8]>::to_vec)
        .collect())
}
