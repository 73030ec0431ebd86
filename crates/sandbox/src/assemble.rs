//! The surroundings of a step: its mounts, in the namespaces of its [`Ground`].
//!
//! All this happens on a thread of its own that has left Kiln's namespaces: ordinary code, with nothing to be careful of
//! but that the thread no longer sees the host's paths afterwards. Only what needs the new PID namespace is left to the
//! process itself ([`exec`](crate::exec)).

use crate::copied_up::{CopiedUp, SeenBy};
use crate::ground::{Furniture, Ground, Kind};
use crate::masks::EmptyDirectory;
use crate::mnt::{Context, add_attributes, attach_at};
use crate::path::mkdir_all_in_root;
use crate::prepare::Placed;
use crate::targets::{Shape, Targets};
use crate::terminal::Terminal;
use crate::{Error, Spec, User};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::{chroot, fchdir, pivot_root};
use rustix::system::sethostname;
use std::os::fd::OwnedFd;
use std::path::Path;

/// What is needed of a [`Spec`] on the step's thread.
#[derive(Debug)]
pub(crate) struct Surroundings {
    root: OwnedFd,
    /// The upper directory of the root.
    upper: Option<OwnedFd>,
    network_files: Vec<Placed>,
    mounts: Vec<Placed>,
    hostname: String,
    kind: Kind,
    cwd: String,
    user: User,
    terminal: Option<Terminal>,
}

/// What the process needs to finish the work.
#[derive(Debug)]
pub(crate) struct Assembled {
    /// The mount point for `/proc`.
    pub(crate) proc: OwnedFd,
    /// The root directory of before, if it is still on top of the new one.
    pub(crate) old_root: Option<OwnedFd>,
    /// Of `/sys` and `/dev`.
    pub(crate) furniture: Furniture,
    /// An empty read-only directory, to hide directories.
    pub(crate) empty: &'static EmptyDirectory,
    /// The step's end of its terminal.
    pub(crate) terminal: Option<OwnedFd>,
}

impl Surroundings {
    /// On the caller's thread, whose mount namespace the sources are in.
    pub(crate) fn new(spec: &Spec<'_>, terminal: Option<Terminal>) -> Result<Self, Error> {
        Ok(Self {
            root: crate::prepare::root(spec)?,
            upper: spec.upper.as_deref().map(upper).transpose()?,
            network_files: crate::prepare::network_files(spec)?,
            mounts: crate::prepare::mounts(spec)?,
            hostname: spec.hostname.clone(),
            kind: Kind::of(spec),
            cwd: spec.cwd.clone(),
            user: spec.user.clone(),
            terminal,
        })
    }

    /// Puts everything into its place. The mount points that it makes are noted in `targets` even if it fails.
    pub(crate) fn assemble(self, mut ground: Ground, targets: &mut Option<Targets>) -> Result<Assembled, Error> {
        sethostname(self.hostname.as_bytes()).context("set the host name", self.hostname.as_str())?;
        let mounts = self.network_files.into_iter().chain(self.mounts);
        let mounts = mounts.map(Placed::resolve).collect::<Result<Vec<_>, _>>()?;
        add_attributes(&self.root, self.kind.device_nodes(), false).context("restrict the mount of", "the root")?;
        attach_at(&self.root, CWD, "/").context("mount", "the root")?;
        let seen_by = self.upper.zip(ground.descriptors.take());
        let copied_up = CopiedUp::new(seen_by.map(|(upper, descriptors)| SeenBy { upper, descriptors }));
        let targets = targets.insert(Targets::new(self.root, copied_up)?);

        let sys = targets.find("/sys", Shape::Directory)?;
        let dev = targets.find("/dev", Shape::Directory)?;
        let furniture = ground.attach(sys, dev)?;
        let terminal = self.terminal.as_ref().map(|terminal| terminal.open(ground.dev()));
        let terminal = terminal.transpose()?;
        for (target, mount) in mounts {
            targets.place(mount, &target)?;
        }
        let proc = targets.find("/proc", Shape::Directory)?;
        working_directory(targets, &self.cwd, &self.user)?;

        fchdir(targets.root()).context("enter", "the root")?;
        match ground.old_root {
            // It ends up on top of the new one (pivot_root(2)); the process takes it off.
            Some(_) => pivot_root(".", "."),
            // The new one lies on an empty directory, which nobody sees.
            None => chroot("."),
        }
        .context("switch to", "the root")?;
        Ok(Assembled {
            proc,
            old_root: ground.old_root,
            furniture,
            empty: ground.empty,
            terminal,
        })
    }
}

fn upper(path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).context("open", path.display().to_string())
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
