//! The raw system calls of a new process. None allocates, locks, or goes through a function of the C library that acts
//! on all threads: the process still shares Kiln's memory.

use crate::mnt::last_errno;
use crate::seccomp::Insn;
use rustix::io::Errno;
use std::ffi::{c_int, c_long, c_void};
use std::os::fd::RawFd;
use std::ptr;

/// Docker's default capabilities: chown, `dac_override`, fowner, fsetid, kill, setgid, setuid, setpcap,
/// `net_bind_service`, `net_raw`, `sys_chroot`, mknod, `audit_write`, setfcap.
pub(crate) const DEFAULT_CAPABILITIES: u64 = 0xa804_25fb;

/// A keyring of the process's own, instead of that of Kiln's session.
pub(crate) fn own_keyring() -> Result<(), Errno> {
    // SAFETY: a null name makes an anonymous keyring.
    raw(|| unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_JOIN_SESSION_KEYRING,
            ptr::null::<c_void>(),
        )
    })
}

/// Replaces the supplementary groups.
pub(crate) fn set_groups(groups: &[u32]) -> Result<(), Errno> {
    // SAFETY: the kernel reads so many ids from the slice.
    raw(|| unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })
}

/// Sets the real, effective and saved group.
pub(crate) fn set_gid(gid: u32) -> Result<(), Errno> {
    // SAFETY: numbers only.
    raw(|| unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })
}

/// Sets the real, effective and saved user.
pub(crate) fn set_uid(uid: u32) -> Result<(), Errno> {
    // SAFETY: numbers only.
    raw(|| unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })
}

/// The error of a call that gives a negative number.
pub(crate) fn raw(call: impl FnOnce() -> c_long) -> Result<(), Errno> {
    if call() < 0 { Err(last_errno()) } else { Ok(()) }
}

/// Takes all but Docker's default capabilities from the bounding set.
pub(crate) fn limit_bounding_set() -> Result<(), Errno> {
    for capability in 0..64_u32 {
        if DEFAULT_CAPABILITIES & (1 << capability) != 0 {
            continue;
        }
        // SAFETY: prctl with integers only.
        let dropped = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability), 0, 0, 0) };
        match if dropped == 0 { Ok(()) } else { Err(last_errno()) } {
            // The kernel does not know this one nor any after it.
            Err(Errno::INVAL) => break,
            result => result?,
        }
    }
    Ok(())
}

/// Permitted and effective; nothing inheritable, and thus nothing ambient. A change to another user clears them.
pub(crate) fn set_capabilities(set: u64) -> Result<(), Errno> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    /// `_LINUX_CAPABILITY_VERSION_3`: two words of each set.
    const VERSION: u32 = 0x2008_0522;
    let half = |set: u32| Data {
        effective: set,
        permitted: set,
        inheritable: 0,
    };
    let header = Header {
        version: VERSION,
        pid: 0,
    };
    #[expect(clippy::cast_possible_truncation, reason = "the low and the high half")]
    let data = [half(set as u32), half((set >> 32) as u32)];
    // SAFETY: version 3 reads the header and two `Data`; both outlive the call.
    raw(|| unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) })
}

/// Installs a seccomp filter, without "no new privileges".
pub(crate) fn install(filter: &[Insn]) -> Result<(), Errno> {
    let program = libc::sock_fprog {
        len: libc::c_ushort::try_from(filter.len()).map_err(|_| Errno::TOOBIG)?,
        filter: filter.as_ptr().cast_mut().cast(),
    };
    let set = |flags: libc::c_ulong| {
        // SAFETY: `Insn` has the layout of `sock_filter`; the kernel copies the program during the call.
        raw(|| unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags,
                &raw const program,
            )
        })
    };
    // As other runtimes do: no slower memory access for filtered processes on kernels before 5.16.
    match set(libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW) {
        Err(Errno::INVAL) => set(0),
        result => result,
    }
}

/// Sets a resource limit of this process.
pub(crate) fn set_rlimit(resource: u32, limit: &libc::rlimit64) -> Result<(), Errno> {
    // SAFETY: prlimit64 reads one `rlimit64` and writes nothing to a null pointer.
    raw(|| unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource,
            ptr::from_ref(limit),
            ptr::null_mut::<libc::rlimit64>(),
        )
    })
}

/// Makes `fd` the standard stream `number`. Kiln's own descriptors are all above 2, so nothing is overwritten.
pub(crate) fn duplicate(fd: RawFd, number: usize) -> Result<(), Errno> {
    // SAFETY: dup3 on descriptor numbers; the streams of this process are not owned by anything in it.
    raw(|| unsafe { libc::syscall(libc::SYS_dup3, fd, number, 0) })
}

/// Closes everything but the standard streams, so that `/proc/self/fd` leads nowhere when the command is looked up.
pub(crate) fn close_all() -> Result<(), Errno> {
    // SAFETY: the table is this process's own copy; Kiln's descriptors stay open in Kiln, and nothing here uses or
    // drops an owner of one from now on.
    raw(|| unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) })
}

/// `struct sigaction` of the kernel, with room for every architecture's order of fields: all zero is "default".
#[repr(C, align(8))]
struct KernelSigaction([u8; 64]);

/// Size of the kernel's signal set.
const SIGSET_SIZE: usize = 8;

/// Gives all signals their default action, also those that Kiln ignores.
pub(crate) fn default_signals() -> Result<(), Errno> {
    const SIGNALS: c_int = 64;
    let default = KernelSigaction([0; 64]);
    for signal in 1..=SIGNALS {
        if signal == libc::SIGKILL || signal == libc::SIGSTOP {
            continue;
        }
        // SAFETY: handlers are not shared with Kiln (no CLONE_SIGHAND); the structure is larger than the kernel's.
        raw(|| unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                &raw const default,
                ptr::null_mut::<c_void>(),
                SIGSET_SIZE,
            )
        })?;
    }
    Ok(())
}

/// Blocks no signal.
pub(crate) fn empty_signal_mask() -> Result<(), Errno> {
    let empty = 0_u64;
    // SAFETY: the kernel reads one set of SIGSET_SIZE bytes.
    raw(|| unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const empty,
            ptr::null_mut::<u64>(),
            SIGSET_SIZE,
        )
    })
}
