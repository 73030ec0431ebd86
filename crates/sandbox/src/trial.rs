//! Whether steps can run a program: by running it.

use crate::mnt::{Context, tmpfs};
use crate::{Emulator, Error, Spec, Stdio, spawn};
use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::MountAttrFlags;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd;

const NAME: &str = "program";

/// Whether a step can run the program `content`: it must end with code 0 by itself. It runs in a root file system that
/// holds nothing else, so that only what the kernel brings along counts.
///
/// # Errors
///
/// That no step at all can be set up.
pub fn runs(content: &[u8], emulator: Option<&Emulator>) -> Result<bool, Error> {
    let root = tmpfs(None, 0o755, MountAttrFlags::empty()).context("mount", "a trial's root")?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o755);
    let file = openat(&root, NAME, flags, mode).context("create", "a trial's program")?;
    // Closed at once: what is open for writing cannot be executed.
    File::from(file)
        .write_all(content)
        .map_err(|error| Error::setup("write", "a trial's program", error))?;
    let spec = Spec {
        emulator: emulator.cloned(),
        ..Spec::new(root.as_fd(), vec![format!("/{NAME}")])
    };
    match spawn(&spec, Stdio::Null, Stdio::Null, Stdio::Null) {
        Ok(mut child) => Ok(child.wait()?.code == Some(0)),
        Err(Error::CommandNotExecutable { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
