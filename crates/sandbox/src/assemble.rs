//! The surroundings of a step: its namespaces and its mounts.
//!
//! All this happens on a thread of its own that leaves Kiln's namespaces by `unshare`: ordinary code, with nothing
//! to be careful of but that the thread no longer sees the host's paths afterwards. Only what needs the new PID
//! namespace is left to the process itself ([`exec`](crate::exec)).

use crate::devices::{new_dev, populate};
use crate::masks::{EmptyDirectory, lists};
use crate::mnt::{Context, add_attributes, attach, attach_at, clone_path, new_fs};
use crate::path::mkdir_all_in_root;
use crate::prepare::Placed;
use crate::targets::{Shape, Targets};
use crate::terminal::Terminal;
use crate::{Error, Network, Spec, User};
use rustix::fs::{CWD, Mode, OFlags, open};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MountPropagationFlags, mount_change};
use rustix::process::{fchdir, pivot_root, umask};
use rustix::system::sethostname;
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

/// What is needed of a [`Spec`] on the step's thread.
#[derive(Debug)]
pub(crate) struct Surroundings {
    root: OwnedFd,
    upper: Option<PathBuf>,
    network_files: Vec<Placed>,
    mounts: Vec<Placed>,
    network: Network,
    hostname: String,
    shm_size: u64,
    privileged: bool,
    cwd: String,
    user: User,
    terminal: Option<Terminal>,
}

/// What the process needs to finish the work.
#[derive(Debug)]
pub(crate) struct Assembled {
    /// The mount point for `/proc`.
    pub(crate) proc: OwnedFd,
    /// The mount point for the control groups, where the host has version 2.
    pub(crate) cgroup: Option<OwnedFd>,
    /// The root directory of before, still on top of the new one.
    pub(crate) old_root: OwnedFd,
    /// The mount on `/dev/null`, to hide files.
    pub(crate) null: OwnedFd,
    /// An empty read-only directory, to hide directories.
    pub(crate) empty: &'static EmptyDirectory,
    /// The step's end of its terminal.
    pub(crate) terminal: Option<OwnedFd>,
}

const STRICT: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID
    .union(MountAttrFlags::MOUNT_ATTR_NODEV)
    .union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

impl Surroundings {
    /// On the caller's thread, whose mount namespace the sources are in.
    pub(crate) fn new(spec: &Spec<'_>, terminal: Option<Terminal>) -> Result<Self, Error> {
        Ok(Self {
            root: crate::prepare::root(spec)?,
            upper: spec.upper.clone(),
            network_files: crate::prepare::network_files(spec)?,
            mounts: crate::prepare::mounts(spec)?,
            network: spec.network,
            hostname: spec.hostname.clone(),
            shm_size: spec.shm_size,
            privileged: spec.privileged,
            cwd: spec.cwd.clone(),
            user: spec.user.clone(),
            terminal,
        })
    }

    /// Leaves the namespaces of Kiln and builds those of the step. The mount points that it makes are noted in
    /// `targets` even if it fails.
    pub(crate) fn assemble(self, targets: &mut Option<Targets>) -> Result<Assembled, Error> {
        unshare(self.network)?;
        umask(Mode::empty());
        sethostname(self.hostname.as_bytes()).context("set the host name", self.hostname.as_str())?;
        // Nothing that is mounted or unmounted here may reach the host.
        mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE).context("make private", "/")?;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let old_root = open("/", flags | OFlags::DIRECTORY, Mode::empty()).context("open", "/")?;
        let mounts = self.network_files.into_iter().chain(self.mounts);
        let mounts = mounts.map(Placed::resolve).collect::<Result<Vec<_>, _>>()?;
        // Steps may make device nodes, and images may bring some; none of them leads to a device of the host.
        let devices = if self.privileged {
            MountAttrFlags::empty()
        } else {
            MountAttrFlags::MOUNT_ATTR_NODEV
        };
        add_attributes(&self.root, devices, false).context("restrict the mount of", "the root")?;
        attach_at(&self.root, CWD, "/").context("mount", "the root")?;
        let targets = targets.insert(Targets::new(self.root, self.upper.as_deref())?);

        let empty = EmptyDirectory::get().context("mount", "an empty directory")?;
        let cgroup = sys(targets, empty, self.privileged)?;
        let dev = targets.find("/dev", Shape::Directory)?;
        let mount = new_dev(devices)?;
        attach(&mount, dev).context("mount", "/dev")?;
        let null = populate(mount.as_fd(), self.shm_size)?;
        let terminal = self.terminal.as_ref().map(|terminal| terminal.open(mount.as_fd()));
        let terminal = terminal.transpose()?;
        for (target, mount) in mounts {
            targets.place(mount, &target)?;
        }
        let proc = targets.find("/proc", Shape::Directory)?;
        working_directory(targets, &self.cwd, &self.user)?;

        fchdir(targets.root()).context("enter", "the root")?;
        // The old root ends up on top of the new one (pivot_root(2)); the process takes it off.
        pivot_root(".", ".").context("switch to", "the root")?;
        Ok(Assembled {
            proc,
            cgroup,
            old_root,
            null,
            empty,
            terminal,
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

/// Mounts `/sys`, read-only unless privileged, and gives the mount point for control groups.
///
/// A user namespace that does not own the network namespace may not mount a sysfs of its own; it gets the host's.
fn sys(targets: &mut Targets, empty: &EmptyDirectory, privileged: bool) -> Result<Option<OwnedFd>, Error> {
    let at = targets.find("/sys", Shape::Directory)?;
    let attributes = if privileged {
        STRICT
    } else {
        STRICT | MountAttrFlags::MOUNT_ATTR_RDONLY
    };
    let own = new_fs("sysfs", &[], attributes);
    let of_host = own.is_err();
    let mount = own.or_else(|_| host_sys(attributes))?;
    attach(&mount, at).context("mount", "/sys")?;
    if !privileged {
        for entry in &lists().sys_hidden {
            empty
                .mount()
                .and_then(|cover| attach_at(cover, &mount, entry.name))
                .context("hide /sys/", entry.name)?;
        }
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(cgroup) = rustix::fs::openat(&mount, "fs/cgroup", flags, Mode::empty()) else {
        return Ok(None);
    };
    if unified_cgroups() {
        return Ok(Some(cgroup));
    }
    if of_host {
        empty
            .mount()
            .and_then(|cover| attach(cover, &cgroup))
            .context("hide", "/sys/fs/cgroup")?;
    }
    Ok(None)
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

/// Makes the working directory if it is missing. It belongs to the step's result.
fn working_directory(targets: &Targets, cwd: &str, user: &User) -> Result<(), Error> {
    if !cwd.starts_with('/') {
        return Err(Error::InvalidSpec(format!(
            "working directory {cwd:?} is not an absolute path"
        )));
    }
    if cwd == "/proc" || cwd.starts_with("/proc/") {
        return Ok(());
    }
    let mode = Mode::from_raw_mode(0o755);
    mkdir_all_in_root(targets.root(), cwd, mode, Some((user.uid, user.gid)), None)
        .map(drop)
        .context("create the working directory", cwd)
}
