//! Where the mounts of a step come from: of one that runs, and of one that is remade for a shell.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use kiln_sandbox::{BindSource, MountKind};
use rustix::fd::AsFd as _;

/// A mount's source, which owns what the sandbox borrows.
pub(crate) enum MountSource {
    /// A path in one of the trees that are mounted for the step.
    Tree {
        index: usize,
        path: String,
        read_only: bool,
    },
    Path {
        path: PathBuf,
        read_only: bool,
    },
    Device {
        path: PathBuf,
    },
    Tmpfs {
        size: Option<u64>,
        mode: u32,
    },
    File {
        content: Vec<u8>,
        mode: u32,
        uid: u32,
        gid: u32,
    },
}

impl MountSource {
    /// As the sandbox wants it.
    pub(crate) fn kind<'a>(&self, trees: &'a [OwnedFd]) -> MountKind<'a> {
        match self {
            Self::Tree { index, path, read_only } => MountKind::Bind {
                source: BindSource::Tree {
                    root: trees[*index].as_fd(),
                    path: path.clone(),
                },
                read_only: *read_only,
            },
            Self::Path { path, read_only } => MountKind::Bind {
                source: BindSource::Path(path.clone()),
                read_only: *read_only,
            },
            Self::Device { path } => MountKind::Device { source: path.clone() },
            Self::Tmpfs { size, mode } => MountKind::Tmpfs {
                size: *size,
                mode: *mode,
            },
            Self::File {
                content,
                mode,
                uid,
                gid,
            } => MountKind::File {
                content: content.clone(),
                mode: *mode,
                uid: *uid,
                gid: *gid,
            },
        }
    }
}
