//! Running a process over a file tree.

use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Instant;

use kiln_plan::{Exec, Mount, MountKind, Network, StepId};
use kiln_sandbox::{Overlay, Spec, Stdio, Ulimit, User};
use kiln_store::{LayerDir, LayerId};
use rustix::fd::AsFd;

use super::ahead::Ready;
use super::cached::Made;
use super::caches::End;
use super::mounts::Mounted;
use super::runs::NewRun;
use super::{Done, Solver};
use crate::error::{StepError, StepResult, StoppedBy};
use crate::event::{Event, TaskId};
use crate::output::Output;
use crate::session::{hosts_file, resolv_conf};

impl Solver<'_> {
    pub(super) fn exec(&self, task: TaskId, exec: &Exec, run: &NewRun<'_>) -> StepResult<Made> {
        let request = self.session.request;
        let base = self.tree(exec.root);
        self.images.materialize(base.layers())?;
        let work = self.work("prepare");
        let Ready { namespaces, directory } = self.ahead.take(self.session.store, exec)?;
        let root = self.root(base.layers(), &directory)?;
        let user = kiln_sandbox::resolve_user(root.as_fd(), &exec.user)?;
        let (mounted, mut caches) = self.mounts(task, exec)?;
        let _reading = self.quiet.read(self.read_by(exec));
        let spec = Spec {
            env: environment(exec, Some(&user.home), &mounted),
            cwd: exec.cwd.clone(),
            user: User {
                uid: user.uid,
                gid: user.gid,
                groups: [user.groups, mounted.groups.clone()].concat(),
            },
            mounts: mounted.mounts(),
            network: network(exec.network),
            hostname: exec.hostname.clone(),
            hosts: self.session.file(&hosts_file(&exec.hostname, &exec.extra_hosts))?,
            resolv_conf: self.session.file(&resolv_conf(exec.network)?)?,
            shm_size: exec.shm_size,
            privileged: exec.insecure,
            limits: request.limits.clone(),
            ulimits: exec.ulimits.iter().map(ulimit).collect(),
            upper: Some(directory.fs()),
            ..Spec::new(root.as_fd(), exec.args.clone())
        };
        let mut output = Output::new(self.sink, task, self.session);
        let stdio = [Stdio::Null, Stdio::Pipe, Stdio::Pipe];
        drop(work);
        let work = self.work("start");
        let entered = self.enter_caches(task, exec, &mut caches);
        let spawned = entered.and_then(|()| self.session.processors.spawn(&exec.platform, namespaces, spec, stdio));
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                self.leave_caches(task, caches, End::Failed);
                drop((mounted, root));
                self.left.put(StepId(task.0), directory);
                return Err(error);
            }
        };
        if self.session.processors.emulate(&exec.platform) {
            let platform = exec.platform.to_string();
            self.sink.event(Event::Emulated { id: task, platform });
        }
        drop(work);
        let work = self.work("run");
        let deadline = request.step_timeout.and_then(|time| Instant::now().checked_add(time));
        // What takes its time while the program does: its own mount of the root is another.
        let _tried_again_when_it_has_ended = run.begin();
        self.prepare_next(StepId(task.0));
        drop(root);
        let followed = output.follow(&mut child, self.cancel, deadline);
        drop(work);
        let _work = self.work("tear down");
        let left = caches.left_by_killed();
        let end = followed.as_ref().map_or(End::Killed, |(exit, _)| End::of(exit));
        self.leave_caches(task, caches, end);
        drop(mounted);
        let (exit, late) = followed?;
        if exit.code == Some(0) {
            return Ok(Made {
                directory,
                peak_memory: Some(exit.peak_memory.unwrap_or(exit.max_rss)),
                common: None,
            });
        }
        if self.cancel.is_canceled() {
            return Err(StepError::Canceled);
        }
        self.left.put(StepId(task.0), directory);
        let (command, tail) = (quoted(&exec.args), output.tail());
        let stopped = |by| StepError::Stopped {
            command: command.clone(),
            by,
            tail: tail.clone(),
        };
        Err(match (request.step_timeout, request.limits.memory, exit.code) {
            (Some(limit), _, _) if late => stopped(StoppedBy::Time { limit }),
            (_, Some(limit), _) if exit.out_of_memory => stopped(StoppedBy::Memory {
                limit,
                peak: exit.peak_memory,
            }),
            (_, _, Some(code)) => StepError::Exit {
                command,
                code,
                tail,
                left,
            },
            (_, _, None) => StepError::Signal {
                command,
                signal: exit.signal.unwrap_or_default(),
                reason: String::new(),
                tail,
                left,
            },
        })
    }

    /// The layers that a program sees.
    fn read_by(&self, exec: &Exec) -> Vec<LayerId> {
        let of_mount = |mount: &Mount| match mount.kind {
            MountKind::Bind { from: Some(from), .. } => Some(self.result(from)),
            _ => None,
        };
        let trees = exec.mounts.iter().filter_map(of_mount).chain([self.tree(exec.root)]);
        trees.flat_map(|tree| tree.layers().to_vec()).collect()
    }

    /// The file tree that a step writes on: its layer is the upper directory.
    pub(super) fn root(&self, base: &[LayerId], directory: &LayerDir) -> StepResult<OwnedFd> {
        let mut lower = self.layer_paths(base)?;
        lower.push(self.session.stubs()?);
        on_top(&lower, directory, directory)
    }

    /// A file tree for COPY: without the mount points that a process needs.
    pub(super) fn writable(&self, base: &[LayerId], upper: &LayerDir, work: &LayerDir) -> StepResult<OwnedFd> {
        let mut lower = self.layer_paths(base)?;
        if lower.is_empty() {
            lower.push(self.session.empty()?);
        }
        on_top(&lower, upper, work)
    }

    /// A tree that is only read.
    pub(super) fn read_only(&self, tree: &Done) -> StepResult<OwnedFd> {
        self.images.materialize(tree.layers())?;
        let mut lower = self.layer_paths(tree.layers())?;
        if lower.is_empty() {
            lower.push(self.session.empty()?);
        }
        Ok(Overlay {
            lower: &lower,
            upper: None,
            volatile: false,
        }
        .mount()?)
    }

    /// The directories of layers, which are in the store, topmost first.
    pub(super) fn layer_paths(&self, layers: &[LayerId]) -> StepResult<Vec<PathBuf>> {
        Ok(self.images.directories(&self.images.mountable(layers)?))
    }

    /// A tree for an export.
    pub(crate) fn files(&self, layers: &[LayerId]) -> StepResult<OwnedFd> {
        self.read_only(&Done::Tree(layers.into()))
    }
}

/// A directory that takes what is written to the tree of the others. Nothing of it must outlive a crash.
pub(super) fn on_top(lower: &[PathBuf], upper: &LayerDir, work: &LayerDir) -> StepResult<OwnedFd> {
    let (upper, work) = (upper.fs(), work.work());
    Ok(Overlay {
        lower,
        upper: Some((&upper, &work)),
        volatile: true,
    }
    .mount()?)
}

pub(super) fn ulimit((name, soft, hard): &(String, u64, u64)) -> Ulimit {
    Ulimit {
        name: name.clone(),
        soft: *soft,
        hard: *hard,
    }
}

/// As the sandbox calls it.
pub(crate) fn network(network: Network) -> kiln_sandbox::Network {
    match network {
        Network::Host => kiln_sandbox::Network::Host,
        Network::None => kiln_sandbox::Network::None,
    }
}

/// The instruction's own variables win over what the build adds.
pub(super) fn environment(exec: &Exec, home: Option<&str>, mounted: &Mounted) -> Vec<(String, String)> {
    let mut env = exec.env.clone();
    let mut add = |name: &str, value: &str| {
        if !env.iter().any(|(present, _)| present == name) {
            env.push((name.to_owned(), value.to_owned()));
        }
    };
    for (name, value) in exec.transient_env.iter().chain(&mounted.env) {
        add(name, value);
    }
    if let Some(home) = home {
        add("HOME", if home.is_empty() { "/" } else { home });
    }
    env
}

/// The command as BuildKit shows it in its message: words with blanks are quoted.
fn quoted(args: &[String]) -> String {
    let mut text = String::new();
    for (index, arg) in args.iter().enumerate() {
        if index > 0 {
            text.push(' ');
        }
        if arg.is_empty() || arg.contains(|c: char| c.is_whitespace() || c == '"') && args.len() > 3 {
            let _infallible = write!(text, "{arg:?}");
        } else {
            text.push_str(arg);
        }
    }
    text
}
