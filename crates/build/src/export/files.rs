//! The result's files without an image around them.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use kiln_layer::{CopyOptions, PackOptions, Times};
use rustix::fs::{Mode, OFlags};

use crate::error::{StepError, StepResult};

/// `type=local`: into a directory, which may exist.
pub(crate) fn write_local(tree: BorrowedFd<'_>, times: Times, dest: &Path) -> StepResult<()> {
    std::fs::create_dir_all(dest).map_err(StepError::io("create", dest))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(dest, flags, Mode::empty()).map_err(StepError::errno("open", dest))?;
    kiln_layer::copy_tree(
        tree,
        Path::new("/"),
        root.as_fd(),
        Path::new("/"),
        // The files are for whoever runs the build, as with docker: in the image they may be anybody's.
        &CopyOptions {
            owner: Some((0, 0)),
            times,
            ..CopyOptions::default()
        },
    )?;
    Ok(())
}

/// `type=tar`: as one tar.
pub(crate) fn write_tar(tree: BorrowedFd<'_>, times: Times, out: &mut dyn Write) -> StepResult<()> {
    kiln_layer::pack_tree(tree, &PackOptions::of(times), out)?;
    Ok(())
}
