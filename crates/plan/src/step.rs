//! The plan as a value: a graph of steps and the image that comes out of it.
//!
//! The kinds of step cover those of BuildKit's LLB. `None` as an input is `scratch`: an empty directory.

use std::collections::BTreeSet;

use kiln_dockerfile::device::Device;
use kiln_image::{Digest, ImageConfig, Platform, Reference};

use crate::outline::Outline;
use crate::remote::GitSource;

/// The place of a step in [`Plan::steps`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub usize);

/// What to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The steps that the targets need; a step's inputs come before it. What several platforms do is there once.
    pub steps: Vec<Step>,
    /// The stages that the target needs, in the order of the Dockerfile; for each platform anew.
    pub stages: Vec<StageInfo>,
    /// The images that come out, one for each of [`Options::targets`](crate::Options::targets).
    pub targets: Vec<Target>,
    /// The images that they are made from, those of `COPY --from` and mounts included, in the order of the Dockerfile.
    pub images: Vec<UsedImage>,
    /// What the build can be given.
    pub outline: Outline,
    /// `SOURCE_DATE_EPOCH`, seconds since 1970.
    pub epoch: Option<i64>,
}

impl Plan {
    /// The steps whose layers the images have.
    pub fn steps_of_images(&self) -> BTreeSet<StepId> {
        let mut found = BTreeSet::new();
        let mut open: Vec<StepId> = self.targets.iter().filter_map(|target| target.root).collect();
        while let Some(id) = open.pop() {
            if found.insert(id) {
                let step = &self.steps[id.0];
                match &step.op {
                    Op::Merge(inputs) => open.extend(inputs),
                    _ => open.extend(step.root()),
                }
            }
        }
        found
    }
}

/// An image that something is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedImage {
    /// As the Dockerfile names it, normalised: with a digest only if that is written there.
    pub reference: Reference,
    /// The digest of the manifest for the platform.
    pub manifest: Digest,
    /// For which platform.
    pub platform: Platform,
    /// First and last line of what first names it, from 1.
    pub lines: (u32, u32),
}

/// A stage, for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageInfo {
    /// Name, or `stage-N`.
    pub name: String,
    /// Its place in the Dockerfile, from 0.
    pub index: usize,
    /// What it is built for.
    pub platform: Platform,
    /// Its last step; `None` if it is an empty `FROM scratch`.
    pub result: Option<StepId>,
}

/// The file tree and config of the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The step whose result is the file tree.
    pub root: Option<StepId>,
    /// The config, complete but for `created`, the `created` of the new history entries and `rootfs`.
    pub config: ImageConfig,
    /// How many entries of `config.history` were inherited from the base; the rest is new.
    pub inherited_history: usize,
    /// What it is built for.
    pub platform: Platform,
}

/// One unit of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it does.
    pub op: Op,
    /// As shown to people: `[build 2/5] RUN make`; of a plan for several platforms `[linux/arm64 build 2/5] RUN make`.
    pub name: String,
    /// The stage it belongs to: an index into [`Plan::stages`]; `None` for sources.
    pub stage: Option<usize>,
    /// First and last line in the Dockerfile, from 1; `None` for sources that no line names alone.
    pub lines: Option<(u32, u32)>,
    /// Never looked up in the cache (`--no-cache`, `--no-cache-filter`).
    pub no_cache: bool,
    /// The digest of the operation without its inputs, in the encoding of [`crate::definition`].
    pub definition: [u8; 32],
}

impl Step {
    /// The steps that must be done before: the inputs, and those that say which cache mounts it gets.
    pub fn waits_for(&self) -> Vec<StepId> {
        let mut steps = self.inputs();
        if let Op::Exec(exec) = &self.op {
            for step in exec.mounts.iter().flat_map(|mount| mount.kind.key_files()) {
                if !steps.contains(&step) {
                    steps.push(step);
                }
            }
        }
        steps
    }

    /// The steps whose results it is made of, in a fixed order; the first is the root if there is one.
    pub fn inputs(&self) -> Vec<StepId> {
        match &self.op {
            Op::Source(_) => Vec::new(),
            Op::Exec(exec) => {
                let mounted = exec.mounts.iter().filter_map(|mount| mount.kind.from());
                self.root().into_iter().chain(mounted).collect()
            }
            Op::File(file) => {
                let read = file.actions.iter().filter_map(|action| match action {
                    FileAction::Copy(copy) => copy.from.step(),
                    FileAction::Mkdir(_) => None,
                });
                self.root().into_iter().chain(read).collect()
            }
            Op::Merge(inputs) => inputs.clone(),
        }
    }

    /// The step whose file tree this one adds a layer to; `None` where that is scratch, or it adds none.
    pub fn root(&self) -> Option<StepId> {
        match &self.op {
            Op::Exec(exec) => exec.root,
            Op::File(file) => file.root,
            Op::Source(_) | Op::Merge(_) => None,
        }
    }
}

/// The kinds of step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Files from outside.
    Source(Source),
    /// A process over a file tree.
    Exec(Exec),
    /// File operations on a file tree, in one layer.
    File(FileOp),
    /// The layers of all inputs on top of one another, first lowest.
    Merge(Vec<StepId>),
}

/// Files from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An image, already resolved.
    Image {
        /// As the Dockerfile names it, normalised.
        reference: Reference,
        /// The digest of the manifest for the platform.
        manifest: Digest,
        /// For which platform.
        platform: Platform,
        /// The digests of its layers' tars, lowest first.
        diff_ids: Vec<Digest>,
    },
    /// A directory on this machine: the build context (`context`) or a named one.
    Local {
        /// The context's name.
        name: String,
    },
    /// A file by HTTP.
    Http {
        /// Where.
        url: String,
        /// What it must be (`--checksum`).
        checksum: Option<Digest>,
        /// What the file is called.
        file_name: String,
    },
    /// A git repository.
    Git(GitSource),
}

/// A process over a file tree. What it writes to the root is the step's layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exec {
    /// The file tree.
    pub root: Option<StepId>,
    /// What the programs in it are for.
    pub platform: Platform,
    /// The program and its arguments.
    pub args: Vec<String>,
    /// `NAME`, value; in order, names unique.
    pub env: Vec<(String, String)>,
    /// Environment that is no part of the step's identity: proxies.
    pub transient_env: Vec<(String, String)>,
    /// Working directory, absolute.
    pub cwd: String,
    /// `user[:group]`; empty for root.
    pub user: String,
    /// What it may reach.
    pub network: Network,
    /// `--security=insecure`
    pub insecure: bool,
    /// What else it sees, in order.
    pub mounts: Vec<Mount>,
    /// `--device`, allowed and with aliases replaced.
    pub devices: Vec<Device>,
    /// The name that the kernel gives for the host.
    pub hostname: String,
    /// Further lines of /etc/hosts: name, address.
    pub extra_hosts: Vec<(String, String)>,
    /// `/dev/shm`, bytes.
    pub shm_size: u64,
    /// `--ulimit` as given: name, soft, hard.
    pub ulimits: Vec<(String, u64, u64)>,
}

/// What a step may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Network {
    /// The machine's network, Kiln's default.
    Host,
    /// Nothing but its own loopback.
    None,
}

/// A file tree or file that a process sees besides its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where, absolute.
    pub target: String,
    /// What.
    pub kind: MountKind,
}

/// The kinds of mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountKind {
    /// A directory or file of another step; writes are discarded.
    Bind {
        /// Of which step; `None` for scratch.
        from: Option<StepId>,
        /// The path in it.
        source: String,
        /// Whether writing is allowed.
        writable: bool,
    },
    /// A directory that outlives the build.
    Cache {
        /// Its name in the store.
        id: String,
        /// Which of the directories of that name it is, of those that the step may get.
        key: Vec<CacheKey>,
        /// What it starts as.
        from: Option<StepId>,
        /// The path in `from`.
        source: String,
        /// Who else may use it at the same time.
        sharing: Sharing,
        /// Whether writing is forbidden.
        read_only: bool,
        /// Mode of a new one.
        mode: u32,
        /// Owner of a new one.
        uid: u32,
        /// Group of a new one.
        gid: u32,
    },
    /// An empty file system in memory.
    Tmpfs {
        /// Bytes at most.
        size: Option<u64>,
    },
    /// A secret, as a file.
    Secret {
        /// Its name on the command line.
        id: String,
        /// Whether the step fails without it.
        required: bool,
        /// Mode of the file.
        mode: u32,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// A secret, as an environment variable; `target` is empty.
    SecretEnv {
        /// Its name on the command line.
        id: String,
        /// Whether the step fails without it.
        required: bool,
        /// The variable.
        variable: String,
    },
    /// An SSH agent's socket.
    Ssh {
        /// Its name on the command line.
        id: String,
        /// Whether the step fails without it.
        required: bool,
        /// Mode of the socket.
        mode: u32,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// A file given in place (the script of a heredoc RUN).
    Inline {
        /// What is in it.
        content: String,
        /// Its mode.
        mode: u32,
    },
}

/// What tells one directory of a cache mount from the others of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheKey {
    /// A text.
    Text(String),
    /// What the step's programs are for; with `:` and what it builds for, where that is another.
    Platform(String),
    /// The image that the step's tree stands on.
    Base,
    /// The content of files.
    Files {
        /// Of which step; `None` for scratch.
        from: Option<StepId>,
        /// A path or pattern, as those of COPY.
        pattern: String,
        /// Whether there must be some.
        required: bool,
    },
}

impl MountKind {
    /// The steps whose files say which directory it is.
    fn key_files(&self) -> impl Iterator<Item = StepId> {
        let key = match self {
            Self::Cache { key, .. } => &key[..],
            _ => &[],
        };
        key.iter().filter_map(|key| match key {
            CacheKey::Files { from, .. } => *from,
            _ => None,
        })
    }

    /// The step that it reads.
    pub const fn from(&self) -> Option<StepId> {
        match self {
            Self::Bind { from, .. } | Self::Cache { from, .. } => *from,
            _ => None,
        }
    }
}

/// Who may use a cache mount at the same time (`sharing=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// Everybody.
    Shared,
    /// Each gets a directory of its own while another is in use.
    Private,
    /// One after the other.
    Locked,
}

/// File operations, in one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOp {
    /// The file tree they change.
    pub root: Option<StepId>,
    /// What to do, in order.
    pub actions: Vec<FileAction>,
}

/// One file operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileAction {
    /// COPY and ADD.
    Copy(CopyAction),
    /// WORKDIR.
    Mkdir(MkdirAction),
}

/// Copies files in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyAction {
    /// Where from.
    pub from: CopyFrom,
    /// Paths or patterns, relative to the source's root, without leading `/`. For `Inline` the file's name.
    pub sources: Vec<String>,
    /// Where to, absolute; a final `/` says that it is a directory.
    pub destination: String,
    /// `--chown`, expanded; `None`: 0:0 from contexts, unchanged from steps.
    pub chown: Option<String>,
    /// `--chmod`, expanded: octal or symbolic.
    pub chmod: Option<String>,
    /// `--parents`
    pub parents: bool,
    /// `--exclude`
    pub exclude: Vec<String>,
    /// Whether archives are extracted: ADD's rules.
    pub unpack: bool,
    /// Whether links in the destination are replaced instead of followed (`--link`).
    pub link: bool,
}

impl CopyAction {
    /// All that is at a path of a step, to a destination, without any flag.
    pub fn plain(from: Option<StepId>, source: String, destination: String) -> Self {
        Self {
            from: CopyFrom::Step(from),
            sources: vec![source],
            destination,
            chown: None,
            chmod: None,
            parents: false,
            exclude: Vec::new(),
            unpack: false,
            link: false,
        }
    }
}

/// Where copied files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyFrom {
    /// A step: a stage, an image, a context, a download. `None`: scratch.
    Step(Option<StepId>),
    /// A file given in place, with mode 0644.
    Inline(String),
}

impl CopyFrom {
    /// The step that it reads.
    pub const fn step(&self) -> Option<StepId> {
        match self {
            Self::Step(step) => *step,
            Self::Inline(_) => None,
        }
    }
}

/// Makes a directory and its parents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MkdirAction {
    /// Absolute.
    pub path: String,
    /// Mode of what is made.
    pub mode: u32,
    /// `user[:group]` that owns what is made; empty for root.
    pub owner: String,
    /// The time that what is made has, in seconds since 1970 (`SOURCE_DATE_EPOCH`).
    pub time: Option<i64>,
}
