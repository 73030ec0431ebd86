//! Programs that the kernel gives to another program to run: emulators of other processors.
//!
//! The kernel's `binfmt_misc` starts an interpreter for files that begin with certain bytes. Since Linux 6.7 a user
//! namespace can have entries of its own, which hold for the processes in it alone, and as long as its `binfmt_misc` is
//! mounted. An [`Emulator`] is such a namespace: below Kiln's, with the same ids and with one entry. The mount is
//! detached, so that entry and namespace go with the last descriptor, whatever ends Kiln.

use crate::EnterError;
use crate::kernel::at_least;
use crate::ladder::{fork, wait};
use crate::mnt::new_fs;
use crate::subid::identity_map;
use crate::userns::forbidden;
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::mount::MountAttrFlags;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, Shutdown, SocketFlags, SocketType, recvmsg, sendmsg, shutdown, socketpair,
};
use rustix::process::{Pid, Signal, set_parent_process_death_signal};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

/// Which files which program runs.
#[derive(Debug, Clone, Copy)]
pub struct Interpreter<'a> {
    /// The program. It is opened now, so that it works in root file systems that do not hold it; that is why it must be
    /// linked statically: a dynamic loader would be looked for there. It gets the file's path, the first argument as
    /// given, and the other arguments (`binfmt_misc`'s flags P, O, C and F).
    pub path: &'a Path,
    /// How the files begin.
    pub magic: &'a [u8],
    /// Which bits of `magic` count; as long as that.
    pub mask: &'a [u8],
}

/// Lets steps run programs by means of an [`Interpreter`]. Clones are the same one.
///
/// A step with an emulator is in a user namespace below Kiln's, as root too: the ids are the same, but of its
/// capabilities those do not count that are about what belongs to the namespace above: device nodes cannot be made,
/// ports below 1024 not be bound.
#[derive(Debug, Clone)]
pub struct Emulator(Arc<Registered>);

#[derive(Debug)]
struct Registered {
    namespace: OwnedFd,
    /// The mount that keeps the entry.
    _entry: OwnedFd,
}

/// Why there is no emulator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmulatorError {
    /// `binfmt_misc` is the whole machine's.
    #[error("Linux {release} has emulators for the whole machine only: for a build alone it must be 6.7 or later")]
    OldKernel {
        /// The kernel's version.
        release: String,
    },
    /// The kernel was made without it, or its module is not loaded.
    #[error("this kernel has no binfmt_misc; if it is a module, `modprobe binfmt_misc` as root loads it")]
    NoBinfmtMisc,
    /// A further user namespace cannot be had.
    #[error(transparent)]
    Namespace(#[from] EnterError),
    /// Any other system call.
    #[error("cannot {step}: {source}")]
    System {
        /// The operation that failed.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl Emulator {
    /// Makes the namespace. It changes nothing for anybody else.
    pub fn new(interpreter: &Interpreter<'_>) -> Result<Self, EmulatorError> {
        let entry = entry(interpreter);
        let sockets = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (ours, theirs) = sockets.map_err(system("open a pair of sockets"))?;
        let child = fork(|| i32::from(say(&theirs, serve(&theirs, &entry)).is_err()))
            .map_err(|source| EmulatorError::System { step: "fork", source })?;
        drop(theirs);
        let result = attend(&ours, child);
        // It ends by itself, or because there is nothing more to read; closing is not enough, it has our end too.
        shutdown(&ours, Shutdown::Both).map_err(system("close a pair of sockets"))?;
        wait(child).map_err(|source| EmulatorError::System { step: "wait", source })?;
        result
    }

    /// In the process of a step: enters the namespace, with all capabilities there. With `mounts`, in a mount namespace
    /// where these hold. Makes system calls only.
    pub(crate) fn enter(&self, mounts: bool) -> Result<(), Errno> {
        move_into_link_name_space(self.0.namespace.as_fd(), Some(LinkNameSpaceType::User))?;
        if mounts {
            // SAFETY: without UnshareFlags::FILES the descriptor table stays as it is.
            unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
        }
        Ok(())
    }
}

/// The line that `binfmt_misc` reads. P: the first argument reaches the program; O and C: programs that cannot be read,
/// and those that change the user, work as usual; F: the interpreter is opened at once.
fn entry(interpreter: &Interpreter<'_>) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt as _;
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _infallible = write!(text, "\\x{byte:02x}");
            text
        })
    };
    let mut line = format!(":kiln:M:0:{}:{}:", hex(interpreter.magic), hex(interpreter.mask)).into_bytes();
    line.extend_from_slice(interpreter.path.as_os_str().as_bytes());
    line.extend_from_slice(b":POCF");
    line
}

/// What the process that makes the namespace goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Step {
    Unshare = 1,
    Mount,
    Register,
}

/// In the process: makes the namespace and, once its ids are mapped, the entry.
fn serve(parent: &OwnedFd, entry: &[u8]) -> Result<OwnedFd, (Step, Errno)> {
    let unshared = set_parent_process_death_signal(Some(Signal::KILL)).and_then(|()| {
        // SAFETY: without UnshareFlags::FILES the descriptor table stays as it is.
        unsafe { unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNS) }
    });
    unshared.map_err(|errno| (Step::Unshare, errno))?;
    // The ids can be mapped from outside only.
    let mapped = rustix::io::write(parent, b"!").and_then(|_| rustix::io::read(parent, &mut [0_u8]));
    if mapped != Ok(1) {
        return Err((Step::Unshare, Errno::CANCELED));
    }
    let at = |step| move |errno| (step, errno);
    let mount = new_fs("binfmt_misc", &[], MountAttrFlags::empty()).map_err(at(Step::Mount))?;
    let register = openat(&mount, "register", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    register
        .and_then(|register| rustix::io::write(register, entry))
        .map_err(at(Step::Register))?;
    Ok(mount)
}

/// In the process: hands over the mount, or what failed: the step and the error's number.
fn say(parent: &OwnedFd, result: Result<OwnedFd, (Step, Errno)>) -> Result<usize, Errno> {
    let (mount, message) = match result {
        Ok(mount) => (Some(mount), vec![0]),
        Err((step, errno)) => {
            let number = errno.raw_os_error().to_le_bytes();
            (None, [&[step as u8], &number[..]].concat())
        }
    };
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = mount.as_ref().map(AsFd::as_fd);
    if let Some(descriptors) = descriptors.as_ref().map(std::slice::from_ref) {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    sendmsg(parent, &[IoSlice::new(&message)], &mut control, SendFlags::NOSIGNAL)
}

/// In Kiln: maps the ids of the process when it asks for that, and takes what it made.
fn attend(process: &OwnedFd, child: Pid) -> Result<Emulator, EmulatorError> {
    let asked = hear(process)?;
    if asked.message != b"!" {
        return Err(failure(&asked.message, at_least(6, 7)));
    }
    let of_child = |file: &str| format!("/proc/{}/{file}", child.as_raw_nonzero());
    for map in ["uid_map", "gid_map"] {
        let own = fs::read_to_string(format!("/proc/self/{map}"));
        own.and_then(|own| fs::write(of_child(map), identity_map(&own)))
            .map_err(|source| EmulatorError::System {
                step: "map the ids",
                source,
            })?;
    }
    let namespace = fs::File::open(of_child("ns/user")).map_err(|source| EmulatorError::System {
        step: "open the user namespace",
        source,
    })?;
    rustix::io::write(process, b"!").map_err(system("tell that the ids are mapped"))?;
    let made = hear(process)?;
    match made.descriptor {
        Some(entry) => Ok(Emulator(Arc::new(Registered {
            namespace: namespace.into(),
            _entry: entry,
        }))),
        None => Err(failure(&made.message, at_least(6, 7))),
    }
}

/// A message and what came with it.
struct Heard {
    message: Vec<u8>,
    descriptor: Option<OwnedFd>,
}

fn hear(from: &OwnedFd) -> Result<Heard, EmulatorError> {
    let mut message = [0; 8];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(
            from,
            &mut [IoSliceMut::new(&mut message)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )
    });
    let length = received.map_err(system("hear from the new namespace"))?.bytes;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok(Heard {
        message: message[..length].to_vec(),
        descriptor,
    })
}

/// What [`say`] said, of a kernel in which namespaces can have entries of their own or (not `own_entries`) not yet.
fn failure(message: &[u8], own_entries: bool) -> EmulatorError {
    const UNSHARE: u8 = Step::Unshare as u8;
    const MOUNT: u8 = Step::Mount as u8;
    let ended = || EmulatorError::System {
        step: "make a user namespace",
        source: io::Error::other("the process that makes it ended early"),
    };
    let Some((&step, number)) = message.split_first() else {
        return ended();
    };
    let Ok(number) = number.try_into().map(i32::from_le_bytes) else {
        return ended();
    };
    let errno = Errno::from_raw_os_error(number);
    match (step, errno) {
        (UNSHARE, _) => forbidden(errno).into(),
        (MOUNT, Errno::NODEV) => EmulatorError::NoBinfmtMisc,
        (MOUNT, Errno::PERM) if !own_entries => EmulatorError::OldKernel {
            release: rustix::system::uname().release().to_string_lossy().into_owned(),
        },
        (MOUNT, _) => system("mount binfmt_misc in a user namespace")(errno),
        _ => system("register the emulator")(errno),
    }
}

fn system(step: &'static str) -> impl Fn(Errno) -> EmulatorError {
    move |errno| EmulatorError::System {
        step,
        source: errno.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries() {
        let line = entry(&Interpreter {
            path: Path::new("/usr/bin/x"),
            magic: b"\x7fE:",
            mask: &[0xff, 0, 0xfe],
        });
        assert_eq!(
            String::from_utf8(line).unwrap(),
            r":kiln:M:0:\x7f\x45\x3a:\xff\x00\xfe:/usr/bin/x:POCF"
        );
    }

    #[test]
    fn failures_say_what_to_do() {
        let check = |step: Step, errno: Errno, new: bool, part: &str| {
            let message = [&[step as u8], &errno.raw_os_error().to_le_bytes()[..]].concat();
            let error = failure(&message, new).to_string();
            assert!(error.contains(part), "{error}");
        };
        check(Step::Unshare, Errno::NOSPC, true, "user.max_user_namespaces");
        check(Step::Mount, Errno::NODEV, true, "modprobe binfmt_misc");
        check(
            Step::Register,
            Errno::NOENT,
            true,
            "cannot register the emulator: No such file",
        );
        assert!(failure(b"", true).to_string().contains("ended early"));
        assert!(failure(b"!", true).to_string().contains("ended early"));
    }
}
