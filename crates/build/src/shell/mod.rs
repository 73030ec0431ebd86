//! A shell in a file tree, to look around: what it writes is gone afterwards.

mod image;
mod place;
mod step;
mod toolbox;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use kiln_plan::Network;
pub use kiln_sandbox::TerminalSize;
use kiln_sandbox::{BindSource, Child, Error as Sandbox, Kind, Mount, MountKind, Overlay, Prepared, Spec, Stdio, User};
use kiln_store::LayerDir;
use rustix::event::Timespec;
use rustix::process::Signal;

use crate::builder::{Builder, FIRST_TASK};
use crate::cancel::Cancel;
use crate::error::{Error, StepError, StepResult};
use crate::event::Sink;
use crate::images::Images;
use crate::processors::Processors;
use crate::run::{code, ends};
use crate::session::{Tasks, hosts_file, resolv_conf};
pub(crate) use place::Place;
pub use step::{Moment, PastStep};
use toolbox::Toolbox;
pub use toolbox::ToolboxSource;

/// What is asked of a shell; what is not said is as where it opens.
#[derive(Debug, Clone, Default)]
pub struct ShellSpec {
    /// Instead of a shell.
    pub command: Vec<String>,
    /// More environment.
    pub env: Vec<(String, String)>,
    /// The working directory.
    pub workdir: Option<String>,
    /// `user[:group]`
    pub user: Option<String>,
    /// What of this machine it sees besides.
    pub mounts: Vec<ShellMount>,
    /// What it may reach.
    pub network: Option<Network>,
    /// Its host name.
    pub hostname: Option<String>,
    /// Further names in /etc/hosts: name, address.
    pub hosts: Vec<(String, String)>,
    /// Tools to bring along, even where there is a shell.
    pub toolbox: Option<ToolboxSource>,
}

/// A further mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellMount {
    /// Where, absolute.
    pub target: String,
    /// What.
    pub kind: ShellMountKind,
}

/// What a further mount shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShellMountKind {
    /// A directory or file of this machine.
    Bind {
        /// Where it is.
        source: PathBuf,
        /// Whether it cannot be written.
        read_only: bool,
    },
    /// An empty directory in memory, of so many bytes at most; half of the memory where not given.
    Tmpfs {
        /// Bytes.
        size: Option<u64>,
    },
}

/// Who has the other end of a shell.
pub trait Attach: Sync {
    /// All is ready, and from now on whoever sits there talks to the shell. Gives the size of the terminal that it is to have;
    /// without one its standard streams are Kiln's. The notes are for people.
    fn begin(&self, notes: &[String]) -> Option<TerminalSize>;

    /// Carries what is typed and written between people and the shell's terminal until `ended` is readable, or `stop` is.
    fn carry(&self, terminal: OwnedFd, ended: BorrowedFd<'_>, stop: BorrowedFd<'_>) -> io::Result<()>;
}

/// How long a shell that is asked to stop may take. It has nothing to save.
const GRACE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// Where commands are looked for when the environment does not say (docker's default).
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Shells to look for, the better first.
const SHELLS: [&str; 2] = ["bash", "sh"];

/// What shells share with the build that they are opened by.
pub(crate) struct Opener<'a> {
    pub(crate) images: &'a Images<'a>,
    pub(crate) processors: &'a Processors,
    /// What ends the shell from outside.
    pub(crate) stop: &'a Cancel,
    pub(crate) spec: &'a ShellSpec,
    pub(crate) attach: &'a dyn Attach,
}

impl Builder {
    /// What opens a shell outside of a build, for `open`.
    fn with_opener(
        &self,
        spec: &ShellSpec,
        attach: &dyn Attach,
        sink: &dyn Sink,
        cancel: &Cancel,
        open: impl FnOnce(&Opener<'_>) -> StepResult<u8>,
    ) -> Result<u8, Error> {
        let tasks = Tasks::new(sink, FIRST_TASK);
        let images = Images::new(&self.store, &self.registry, &tasks, cancel);
        Ok(open(&Opener {
            images: &images,
            processors: &Processors::default(),
            stop: cancel,
            spec,
            attach,
        })?)
    }
}

impl Opener<'_> {
    /// Runs a shell in a place and gives its exit code: 128 and the signal's number if one ended it.
    pub(crate) fn open(&self, place: &Place<'_>) -> StepResult<u8> {
        let given = self.spec.toolbox.as_ref();
        let mut toolbox = given.map(|source| self.toolbox(Some(source))).transpose()?;
        let room = self.room(place)?;
        let own = room.shell(place);
        if own.is_none() && toolbox.is_none() {
            match self.toolbox(None) {
                Ok(found) => toolbox = Some(found),
                // It may be a program of the image's own.
                Err(_) if !self.spec.command.is_empty() => {}
                Err(error) => return Err(error),
            }
        }
        let is_own = own.is_some() && self.spec.command.is_empty();
        let mut child = match self.start(place, &room, own, toolbox.as_ref()) {
            // A shell without what it needs is none.
            Err(StepError::Sandbox(Sandbox::CommandNotExecutable { .. })) if is_own => {
                let toolbox = toolbox.map_or_else(|| self.toolbox(None), Ok)?;
                self.start(place, &self.room(place)?, None, Some(&toolbox))?
            }
            result => result?,
        };
        self.attend(&mut child)
    }

    fn room(&self, place: &Place<'_>) -> StepResult<Room> {
        let store = self.images.store;
        let (directory, files) = (store.new_layer()?, store.new_layer()?);
        let stubs = files.fs().join("stubs");
        kiln_sandbox::create_stubs(&stubs)?;
        let mut lower = place.lower.clone();
        lower.push(stubs);
        let root = Overlay {
            lower: &lower,
            upper: Some((&directory.fs(), &directory.work())),
            volatile: true,
        };
        Ok(Room {
            root: root.mount()?,
            directory,
            files,
        })
    }

    fn start(
        &self,
        place: &Place<'_>,
        room: &Room,
        own: Option<String>,
        toolbox: Option<&Toolbox>,
    ) -> StepResult<Child> {
        let spec = self.spec;
        let user = spec.user.as_deref().unwrap_or(&place.user);
        let user = kiln_sandbox::resolve_user(room.root.as_fd(), user)?;
        let network = spec.network.unwrap_or(place.network);
        let hostname = spec.hostname.as_ref().unwrap_or(&place.hostname);
        let hosts = [&place.hosts[..], &spec.hosts].concat();
        let mut notes = place.notes.clone();
        let args = match (&spec.command[..], own, toolbox) {
            ([], Some(own), _) => vec![own],
            ([], None, Some(toolbox)) => {
                notes.push(format!("there is no shell, so this is {}", toolbox.description));
                vec![toolbox.shell.clone()]
            }
            (command, ..) => command.to_vec(),
        };
        let size = self.attach.begin(&notes);
        let mounts = place.mounts();
        let own_mounts = spec.mounts.iter().map(mount);
        let sandbox = Spec {
            env: environment(place, spec, &user.home, toolbox),
            cwd: spec.workdir.clone().unwrap_or_else(|| place.cwd.clone()),
            user: User {
                uid: user.uid,
                gid: user.gid,
                groups: [&user.groups[..], &place.groups].concat(),
            },
            mounts: mounts
                .into_iter()
                .chain(own_mounts)
                .chain(toolbox.map(Toolbox::mount))
                .collect(),
            network: crate::solve::network(network),
            hosts: room.file("hosts", &hosts_file(hostname, &hosts))?,
            resolv_conf: room.file("resolv.conf", &resolv_conf(network)?)?,
            hostname: hostname.clone(),
            shm_size: place.shm_size,
            privileged: place.insecure,
            ulimits: place.ulimits.clone(),
            terminal: size,
            upper: Some(room.directory.fs()),
            ..Spec::new(room.root.as_fd(), args)
        };
        let stdio = [Stdio::Inherit, Stdio::Inherit, Stdio::Inherit];
        let prepared = Prepared::new(Kind::of(&sandbox))?;
        self.processors.spawn(&place.platform, prepared, sandbox, stdio)
    }

    /// Waits for the end. When it is to stop it is asked first, and killed if it does not.
    fn attend(&self, child: &mut Child) -> StepResult<u8> {
        if let Some(terminal) = child.terminal() {
            let carried = self.attach.carry(terminal, child.pidfd(), self.stop.fd());
            carried.map_err(StepError::io("talk to", "the shell's terminal"))?;
        }
        if !ends(child, Some(self.stop), None)? {
            // Its terminal, if it had one, has hung up by now.
            child.signal(Signal::HUP)?;
            child.signal(Signal::TERM)?;
            if !ends(child, None, Some(&GRACE))? {
                child.kill()?;
            }
        }
        Ok(code(&child.wait()?))
    }

    fn toolbox(&self, source: Option<&ToolboxSource>) -> StepResult<Toolbox> {
        match source {
            Some(source) => Toolbox::of(self, source),
            None => Toolbox::find(self),
        }
    }
}

/// A file tree that can be written to, for one shell.
struct Room {
    root: OwnedFd,
    directory: LayerDir,
    files: LayerDir,
}

impl Room {
    fn file(&self, name: &str, content: &[u8]) -> StepResult<PathBuf> {
        let path = self.files.fs().join(name);
        std::fs::write(&path, content).map_err(StepError::io("write", &path))?;
        Ok(path)
    }

    /// The shell that is there: the one that the place prefers, else one in `PATH`.
    fn shell(&self, place: &Place<'_>) -> Option<String> {
        let preferred = place.shell.clone().filter(|shell| shell.starts_with('/'));
        let path = variable(&place.env, "PATH").unwrap_or(PATH);
        let of_path = SHELLS
            .into_iter()
            .flat_map(|shell| toolbox::in_directories(path, shell));
        preferred
            .into_iter()
            .chain(of_path)
            .find(|shell| toolbox::is_program(self.root.as_fd(), shell))
    }
}

/// The program that a step ran, if it is a shell.
pub(crate) fn shell_of(program: Option<&String>) -> Option<String> {
    program.filter(|program| program.ends_with("sh")).cloned()
}

fn variable<'e>(env: &'e [(String, String)], name: &str) -> Option<&'e str> {
    let found = env.iter().rev().find(|(present, _)| present == name);
    found.map(|(_, value)| value.as_str())
}

/// That of the place, with what is asked for and, last in `PATH`, the toolbox.
fn environment(place: &Place<'_>, spec: &ShellSpec, home: &str, toolbox: Option<&Toolbox>) -> Vec<(String, String)> {
    let mut env = place.env.clone();
    for (name, value) in &spec.env {
        env.retain(|(present, _)| present != name);
        env.push((name.clone(), value.clone()));
    }
    let home = if home.is_empty() { "/" } else { home };
    for (name, value) in [("PATH", PATH), ("HOME", home)] {
        if variable(&env, name).is_none() {
            env.push((name.to_owned(), value.to_owned()));
        }
    }
    if let Some(toolbox) = toolbox
        && let Some((_, path)) = env.iter_mut().find(|(name, _)| name == "PATH")
    {
        for directory in &toolbox.directories {
            path.push(':');
            path.push_str(directory);
        }
    }
    env
}

fn mount<'a>(mount: &ShellMount) -> Mount<'a> {
    Mount {
        target: mount.target.clone(),
        kind: match &mount.kind {
            ShellMountKind::Bind { source, read_only } => MountKind::Bind {
                source: BindSource::Path(source.clone()),
                read_only: *read_only,
            },
            ShellMountKind::Tmpfs { size } => MountKind::Tmpfs {
                size: *size,
                mode: 0o1777,
            },
        },
    }
}
