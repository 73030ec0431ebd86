//! A shell in a step of a build that is over.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use kiln_sandbox::{Mount, Overlay, Ulimit};
use kiln_store::{BuildId, LayerDir, LayerId, LockGuard};

use super::image::SHM_SIZE;
use super::{Attach, Opener, Place, ShellSpec, shell_of};
use crate::builder::Builder;
use crate::cache::lock_name;
use crate::cancel::Cancel;
use crate::error::{Error, StepError, StepResult};
use crate::event::Sink;
use crate::images::Images;
use crate::mount_source::MountSource;
use crate::places::{Around, Noted, NotedKind, NotedMount, Places};
use crate::request::Access;
use crate::solve::{self, Forwarded};
use crate::waiting::{self, Share};

/// Which file tree of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// What it began with.
    Before,
    /// What it made, or left when it failed.
    After,
}

/// A step of a build that is over.
#[derive(Debug, Clone, Copy)]
pub struct PastStep {
    /// The build.
    pub build: BuildId,
    /// The step's number in it.
    pub step: usize,
    /// Which file tree.
    pub moment: Moment,
}

impl Builder {
    /// Opens a shell in the file tree of a step, with the environment, the user, the working directory and the mounts that
    /// it had, as far as they can be had again, and gives its exit code. Secrets are those of `access`.
    pub fn shell_in_step(
        &self,
        past: PastStep,
        access: &Access,
        spec: &ShellSpec,
        attach: &dyn Attach,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<u8, Error> {
        self.with_opener(spec, attach, sink, cancel, |opener| open(opener, past, access))
    }
}

fn open(opener: &Opener<'_>, past: PastStep, access: &Access) -> StepResult<u8> {
    let images = opener.images;
    let _in_use = images.store.in_use()?;
    let places = images.store.places(past.build)?;
    let places = places
        .and_then(|bytes| Places::from_bytes(&bytes))
        .ok_or_else(|| StepError::Invalid(format!("of build {} it is not known where its steps ran", past.build)))?;
    let noted = places.get(past.step).ok_or_else(|| {
        StepError::Invalid(format!(
            "step {} of build {} has no file tree: it did not begin, or is no step of a stage",
            past.step, past.build
        ))
    })?;
    let layers = tree(images, &places, noted, past)?;
    let lower = images.directories(&images.mountable(&layers)?);
    let Some(around) = &noted.around else {
        return opener.open(&Place { lower, ..Place::bare() });
    };
    let mut remade = Remade::default();
    for mount in &around.mounts {
        remade.mount(images, &places, mount, access)?;
    }
    if around.devices {
        remade.notes.push("its devices are not there".to_owned());
    }
    if around.insecure {
        remade
            .notes
            .push("it ran without protection, which this shell has".to_owned());
    }
    let make_mounts = || remade.mounts();
    let code = opener.open(&place(around, lower, &remade, &make_mounts));
    remade.leave(images);
    code
}

/// The layers of the tree, all of which are in the store.
fn tree(images: &Images<'_>, places: &Places, noted: &Noted, past: PastStep) -> StepResult<Vec<LayerId>> {
    let gone = || {
        StepError::Invalid(format!(
            "the file tree of step {} of build {} is not in the store any more: build it again",
            past.step, past.build
        ))
    };
    let layers = match past.moment {
        Moment::Before => places.tree(noted.root).ok_or_else(gone)?,
        Moment::After if noted.layers.is_some() => places.tree(Some(noted.step)).ok_or_else(gone)?,
        Moment::After => {
            let left = images.store.failed_layer(past.build, past.step)?.ok_or_else(|| {
                StepError::Invalid(format!(
                    "what step {} of build {} left is not kept: `kiln build --on-fail=keep` keeps it, and --before shows what it \
                     began with",
                    past.step, past.build
                ))
            })?;
            let mut layers = places.tree(noted.root).ok_or_else(gone)?;
            layers.push(left);
            layers
        }
    };
    if images.are_in_store(&layers)? {
        Ok(layers)
    } else {
        Err(gone())
    }
}

fn place<'a>(
    around: &Around,
    lower: Vec<PathBuf>,
    remade: &Remade,
    make_mounts: &'a dyn Fn() -> Vec<Mount<'a>>,
) -> Place<'a> {
    let ulimit = |(name, soft, hard): &(String, u64, u64)| Ulimit {
        name: name.clone(),
        soft: *soft,
        hard: *hard,
    };
    Place {
        lower,
        platform: around.platform(),
        shell: shell_of(around.shell.as_ref()),
        env: [&around.env[..], &remade.env].concat(),
        cwd: around.cwd.clone(),
        user: around.user.clone(),
        groups: Vec::new(),
        network: around.network(),
        hostname: around.hostname.clone(),
        hosts: around.hosts.clone(),
        shm_size: around.shm_size,
        ulimits: around.ulimits.iter().map(ulimit).collect(),
        insecure: false,
        make_mounts: Some(make_mounts),
        notes: remade.notes.clone(),
    }
}

impl Place<'_> {
    /// A file tree of which nothing else is known.
    fn bare() -> Self {
        Place {
            lower: Vec::new(),
            platform: kiln_image::Platform::host(),
            shell: None,
            env: Vec::new(),
            cwd: "/".to_owned(),
            user: String::new(),
            groups: Vec::new(),
            network: kiln_plan::Network::Host,
            hostname: "kiln".to_owned(),
            hosts: Vec::new(),
            shm_size: SHM_SIZE,
            ulimits: Vec::new(),
            insecure: false,
            make_mounts: None,
            notes: Vec::new(),
        }
    }
}

/// Mounts that a step had, as far as they can be had again.
#[derive(Default)]
struct Remade {
    mounts: Vec<(String, MountSource)>,
    trees: Vec<OwnedFd>,
    env: Vec<(String, String)>,
    /// What cannot be had again.
    notes: Vec<String>,
    agents: Vec<Forwarded>,
    /// Takes what is written to bind mounts, and goes.
    discarded: Vec<LayerDir>,
    /// Cache mounts that may be written to, by name.
    caches: Vec<(String, LockGuard)>,
}

impl Remade {
    fn mount(&mut self, images: &Images<'_>, places: &Places, mount: &NotedMount, access: &Access) -> StepResult<()> {
        let target = &mount.target;
        let source = match &mount.kind {
            NotedKind::Bind { from, source, writable } => {
                let tree = places.tree(*from);
                match tree.filter(|layers| images.are_in_store(layers).unwrap_or(false)) {
                    Some(layers) => Some(self.bind(images, &layers, source, *writable)?),
                    None => None,
                }
            }
            NotedKind::Cache {
                name, alone, read_only, ..
            } => match name {
                Some(name) => self.cache(images, name, *alone, *read_only)?,
                None => None,
            },
            NotedKind::Tmpfs { size } => Some(MountSource::Tmpfs {
                size: *size,
                mode: 0o1777,
            }),
            NotedKind::Secret { id, mode, uid, gid } => access.secret(id)?.map(|content| MountSource::File {
                content,
                mode: *mode,
                uid: *uid,
                gid: *gid,
            }),
            NotedKind::SecretEnv { id, variable } => {
                if let Some(text) = access.secret(id)?.and_then(|content| String::from_utf8(content).ok()) {
                    self.env.push((variable.clone(), text));
                    return Ok(());
                }
                None
            }
            NotedKind::Local {
                context,
                source,
                writable,
                digest,
            } => {
                let empty = images.store.new_layer()?;
                let copy = solve::copy_if_same(images, empty.fs(), context, source, digest)?;
                self.discarded.push(empty);
                copy.map(|copy| {
                    self.trees.push(copy.tree);
                    self.discarded.push(copy.directory);
                    MountSource::Tree {
                        index: self.trees.len() - 1,
                        path: source.clone(),
                        read_only: !writable,
                    }
                })
            }
            NotedKind::Ssh { id, mode, uid, gid } => match access.agents.get(id) {
                Some(agent) => Some(self.agent(images, &agent.socket()?, *mode, (*uid, *gid))?),
                None => None,
            },
            NotedKind::Inline { content, mode } => Some(MountSource::File {
                content: content.clone().into_bytes(),
                mode: *mode,
                uid: 0,
                gid: 0,
            }),
        };
        match source {
            Some(source) => self.mounts.push((target.clone(), source)),
            None => self.notes.push(missing(mount)),
        }
        Ok(())
    }

    fn bind(&mut self, images: &Images<'_>, layers: &[LayerId], path: &str, writable: bool) -> StepResult<MountSource> {
        let upper = images.store.new_layer()?;
        let below = images.store.new_layer()?;
        let mut lower = images.directories(&images.mountable(layers)?);
        lower.push(below.fs());
        let tree = Overlay {
            lower: &lower,
            upper: Some((&upper.fs(), &upper.work())),
            volatile: true,
        };
        self.trees.push(tree.mount()?);
        self.discarded.extend([upper, below]);
        Ok(MountSource::Tree {
            index: self.trees.len() - 1,
            path: path.to_owned(),
            read_only: !writable,
        })
    }

    /// As a step has it: a socket of its own, behind which the agent answers.
    fn agent(&mut self, images: &Images<'_>, agent: &Path, mode: u32, owner: (u32, u32)) -> StepResult<MountSource> {
        let directory = images.store.new_layer()?;
        let forwarded = Forwarded::start(agent, directory.fs().join("agent"), mode, owner)?;
        let path = forwarded.path().to_owned();
        self.agents.push(forwarded);
        self.discarded.push(directory);
        Ok(MountSource::Path { path, read_only: false })
    }

    fn cache(
        &mut self,
        images: &Images<'_>,
        name: &str,
        alone: bool,
        read_only: bool,
    ) -> StepResult<Option<MountSource>> {
        if !self.caches.iter().any(|(held, _)| held == name) {
            let share = if alone { Share::Alone } else { Share::Shared };
            let explain = || {
                images
                    .tasks
                    .notice("another step or build has a cache mount of the step, waiting for it".to_owned());
            };
            let lock = waiting::lock(images.store, images.cancel, &lock_name(name), share, explain)?;
            self.caches.push((name.to_owned(), lock));
        }
        let path = images.store.cache_mount(name)?;
        Ok(path.map(|path| MountSource::Path { path, read_only }))
    }

    fn mounts(&self) -> Vec<Mount<'_>> {
        let mount = |(target, source): &(String, MountSource)| Mount {
            target: target.clone(),
            kind: source.kind(&self.trees),
        };
        self.mounts.iter().map(mount).collect()
    }

    /// Measures the cache mounts, which may have grown.
    fn leave(self, images: &Images<'_>) {
        for (name, _lock) in &self.caches {
            if let Err(error) = images.store.leave_cache_mount(name, &[]) {
                let notice = format!("the store does not know how large a cache mount is now: {error}");
                images.tasks.notice(notice);
            }
        }
    }
}

/// What people are told of a mount that is not there.
fn missing(mount: &NotedMount) -> String {
    let target = &mount.target;
    match &mount.kind {
        NotedKind::Secret { id, .. } => format!("the secret `{id}` is not at {target}: give it with --secret"),
        NotedKind::SecretEnv { id, variable } => {
            format!("the secret `{id}` is not in ${variable}: give it with --secret")
        }
        NotedKind::Ssh { id, .. } => format!("the SSH agent `{id}` is not at {target}: give it with --ssh"),
        NotedKind::Local { context, source, .. } => {
            let context = context.path.display();
            let what = match source.trim_matches('/') {
                "" | "." => format!("the context {context}"),
                source => format!("`{source}` of the context {context}"),
            };
            format!("nothing is mounted at {target}: {what} is not what it was when the step ran; build it again")
        }
        NotedKind::Cache { id, .. } => format!("the cache mount `{id}` is not at {target}: it was removed since"),
        _ => format!("nothing is mounted at {target}: what was there is not in the store any more"),
    }
}
