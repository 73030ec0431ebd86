//! Where the steps of a build ran, as it is noted in the store: enough to have it again.

use kiln_image::Platform;
use kiln_plan::{Exec, MountKind, Network, Sharing, StepId};
use kiln_store::{BuildId, LayerId};
use serde::{Deserialize, Serialize};

use crate::builder::Builder;
use crate::context::NotedContext;
use crate::error::{Error, StepError};

/// The most that is unpacked of a note, in bytes.
const MOST: usize = 64 << 20;

/// The steps of a build that are done or began, by number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Places(pub(crate) Vec<Noted>);

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Noted {
    pub(crate) step: usize,
    /// The step whose file tree it stands on.
    pub(crate) root: Option<usize>,
    /// The layers that it puts on top of that; all of them where it stands on none. `None` if it came to no end.
    pub(crate) layers: Option<Vec<String>>,
    /// What a program of it has around it, if it runs one.
    pub(crate) around: Option<Around>,
}

/// What a program has around it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Around {
    pub(crate) platform: String,
    pub(crate) shell: Option<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) cwd: String,
    pub(crate) user: String,
    pub(crate) offline: bool,
    pub(crate) hostname: String,
    pub(crate) hosts: Vec<(String, String)>,
    pub(crate) shm_size: u64,
    pub(crate) ulimits: Vec<(String, u64, u64)>,
    pub(crate) insecure: bool,
    pub(crate) devices: bool,
    pub(crate) mounts: Vec<NotedMount>,
}

/// A mount. Of secrets there is nothing but their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NotedMount {
    pub(crate) target: String,
    pub(crate) kind: NotedKind,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum NotedKind {
    Bind {
        from: Option<usize>,
        source: String,
        writable: bool,
    },
    /// Of a local context.
    Local {
        context: NotedContext,
        source: String,
        writable: bool,
        /// Of what was there.
        digest: [u8; 32],
    },
    Cache {
        /// Its name in the store, if it is known.
        name: Option<String>,
        id: String,
        alone: bool,
        read_only: bool,
    },
    Tmpfs {
        size: Option<u64>,
    },
    Secret {
        id: String,
        mode: u32,
        uid: u32,
        gid: u32,
    },
    SecretEnv {
        id: String,
        variable: String,
    },
    Ssh {
        id: String,
        mode: u32,
        uid: u32,
        gid: u32,
    },
    Inline {
        content: String,
        mode: u32,
    },
}

impl Builder {
    /// The steps of a build that stand on no other, by number, with their layers, the lowest first: the images that stages begin
    /// with or copy from, whether or not their layers are in the store. None of a build of which that is not known.
    pub fn lowest_steps(&self, build: BuildId) -> Result<Vec<(usize, Vec<LayerId>)>, Error> {
        let bytes = self.store.places(build).map_err(StepError::from)?;
        let places = bytes.and_then(|bytes| Places::from_bytes(&bytes)).unwrap_or_default();
        Ok(places.lowest().collect())
    }
}

impl Around {
    /// `name` gives the name of a cache mount in the store, `local` what there is to note of a mount of a local context.
    pub(crate) fn of(
        exec: &Exec,
        name: &dyn Fn(&MountKind) -> Option<String>,
        local: &dyn Fn(&MountKind) -> Option<NotedKind>,
    ) -> Self {
        let mount = |mount: &kiln_plan::Mount| NotedMount {
            target: mount.target.clone(),
            kind: local(&mount.kind).unwrap_or_else(|| NotedKind::of(&mount.kind, name)),
        };
        Self {
            platform: exec.platform.to_string(),
            shell: exec.args.first().cloned(),
            env: exec.env.clone(),
            cwd: exec.cwd.clone(),
            user: exec.user.clone(),
            offline: exec.network == Network::None,
            hostname: exec.hostname.clone(),
            hosts: exec.extra_hosts.clone(),
            shm_size: exec.shm_size,
            ulimits: exec.ulimits.clone(),
            insecure: exec.insecure,
            devices: !exec.devices.is_empty(),
            mounts: exec.mounts.iter().map(mount).collect(),
        }
    }

    pub(crate) fn platform(&self) -> Platform {
        self.platform.parse().unwrap_or_else(|_| Platform::host())
    }

    pub(crate) const fn network(&self) -> Network {
        if self.offline { Network::None } else { Network::Host }
    }
}

impl NotedKind {
    fn of(kind: &MountKind, name: &dyn Fn(&MountKind) -> Option<String>) -> Self {
        match kind {
            MountKind::Bind { from, source, writable } => Self::Bind {
                from: from.map(|StepId(step)| step),
                source: source.clone(),
                writable: *writable,
            },
            MountKind::Cache {
                id, sharing, read_only, ..
            } => Self::Cache {
                name: name(kind),
                id: id.clone(),
                alone: *sharing != Sharing::Shared,
                read_only: *read_only,
            },
            MountKind::Tmpfs { size } => Self::Tmpfs { size: *size },
            MountKind::Secret { id, mode, uid, gid, .. } => Self::Secret {
                id: id.clone(),
                mode: *mode,
                uid: *uid,
                gid: *gid,
            },
            MountKind::SecretEnv { id, variable, .. } => Self::SecretEnv {
                id: id.clone(),
                variable: variable.clone(),
            },
            MountKind::Ssh { id, mode, uid, gid, .. } => Self::Ssh {
                id: id.clone(),
                mode: *mode,
                uid: *uid,
                gid: *gid,
            },
            MountKind::Inline { content, mode } => Self::Inline {
                content: content.clone(),
                mode: *mode,
            },
        }
    }
}

impl Places {
    pub(crate) fn to_bytes(&self) -> std::io::Result<Vec<u8>> {
        zstd::bulk::compress(&serde_json::to_vec(self)?, 1)
    }

    /// `None` if it was noted by another Kiln, otherwise than this one does.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let text = zstd::bulk::decompress(bytes, MOST).ok()?;
        serde_json::from_slice(&text).ok()
    }

    pub(crate) fn get(&self, step: usize) -> Option<&Noted> {
        self.0.iter().find(|noted| noted.step == step)
    }

    /// The steps that stand on nothing, images above all, each with its layers, the lowest first.
    pub(crate) fn lowest(&self) -> impl Iterator<Item = (usize, Vec<LayerId>)> {
        let lowest = self.0.iter().filter(|noted| noted.root.is_none());
        lowest.filter_map(|noted| Some((noted.step, self.tree(Some(noted.step))?)))
    }

    /// The file tree that a step made, lowest layer first; scratch for none, and `None` if it came to no end.
    pub(crate) fn tree(&self, step: Option<usize>) -> Option<Vec<LayerId>> {
        let mut parts = Vec::new();
        let mut next = step;
        while let Some(step) = next {
            let noted = self.get(step)?;
            parts.push(noted.layers.as_ref()?);
            // Steps stand on earlier ones.
            next = noted.root.filter(|root| *root < step);
        }
        let names = parts.into_iter().rev().flatten();
        names.map(|name| LayerId::from_name(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(step: usize, root: Option<usize>, layers: Option<&[&str]>) -> Noted {
        Noted {
            step,
            root,
            layers: layers.map(|layers| layers.iter().map(|layer| (*layer).to_owned()).collect()),
            around: None,
        }
    }

    #[test]
    fn trees_are_put_together_of_what_each_step_adds() {
        let places = Places(vec![
            noted(0, None, Some(&["a", "b"])),
            noted(2, Some(0), Some(&["c"])),
            noted(3, Some(2), Some(&[])),
            noted(4, Some(3), None),
            noted(5, Some(9), Some(&["d"])),
        ]);
        let tree = |step| {
            let tree = places.tree(step)?;
            Some(tree.iter().map(ToString::to_string).collect::<Vec<_>>().concat())
        };
        assert_eq!(tree(None).as_deref(), Some(""));
        assert_eq!(tree(Some(0)).as_deref(), Some("ab"));
        assert_eq!(tree(Some(3)).as_deref(), Some("abc"));
        assert_eq!(tree(Some(4)), None);
        assert_eq!(tree(Some(1)), None);
        assert_eq!(tree(Some(5)).as_deref(), Some("d"), "no step stands on a later one");
        assert_eq!(Places::from_bytes(&places.to_bytes().unwrap()), Some(places));
        assert_eq!(Places::from_bytes(b"other"), None);
    }
}
