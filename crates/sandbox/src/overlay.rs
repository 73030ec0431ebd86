//! Overlays as detached mounts.

use crate::Error;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A stack of directories to be seen as one.
#[derive(Debug)]
pub struct Overlay<'a> {
    /// Lower directories, topmost first; at least one.
    pub lower: &'a [PathBuf],
    /// The upper directory, which takes all changes, and the empty work directory next to it (same file system).
    /// `None`: read-only.
    pub upper: Option<(&'a Path, &'a Path)>,
    /// Never sync the upper directory; for roots of steps, which a crash makes worthless anyhow.
    pub volatile: bool,
}

impl Overlay<'_> {
    /// Mounts it, visible to nobody but through the descriptor; closing that unmounts it.
    pub fn mount(&self) -> Result<OwnedFd, Error> {
        Err(Error::InvalidSpec("not written yet".to_owned()))
    }
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
