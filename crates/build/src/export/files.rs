//! The result's files without an image around them.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use kiln_layer::{CopyOptions, PackOptions, Times};
use rustix::fs::{Mode, OFlags};

use crate::error::{StepError, StepResult};

/// `type=local`: into a directory, which may exist, or a place below it.
pub(crate) fn write_local(tree: BorrowedFd<'_>, times: Times, dest: &Path, place: &Path) -> StepResult<()> {
    std::fs::create_dir_all(dest).map_err(StepError::io("create", dest))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(dest, flags, Mode::empty()).map_err(StepError::errno("open", dest))?;
    kiln_layer::copy_tree(
        tree,
        Path::new("/"),
        root.as_fd(),
        place,
        // The files are for whoever runs the build, as with docker: in the image they may be anybody's.
        &CopyOptions {
            owner: Some((0, 0)),
            times,
            ..CopyOptions::default()
        },
    )?;
    Ok(())
}

/// `type=tar`: as one tar, each tree at its place.
pub(crate) fn write_tar(trees: &[(PathBuf, OwnedFd)], times: Times, out: &mut dyn Write) -> StepResult<()> {
    let trees: Vec<_> = trees
        .iter()
        .map(|(place, tree)| (place.as_path(), tree.as_fd()))
        .collect();
    kiln_layer::pack_trees(&trees, &PackOptions::of(times), out)?;
    Ok(())
}
