//! Where a shell opens.

use std::path::PathBuf;

use kiln_image::Platform;
use kiln_plan::Network;
use kiln_sandbox::{Mount, Ulimit};

/// A file tree and what a program in it has around it.
pub(crate) struct Place<'a> {
    /// The directories that are laid over one another, topmost first.
    pub(crate) lower: Vec<PathBuf>,
    /// What its programs are for.
    pub(crate) platform: Platform,
    /// The shell that is preferred, if it is there.
    pub(crate) shell: Option<String>,
    pub(crate) env: Vec<(String, String)>,
    /// Absolute.
    pub(crate) cwd: String,
    /// `user[:group]`; empty for root.
    pub(crate) user: String,
    /// Further groups.
    pub(crate) groups: Vec<u32>,
    pub(crate) network: Network,
    pub(crate) hostname: String,
    /// Further lines of /etc/hosts: name, address.
    pub(crate) hosts: Vec<(String, String)>,
    /// `/dev/shm`, bytes.
    pub(crate) shm_size: u64,
    pub(crate) ulimits: Vec<Ulimit>,
    /// All capabilities, no filter.
    pub(crate) insecure: bool,
    /// Makes the mounts, which may be used up by a first try.
    pub(crate) make_mounts: Option<&'a dyn Fn() -> Vec<Mount<'a>>>,
    /// What people should know of it.
    pub(crate) notes: Vec<String>,
}

impl<'a> Place<'a> {
    pub(crate) fn mounts(&self) -> Vec<Mount<'a>> {
        self.make_mounts.map(|make| make()).unwrap_or_default()
    }
}
