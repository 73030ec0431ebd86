//! What depends on the kernel's version.

use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};

/// Whether overlays take their layers one at a time (`lowerdir+`). Before, a mount option of 255 bytes had to hold them
/// all, and before Linux 6.5 the new interface did not even say that it did not know the option.
pub(crate) fn has_layer_by_layer() -> bool {
    !pretend_old() && at_least(6, 8)
}

/// Whether mounts can be put onto detached ones.
pub(crate) fn builds_detached() -> bool {
    !pretend_old() && at_least(6, 15)
}

/// A second mount of what the detached mount `fd` shows. Kernels before Linux 6.15 answer `EINVAL`.
pub(crate) fn clone_detached(fd: impl AsFd) -> Result<OwnedFd, Errno> {
    if pretend_old() {
        Err(Errno::INVAL)
    } else {
        crate::mnt::clone_fd(fd, false)
    }
}

/// Whether this is that version of Linux or a later one.
pub(crate) fn at_least(major: u32, minor: u32) -> bool {
    version(&rustix::system::uname().release().to_string_lossy()) >= Some((major, minor))
}

/// The first two numbers of a release such as `6.1.0-25-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Lets tests run the ways that only old kernels need.
#[cfg(test)]
pub(crate) static PRETEND_OLD: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

#[cfg(test)]
fn pretend_old() -> bool {
    PRETEND_OLD.load(std::sync::atomic::Ordering::Relaxed)
}

#[cfg(not(test))]
const fn pretend_old() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(version("6.1.0-25-amd64"), Some((6, 1)));
        assert_eq!(version("6.18.44-fc"), Some((6, 18)));
        assert_eq!(version("5.15"), Some((5, 15)));
        assert_eq!(version("x"), None);
        assert!(Some((6, 10)) >= Some((6, 8)));
    }
}
