//! A Landlock domain for a step that shares the host's network: abstract sockets belong to the network namespace, so
//! that those of the host's desktop and services would be in reach of the step. Files are none of its business here.

use crate::calls::raw;
use rustix::io::Errno;
use std::ffi::c_long;

/// `struct landlock_ruleset_attr`, in the form of ABI 6 (Linux 6.12).
#[repr(C)]
struct RulesetAttributes {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// `LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET`.
const ABSTRACT_SOCKETS: u64 = 1;

/// Keeps this process and its children from the abstract sockets of all others. Kernels before 6.12, and those that run
/// without Landlock, cannot; there they stay in reach.
///
/// Allocates nothing; the process may still share Kiln's memory. Needs `CAP_SYS_ADMIN`.
pub(crate) fn own_abstract_sockets() -> Result<(), Errno> {
    let attributes = RulesetAttributes {
        handled_access_fs: 0,
        handled_access_net: 0,
        scoped: ABSTRACT_SOCKETS,
    };
    // SAFETY: the kernel reads one structure of the size given.
    let ruleset = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const attributes,
            size_of::<RulesetAttributes>(),
            0,
        )
    };
    if ruleset < 0 {
        return match crate::mnt::last_errno() {
            Errno::NOSYS | Errno::OPNOTSUPP | Errno::TOOBIG | Errno::INVAL => Ok(()),
            errno => Err(errno),
        };
    }
    // The descriptor is closed with all others before the command runs.
    restrict(ruleset)
}

fn restrict(ruleset: c_long) -> Result<(), Errno> {
    // SAFETY: numbers only.
    raw(|| unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0) })
}
