//! Packages of Debian that are unpacked below the cache of base images, not installed: to install docker.io would start
//! a daemon for the whole machine.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{command, paths};

/// The daemon with its `BuildKit` and its client; what they start.
const PACKAGES: [&str; 3] = ["docker.io", "containerd", "runc"];

/// A directory with their `usr`; fetched at first.
pub(super) fn unpacked() -> Result<PathBuf> {
    let directory = paths::cache()?.join("peers");
    if directory.exists() {
        return Ok(directory);
    }
    let parent = paths::cache()?;
    fs::create_dir_all(&parent)?;
    let work = tempfile::tempdir_in(parent)?;
    let mut download = Command::new("apt-get");
    download
        .args(["download", "-q"])
        .args(PACKAGES)
        .current_dir(work.path());
    command::quietly(&mut download).context("cannot fetch Debian's dockerd; it needs the lists of `apt-get update`")?;
    let root = work.path().join("root");
    for entry in fs::read_dir(work.path())? {
        let package = entry?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            command::quietly(Command::new("dpkg-deb").arg("--extract").arg(package).arg(&root))?;
        }
    }
    fs::rename(&root, &directory).with_context(|| format!("cannot write {}", directory.display()))?;
    Ok(directory)
}
