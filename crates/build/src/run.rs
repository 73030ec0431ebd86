//! Running a program in an image, in the foreground.

use std::path::PathBuf;

use kiln_image::{Config, Platform, Reference, ReferenceError};
use kiln_plan::{ImageRequest, Network, ResolvedImage};
use kiln_sandbox::{BindSource, Child, Exit, Kind, Mount, MountKind, Overlay, Prepared, Spec, Stdio, User};
use kiln_store::{Entry, Found};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use rustix::process::Signal;

use crate::builder::{Builder, FIRST_TASK};
use crate::cancel::Cancel;
use crate::error::{Error, StepError, StepResult};
use crate::event::Sink;
use crate::images::Images;
use crate::processors::Processors;
use crate::session::{Tasks, hosts_file, resolv_conf};
use crate::shell::Attach;

/// What to run; everything that is not said is the image's.
#[derive(Debug, Clone)]
pub struct RunSpec {
    /// In which image: its ID, or its name; fetched if the store does not have it.
    pub image: String,
    /// For which platform; of several in the store this machine's where not given.
    pub platform: Option<Platform>,
    /// Instead of CMD; empty for the image's.
    pub command: Vec<String>,
    /// Instead of ENTRYPOINT; an empty one for none.
    pub entrypoint: Option<String>,
    /// More environment.
    pub env: Vec<(String, String)>,
    /// Source, target, whether it is read only.
    pub volumes: Vec<(PathBuf, String, bool)>,
    /// Instead of WORKDIR.
    pub workdir: Option<String>,
    /// Instead of USER.
    pub user: Option<String>,
    /// What it may reach.
    pub network: Network,
    /// Its host name.
    pub hostname: Option<String>,
    /// Further names in /etc/hosts: name, address.
    pub hosts: Vec<(String, String)>,
    /// Whether its root cannot be written.
    pub read_only: bool,
    /// Whether it reads standard input.
    pub interactive: bool,
    /// Whether it has a terminal of its own.
    pub terminal: bool,
}

/// How long a program that is asked to stop may take, as with docker.
const GRACE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// Linux's signals are fewer; exit codes above this name one.
const SIGNAL_BASE: i32 = 128;

impl Builder {
    /// Runs it and gives its exit code: 128 and the signal's number if one ended it. What it wrote to its root is
    /// gone afterwards.
    pub fn run(&self, spec: &RunSpec, attach: &dyn Attach, sink: &dyn Sink, cancel: &Cancel) -> Result<u8, Error> {
        let tasks = Tasks::new(sink, FIRST_TASK);
        let images = Images::new(&self.store, &self.registry, &tasks, cancel);
        Ok(run(&images, spec, attach)?)
    }
}

fn run(images: &Images<'_>, spec: &RunSpec, attach: &dyn Attach) -> StepResult<u8> {
    let _in_use = images.store.in_use()?;
    let resolved = find(images, &spec.image, spec.platform.as_ref())?;
    let layers = images.layers(&resolved.manifest);
    images.materialize(&layers)?;
    let layers = images.mountable(&layers)?;

    let directory = images.store.new_layer()?;
    let files = images.store.new_layer()?;
    let stubs = files.fs().join("stubs");
    kiln_sandbox::create_stubs(&stubs)?;
    let mut lower = images.directories(&layers);
    lower.push(stubs);
    let root = Overlay {
        lower: &lower,
        upper: Some((&directory.fs(), &directory.work())),
        volatile: true,
    }
    .mount()?;

    let config = &resolved.config.config;
    let user = kiln_sandbox::resolve_user(root.as_fd(), spec.user.as_deref().unwrap_or(&config.user))?;
    let hostname = spec.hostname.clone().unwrap_or_else(|| "kiln".to_owned());
    let write = |name: &str, content: Vec<u8>| -> StepResult<PathBuf> {
        let path = files.fs().join(name);
        std::fs::write(&path, content).map_err(StepError::io("write", &path))?;
        Ok(path)
    };
    let size = attach.begin(&[]);
    let sandbox = Spec {
        env: environment(config, spec, &user.home),
        cwd: spec.workdir.clone().unwrap_or_else(|| {
            if config.working_dir.is_empty() {
                "/".to_owned()
            } else {
                config.working_dir.clone()
            }
        }),
        user: User {
            uid: user.uid,
            gid: user.gid,
            groups: user.groups,
        },
        mounts: spec.volumes.iter().map(volume).collect(),
        network: crate::solve::network(spec.network),
        hosts: write("hosts", hosts_file(&hostname, &spec.hosts))?,
        resolv_conf: write("resolv.conf", resolv_conf(spec.network)?)?,
        hostname,
        read_only_root: spec.read_only,
        terminal: size.filter(|_| spec.terminal),
        upper: Some(directory.fs()),
        ..Spec::new(root.as_fd(), command(config, spec)?)
    };
    let stdin = if spec.interactive { Stdio::Inherit } else { Stdio::Null };
    let prepared = Prepared::new(Kind::of(&sandbox)).map_err(StepError::from)?;
    let stdio = [stdin, Stdio::Inherit, Stdio::Inherit];
    let mut child = Processors::default().spawn(&resolved.config.platform(), prepared, sandbox, stdio)?;
    if let Some(terminal) = child.terminal() {
        let carried = attach.carry(terminal, child.pidfd(), images.cancel.fd());
        carried.map_err(StepError::io("talk to", "the program's terminal"))?;
    }
    wait(&mut child, images.cancel)
}

/// The store's image of that ID or name, or the registry's.
pub(crate) fn find(images: &Images<'_>, image: &str, platform: Option<&Platform>) -> StepResult<ResolvedImage> {
    if let Found::One(entry, name) = images.store.find_image(image)? {
        let name = name.unwrap_or_else(|| Reference::new("docker.io", "library/image", None, None));
        match (entry.meant(platform), &entry) {
            (Some(found), _) => return images.stored(found, &name),
            (None, Entry::Index(index)) => {
                return Err(StepError::NoPlatform {
                    what: image.to_owned(),
                    wanted: platform.cloned().unwrap_or_else(Platform::host).to_string(),
                    offered: index.images.iter().map(|image| image.platform.to_string()).collect(),
                });
            }
            // A registry may have it for other platforms as well.
            (None, Entry::Image(_)) => {}
        }
    }
    let reference = image.parse();
    let request = ImageRequest {
        reference: reference.map_err(|error: ReferenceError| StepError::Invalid(error.to_string()))?,
        platform: platform.cloned().unwrap_or_else(Platform::host),
    };
    images.resolve(&request, false)
}

/// Waits for the end. When it is to stop it is asked first, as `docker stop` does, and killed if it does not.
fn wait(child: &mut Child, cancel: &Cancel) -> StepResult<u8> {
    if !ends(child, Some(cancel), None)? {
        child.signal(Signal::TERM)?;
        if !ends(child, None, Some(&GRACE))? {
            child.kill()?;
        }
    }
    Ok(code(&child.wait()?))
}

/// The exit code that a shell would give: of a program that a signal ended 128 and its number.
pub(crate) fn code(exit: &Exit) -> u8 {
    let code = exit
        .code
        .unwrap_or_else(|| SIGNAL_BASE + exit.signal.unwrap_or_default());
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// Whether the program ended before the build was cancelled or the time was over.
pub(crate) fn ends(child: &Child, cancel: Option<&Cancel>, time: Option<&Timespec>) -> StepResult<bool> {
    let mut fds = vec![PollFd::from_borrowed_fd(child.pidfd(), PollFlags::IN)];
    fds.extend(cancel.map(|cancel| PollFd::from_borrowed_fd(cancel.fd(), PollFlags::IN)));
    rustix::io::retry_on_intr(|| poll(&mut fds, time)).map_err(StepError::errno("wait for", "the program"))?;
    Ok(!fds[0].revents().is_empty())
}

/// Entrypoint and command as docker combines them: a new entrypoint drops the image's command.
fn command(config: &Config, spec: &RunSpec) -> StepResult<Vec<String>> {
    let mut args: Vec<String> = match &spec.entrypoint {
        Some(entrypoint) if entrypoint.is_empty() => Vec::new(),
        Some(entrypoint) => vec![entrypoint.clone()],
        None => config.entrypoint.clone().unwrap_or_default(),
    };
    if !spec.command.is_empty() {
        args.extend(spec.command.iter().cloned());
    } else if spec.entrypoint.is_none() {
        args.extend(config.cmd.clone().unwrap_or_default());
    }
    if args.is_empty() {
        return Err(StepError::Invalid(format!(
            "{} has neither ENTRYPOINT nor CMD: say what to run after its name",
            spec.image
        )));
    }
    Ok(args)
}

fn environment(config: &Config, spec: &RunSpec, home: &str) -> Vec<(String, String)> {
    const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let mut env: Vec<(String, String)> = config
        .env
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for (name, value) in &spec.env {
        env.retain(|(present, _)| present != name);
        env.push((name.clone(), value.clone()));
    }
    let home = if home.is_empty() { "/" } else { home };
    // Docker's terminal is one of this kind, whatever this machine's is.
    let terminal = spec.terminal.then_some(("TERM", "xterm"));
    for (name, value) in [("PATH", PATH), ("HOME", home)].into_iter().chain(terminal) {
        if !env.iter().any(|(present, _)| present == name) {
            env.push((name.to_owned(), value.to_owned()));
        }
    }
    env
}

fn volume((source, target, read_only): &(PathBuf, String, bool)) -> Mount<'static> {
    Mount {
        target: target.clone(),
        kind: MountKind::Bind {
            source: BindSource::Path(source.clone()),
            read_only: *read_only,
        },
    }
}
