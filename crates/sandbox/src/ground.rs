//! What a step has around it whatever runs there: namespaces, `/sys` and `/dev`. It can be made before it is known what
//! runs, beside the step before.

use crate::devices::{new_dev, populate};
use crate::kernel::builds_detached;
use crate::masks::{EmptyDirectory, lists};
use crate::mnt::{Context, add_attributes, attach, attach_at, clone_path, new_fs};
use crate::{Error, Network, Spec};
use rustix::fs::{CWD, Mode, OFlags, open, openat};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MountPropagationFlags, UnmountFlags, mount_change, unmount};
use rustix::process::{fchdir, pivot_root, umask};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

/// What of a [`Spec`] its namespaces depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// [`Spec::network`].
    pub network: Network,
    /// [`Spec::privileged`].
    pub privileged: bool,
    /// [`Spec::shm_size`].
    pub shm_size: u64,
}

impl Kind {
    /// That of the step.
    pub fn of(spec: &Spec<'_>) -> Self {
        Self {
            network: spec.network,
            privileged: spec.privileged,
            shm_size: spec.shm_size,
        }
    }

    /// Steps may make device nodes, and images may bring some; none of them leads to a device of the host.
    pub(crate) fn device_nodes(self) -> MountAttrFlags {
        if self.privileged {
            MountAttrFlags::empty()
        } else {
            MountAttrFlags::MOUNT_ATTR_NODEV
        }
    }
}

/// The namespaces of the thread that made it, and what will be mounted in them.
#[derive(Debug)]
pub(crate) struct Ground {
    /// The root directory of before, where the host's files are still there.
    pub(crate) old_root: Option<OwnedFd>,
    /// The descriptors of the thread, as the kernel's `/proc` shows them.
    pub(crate) descriptors: Option<OwnedFd>,
    /// An empty read-only directory, to hide directories.
    pub(crate) empty: &'static EmptyDirectory,
    kind: Kind,
    /// Detached.
    sys: Sys,
    /// Detached.
    dev: OwnedFd,
    /// What the mounts on the two came to, where they are there.
    furniture: Option<Furniture>,
}

/// What [`Ground::lay`] gives.
pub(crate) type Laid = Result<(Home, Ground), Error>;

/// The mount namespace that a thread was in before.
#[derive(Debug)]
pub(crate) struct Home(OwnedFd);

impl Home {
    fn here() -> Result<Self, Error> {
        const HERE: &str = "/proc/thread-self/ns/mnt";
        let namespace = open(HERE, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).context("open", HERE)?;
        Ok(Self(namespace))
    }

    /// Goes back there. If that should fail the mounts of the other last until the thread ends.
    pub(crate) fn enter(&self) {
        move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Mount)).ok();
    }
}

/// What the step's process needs of `/sys` and `/dev`.
#[derive(Debug)]
pub(crate) struct Furniture {
    /// The mount point for the control groups, where the host has version 2.
    pub(crate) cgroup: Option<OwnedFd>,
    /// The mount on `/dev/null`, to hide files.
    pub(crate) null: OwnedFd,
}

#[derive(Debug)]
struct Sys {
    mount: OwnedFd,
    /// It is the host's, with all that is mounted on it.
    of_host: bool,
}

const STRICT: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID
    .union(MountAttrFlags::MOUNT_ATTR_NODEV)
    .union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

impl Ground {
    /// Leaves the namespaces of Kiln, and its umask, on this thread.
    pub(crate) fn lay(kind: Kind) -> Laid {
        let home = Home::here()?;
        unshare(kind.network)?;
        umask(Mode::empty());
        // Nothing that is mounted or unmounted here may reach the host.
        mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE).context("make private", "/")?;
        let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::DIRECTORY;
        let open_host = |path| open(path, flags, Mode::empty()).context("open", path);
        let mut ground = Self {
            old_root: Some(open_host("/")?),
            descriptors: Some(open_host("/proc/thread-self/fd")?),
            empty: EmptyDirectory::get().context("mount", "an empty directory")?,
            kind,
            sys: Sys::new(kind.privileged)?,
            dev: new_dev(kind.device_nodes())?,
            furniture: None,
        };
        if builds_detached() {
            ground.furniture = Some(ground.furnish()?);
            if in_first_user_namespace() {
                ground.leave_host().context("leave", "the host's files")?;
            }
        }
        Ok((home, ground))
    }

    /// Puts an empty directory in the place of the host's root, on which the step's goes. The kernel waits for all
    /// processors when it takes files away: better here than when somebody waits for the step. A later user namespace
    /// may not: there the kernel mounts `/proc` only beside another one (`mount_too_revealing`).
    fn leave_host(&mut self) -> Result<(), Errno> {
        let Some(host) = self.old_root.take() else {
            return Ok(());
        };
        let empty = self.empty.mount()?;
        attach_at(&empty, CWD, "/")?;
        fchdir(&empty)?;
        pivot_root(".", ".")?;
        fchdir(host)?;
        unmount(".", UnmountFlags::DETACH)?;
        fchdir(empty)
    }

    /// Mounts `/sys` and `/dev`.
    pub(crate) fn attach(&mut self, sys: OwnedFd, dev: OwnedFd) -> Result<Furniture, Error> {
        attach(&self.sys.mount, sys).context("mount", "/sys")?;
        attach(&self.dev, dev).context("mount", "/dev")?;
        match self.furniture.take() {
            Some(furniture) => Ok(furniture),
            None => self.furnish(),
        }
    }

    /// What is, or will be, mounted on `/dev`.
    pub(crate) fn dev(&self) -> BorrowedFd<'_> {
        self.dev.as_fd()
    }

    /// Mounts what belongs on `/sys` and `/dev`. Only newer kernels take it while the two are detached.
    fn furnish(&self) -> Result<Furniture, Error> {
        Ok(Furniture {
            cgroup: self.sys.furnish(self.empty, self.kind.privileged)?,
            null: populate(self.dev.as_fd(), self.kind.shm_size)?,
        })
    }
}

/// All namespaces but that of process ids (which is for children only) and control groups (which the process enters
/// once it is in its group).
fn unshare(network: Network) -> Result<(), Error> {
    let mut flags = UnshareFlags::FS | UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    if network == Network::None {
        flags |= UnshareFlags::NEWNET;
    }
    // SAFETY: without UnshareFlags::FILES the thread keeps sharing the descriptor table with all others.
    unsafe { unshare_unsafe(flags) }.context("enter", "new namespaces")?;
    if network == Network::None {
        loopback_up().context("bring up", "the loopback interface")?;
    }
    Ok(())
}

fn loopback_up() -> Result<(), Errno> {
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: all-zero bytes are a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo\0") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or_default();
    // SAFETY: SIOCSIFFLAGS reads one `ifreq` from the pointer and keeps none of it.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) } {
        0 => Ok(()),
        _ => Err(crate::mnt::last_errno()),
    }
}

impl Sys {
    /// A sysfs, read-only unless privileged.
    ///
    /// A user namespace that does not own the network namespace may not mount a sysfs of its own; it gets the host's.
    fn new(privileged: bool) -> Result<Self, Error> {
        let attributes = if privileged {
            STRICT
        } else {
            STRICT | MountAttrFlags::MOUNT_ATTR_RDONLY
        };
        match new_fs("sysfs", &[], attributes) {
            Ok(mount) => Ok(Self { mount, of_host: false }),
            Err(_) => Ok(Self {
                mount: host_sys(attributes)?,
                of_host: true,
            }),
        }
    }

    /// Hides parts of it, and gives the mount point for control groups.
    fn furnish(&self, empty: &EmptyDirectory, privileged: bool) -> Result<Option<OwnedFd>, Error> {
        if !privileged {
            for entry in &lists().sys_hidden {
                empty
                    .mount()
                    .and_then(|cover| attach_at(cover, &self.mount, entry.name))
                    .context("hide /sys/", entry.name)?;
            }
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(cgroup) = openat(&self.mount, "fs/cgroup", flags, Mode::empty()) else {
            return Ok(None);
        };
        if unified_cgroups() {
            return Ok(Some(cgroup));
        }
        if self.of_host {
            empty
                .mount()
                .and_then(|cover| attach(cover, &cgroup))
                .context("hide", "/sys/fs/cgroup")?;
        }
        Ok(None)
    }
}

/// Whether all of the machine's users and rights are those of this process's user namespace.
fn in_first_user_namespace() -> bool {
    /// `PROC_USER_INIT_INO`, the same on every Linux.
    const FIRST: u64 = 0xefff_fffd;
    static IS_FIRST: OnceLock<bool> = OnceLock::new();
    *IS_FIRST.get_or_init(|| rustix::fs::stat("/proc/self/ns/user").is_ok_and(|found| found.st_ino == FIRST))
}

/// The host's `/sys` with all that is mounted on it.
fn host_sys(attributes: MountAttrFlags) -> Result<OwnedFd, Error> {
    let mount = clone_path("/sys".as_ref(), true).context("bind the host's", "/sys")?;
    add_attributes(&mount, attributes, true).context("make read-only", "/sys")?;
    Ok(mount)
}

/// Whether the host has control groups version 2 only.
fn unified_cgroups() -> bool {
    const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;
    rustix::fs::statfs("/sys/fs/cgroup").is_ok_and(|fs| u64::try_from(fs.f_type) == Ok(CGROUP2_SUPER_MAGIC))
}
