//! What a process sees besides its root: bind mounts, cache mounts, secrets, and what the whole build adds.

use std::os::fd::OwnedFd;

use kiln_plan::{Exec, MountKind};
use kiln_store::LayerDir;

use super::agent::Forwarded;
use super::caches::Caches;
use super::devices::{self, Devices};
use super::{Done, Solver};
use crate::error::{StepError, StepResult};
use crate::event::TaskId;
use crate::mount_source::MountSource;

/// Where steps see the build's certificate authorities.
const CA_BUNDLE: &str = "/run/kiln/ca-bundle.crt";

/// The variables by which programs find certificate authorities.
const CA_VARIABLES: &[&str] = &[
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
    "NPM_CONFIG_CAFILE",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
    "AWS_CA_BUNDLE",
];

/// Mounts in the order of the instruction, and what must live as long as the process does.
#[derive(Default)]
pub(super) struct Mounted {
    entries: Vec<Entry>,
    /// Environment that comes with mounts: secrets, the bundle's variables, those of devices.
    pub(super) env: Vec<(String, String)>,
    /// Groups that come with devices.
    pub(super) groups: Vec<u32>,
    /// Trees behind bind mounts.
    trees: Vec<OwnedFd>,
    /// Upper directories of writable bind mounts; what is written there is discarded.
    discarded: Vec<LayerDir>,
    /// SSH agents.
    agents: Vec<Forwarded>,
}

struct Entry {
    target: String,
    source: MountSource,
}

impl Mounted {
    /// Adds what devices bring.
    fn devices(&mut self, devices: Devices) {
        self.env.extend(devices.env);
        self.groups.extend(devices.groups);
        for (target, path) in devices.nodes {
            self.add(&target, MountSource::Device { path });
        }
        for (target, path, read_only) in devices.binds {
            self.add(&target, MountSource::Path { path, read_only });
        }
    }

    /// As the sandbox wants them.
    pub(super) fn mounts(&self) -> Vec<kiln_sandbox::Mount<'_>> {
        let mount = |entry: &Entry| kiln_sandbox::Mount {
            target: entry.target.clone(),
            kind: entry.source.kind(&self.trees),
        };
        self.entries.iter().map(mount).collect()
    }

    fn add(&mut self, target: &str, source: MountSource) {
        self.entries.push(Entry {
            target: target.to_owned(),
            source,
        });
    }
}

impl Solver<'_> {
    pub(super) fn mounts(&self, task: TaskId, exec: &Exec) -> StepResult<(Mounted, Caches)> {
        let mut mounted = Mounted::default();
        let caches = self.lock_caches(task, exec)?;
        for place in 0..exec.mounts.len() {
            self.mount(task, &mut mounted, &caches, exec, place)?;
        }
        self.ca_bundle(&mut mounted);
        mounted.devices(devices::find(exec, &self.session.request.device_directories)?);
        Ok((mounted, caches))
    }

    fn mount(&self, task: TaskId, mounted: &mut Mounted, caches: &Caches, exec: &Exec, place: usize) -> StepResult<()> {
        let mount = &exec.mounts[place];
        let target = mount.target.as_str();
        match &mount.kind {
            MountKind::Bind { from, source, writable } => {
                self.bind(mounted, target, &self.tree(*from), source, *writable)?;
            }
            MountKind::Cache { read_only, .. } => {
                let path = self.cache(task, caches, exec, place)?;
                mounted.add(
                    target,
                    MountSource::Path {
                        path,
                        read_only: *read_only,
                    },
                );
            }
            MountKind::Tmpfs { size } => mounted.add(
                target,
                MountSource::Tmpfs {
                    size: *size,
                    mode: 0o1777,
                },
            ),
            MountKind::Secret {
                id,
                required,
                mode,
                uid,
                gid,
            } => {
                if let Some(content) = self.secret(id, *required)? {
                    mounted.add(
                        target,
                        MountSource::File {
                            content,
                            mode: *mode,
                            uid: *uid,
                            gid: *gid,
                        },
                    );
                }
            }
            MountKind::SecretEnv { id, required, variable } => {
                if let Some(content) = self.secret(id, *required)? {
                    let text = String::from_utf8(content);
                    let text = text.map_err(|_| {
                        StepError::Invalid(format!(
                            "secret `{id}` is not text, so it cannot be an environment variable"
                        ))
                    })?;
                    mounted.env.push((variable.clone(), text));
                }
            }
            MountKind::Ssh {
                id,
                required,
                mode,
                uid,
                gid,
            } => {
                if let Some(forwarded) = self.agent(id, *required, *mode, (*uid, *gid))? {
                    let path = forwarded.path().to_owned();
                    mounted.agents.push(forwarded);
                    mounted.add(target, MountSource::Path { path, read_only: false });
                }
            }
            MountKind::Inline { content, mode } => {
                mounted.add(
                    target,
                    MountSource::File {
                        content: content.clone().into_bytes(),
                        mode: *mode,
                        uid: 0,
                        gid: 0,
                    },
                );
            }
        }
        Ok(())
    }

    fn bind(&self, mounted: &mut Mounted, target: &str, tree: &Done, source: &str, writable: bool) -> StepResult<()> {
        let fd = match tree {
            Done::Local(context) => {
                let copy = self.context_copy(context, source)?;
                mounted.discarded.push(copy.directory);
                copy.tree
            }
            Done::Tree(layers) if writable => {
                self.images.materialize(layers)?;
                let discarded = self.session.store.new_layer()?;
                let fd = self.root(layers, &discarded)?;
                mounted.discarded.push(discarded);
                fd
            }
            Done::Tree(_) => self.read_only(tree)?,
        };
        mounted.trees.push(fd);
        let index = mounted.trees.len() - 1;
        mounted.add(
            target,
            MountSource::Tree {
                index,
                path: source.to_owned(),
                read_only: !writable,
            },
        );
        Ok(())
    }

    fn secret(&self, id: &str, required: bool) -> StepResult<Option<Vec<u8>>> {
        match self.session.request.access.secret(id)? {
            None if required => Err(StepError::Secret(id.to_owned())),
            content => Ok(content),
        }
    }

    fn agent(&self, id: &str, required: bool, mode: u32, owner: (u32, u32)) -> StepResult<Option<Forwarded>> {
        match self.session.request.access.agents.get(id) {
            Some(agent) => Forwarded::start(&agent.socket()?, self.session.socket_path()?, mode, owner).map(Some),
            None if required => Err(StepError::Agent(id.to_owned())),
            None => Ok(None),
        }
    }

    fn ca_bundle(&self, mounted: &mut Mounted) {
        let Some(path) = &self.session.request.access.ca_bundle else {
            return;
        };
        mounted.add(
            CA_BUNDLE,
            MountSource::Path {
                path: path.clone(),
                read_only: true,
            },
        );
        for variable in CA_VARIABLES {
            mounted.env.push(((*variable).to_owned(), CA_BUNDLE.to_owned()));
        }
    }
}
