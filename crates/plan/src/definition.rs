//! What an operation is made of, and the digest of that.
//!
//! The digest names what a step does, without the identity of what it does it to: inputs are referred to by whether
//! they are there, their order being that of [`Step::inputs`](crate::Step::inputs). It is the first ingredient of
//! every cache key, so it holds everything that can change the result and nothing else. Left out are: names and
//! lines (for people), `no_cache`, the environment of proxies ([`Exec::transient_env`]), the name by which an
//! image was found (the manifest's digest says what it is), which directory a cache mount is by its `key=` (what is in one
//! does not count either) and, of course, the values of secrets, which no plan
//! knows.
//!
//! An operation is told as a list of ingredients, each of a kind, with a name and a value. The same list is what is
//! digested and what people are shown when two steps differ: what counts and what is explained cannot part. The
//! digest is over a domain tag with its [`VERSION`] and, for each ingredient in order, kind, name and value with their
//! lengths. Ingredients come in a fixed order, lists element by element, and what is repeated begins with a kind of its
//! own, so different operations never have the same list. A change of that, or of what a step with the same list does,
//! takes a new [`VERSION`].

use kiln_image::Platform;

use crate::remote::GitSource;
use crate::step::{
    CopyAction, CopyFrom, Exec, FileAction, FileOp, MkdirAction, Mount, MountKind, Network, Op, Sharing, Source, StepId,
};

/// The version of the encoding.
pub const VERSION: u8 = 5;

/// One thing that an operation is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingredient {
    /// What it is: `command`, `variable`, `mount`.
    pub kind: &'static str,
    /// Which of that kind; empty where there is only one.
    pub name: String,
    /// What it is set to.
    pub value: String,
}

/// The digest of an operation without its inputs' identities.
pub fn digest(op: &Op) -> [u8; 32] {
    let mut bytes = b"kiln operation\0".to_vec();
    bytes.push(VERSION);
    Teller(&mut |kind, name, value| {
        for text in [kind, name, value] {
            bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
    })
    .op(op);
    *blake3::hash(&bytes).as_bytes()
}

/// What an operation is made of, in order.
pub fn ingredients(op: &Op) -> Vec<Ingredient> {
    let mut all = Vec::new();
    Teller(&mut |kind, name, value| {
        all.push(Ingredient {
            kind,
            name: name.to_owned(),
            value: value.to_owned(),
        });
    })
    .op(op);
    all
}

/// Tells ingredients: kind, name and value.
struct Teller<'a>(&'a mut dyn FnMut(&'static str, &str, &str));

impl Teller<'_> {
    fn named(&mut self, kind: &'static str, name: &str, value: &str) {
        (self.0)(kind, name, value);
    }

    fn text(&mut self, kind: &'static str, value: &str) {
        self.named(kind, "", value);
    }

    /// Nothing is told of what is not there.
    fn optional(&mut self, kind: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(kind, value);
        }
    }

    fn flag(&mut self, kind: &'static str, set: bool) {
        self.optional(kind, set.then_some("true"));
    }

    fn texts(&mut self, kind: &'static str, values: &[String]) {
        for value in values {
            self.text(kind, value);
        }
    }

    fn pairs(&mut self, kind: &'static str, pairs: &[(String, String)]) {
        for (name, value) in pairs {
            self.named(kind, name, value);
        }
    }

    /// An input by whether it is there.
    fn input(&mut self, kind: &'static str, input: Option<StepId>) {
        self.text(kind, there(input));
    }

    fn op(&mut self, op: &Op) {
        match op {
            Op::Source(source) => self.source(source),
            Op::Exec(exec) => self.exec(exec),
            Op::File(file) => self.file(file),
            Op::Merge(inputs) => self.named("operation", "merge", &inputs.len().to_string()),
        }
    }

    fn source(&mut self, source: &Source) {
        match source {
            Source::Image {
                reference: _,
                manifest,
                platform,
                diff_ids,
            } => {
                self.named("operation", "image", &manifest.to_string());
                self.platform(platform);
                for diff_id in diff_ids {
                    self.text("layer", &diff_id.to_string());
                }
            }
            Source::Local { name } => self.named("operation", "context", name),
            Source::Http {
                url,
                checksum,
                file_name,
            } => {
                self.named("operation", "download", url);
                self.optional("checksum", checksum.map(|digest| digest.to_string()).as_deref());
                self.text("file name", file_name);
            }
            Source::Git(git) => self.repository(git),
        }
    }

    fn platform(&mut self, platform: &Platform) {
        let Platform {
            architecture,
            os,
            os_version,
            variant,
        } = platform;
        let parts = [
            ("os", os),
            ("architecture", architecture),
            ("variant", variant),
            ("os.version", os_version),
        ];
        for (name, value) in parts {
            self.named("platform", name, value);
        }
    }

    fn repository(&mut self, git: &GitSource) {
        let GitSource {
            url,
            reference,
            subdirectory,
            checksum,
            keep_git_dir,
            submodules,
            fetch_by_commit: _,
            checkout_times,
        } = git;
        self.named("operation", "repository", url);
        self.text("reference", reference);
        self.text("directory", subdirectory);
        self.flag("keep-git-dir", *keep_git_dir == Some(true));
        self.optional("checksum", checksum.as_deref());
        self.flag("submodules", *submodules);
        self.flag("checkout times", *checkout_times);
    }

    fn exec(&mut self, exec: &Exec) {
        let Exec {
            root,
            platform,
            args,
            env,
            transient_env: _,
            cwd,
            user,
            network,
            insecure,
            mounts,
            devices,
            hostname,
            extra_hosts,
            // Limits: whether a step succeeds may depend on them, what it makes does not.
            shm_size: _,
            ulimits: _,
        } = exec;
        self.named("operation", "run", "");
        self.texts("command", args);
        self.pairs("variable", env);
        self.text("working directory", cwd);
        self.text("user", user);
        self.platform(platform);
        self.input("root", *root);
        let network = match network {
            Network::Host => "host",
            Network::None => "none",
        };
        self.text("network", network);
        self.flag("insecure", *insecure);
        for mount in mounts {
            self.mount(mount);
        }
        for device in devices {
            let required = if device.required { "required" } else { "optional" };
            self.named("device", &device.name, required);
        }
        self.text("host name", hostname);
        self.pairs("extra host", extra_hosts);
    }

    fn owner(&mut self, target: &str, mode: u32, uid: u32, gid: u32) {
        self.named("mount mode", target, &format!("{mode:04o}"));
        self.named("mount owner", target, &format!("{uid}:{gid}"));
    }

    fn mount(&mut self, mount: &Mount) {
        let target = mount.target.as_str();
        match &mount.kind {
            MountKind::Bind { from, source, writable } => {
                self.named("mount", target, "bind");
                self.named("mount from", target, there(*from));
                self.named("mount source", target, source);
                self.named("mount writable", target, yes_or_no(*writable));
            }
            MountKind::Cache {
                id,
                key: _,
                from,
                source,
                sharing,
                read_only,
                mode,
                uid,
                gid,
            } => {
                self.named("mount", target, "cache");
                self.named("mount id", target, id);
                self.named("mount from", target, there(*from));
                self.named("mount source", target, source);
                let sharing = match sharing {
                    Sharing::Shared => "shared",
                    Sharing::Private => "private",
                    Sharing::Locked => "locked",
                };
                self.named("mount sharing", target, sharing);
                self.named("mount read-only", target, yes_or_no(*read_only));
                self.owner(target, *mode, *uid, *gid);
            }
            MountKind::Tmpfs { size } => {
                self.named("mount", target, "tmpfs");
                let size = size.map(|size| size.to_string()).unwrap_or_default();
                self.named("mount size", target, &size);
            }
            MountKind::Secret {
                id,
                required,
                mode,
                uid,
                gid,
            } => {
                self.named("mount", target, "secret");
                self.named("mount id", target, id);
                self.named("mount required", target, yes_or_no(*required));
                self.owner(target, *mode, *uid, *gid);
            }
            MountKind::SecretEnv { id, required, variable } => {
                self.named("mount", target, "secret variable");
                self.named("mount id", target, id);
                self.named("mount required", target, yes_or_no(*required));
                self.named("mount variable", target, variable);
            }
            MountKind::Ssh {
                id,
                required,
                mode,
                uid,
                gid,
            } => {
                self.named("mount", target, "ssh");
                self.named("mount id", target, id);
                self.named("mount required", target, yes_or_no(*required));
                self.owner(target, *mode, *uid, *gid);
            }
            MountKind::Inline { content, mode } => {
                self.named("mount", target, "script");
                self.named("script", target, content);
                self.named("mount mode", target, &format!("{mode:04o}"));
            }
        }
    }

    fn file(&mut self, file: &FileOp) {
        let FileOp { root, actions } = file;
        let copies = actions.iter().any(|action| matches!(action, FileAction::Copy(_)));
        self.named("operation", if copies { "copy" } else { "mkdir" }, "");
        self.input("root", *root);
        for action in actions {
            match action {
                FileAction::Copy(copy) => self.copy(copy),
                FileAction::Mkdir(mkdir) => self.mkdir(mkdir),
            }
        }
    }

    fn copy(&mut self, copy: &CopyAction) {
        let CopyAction {
            from,
            sources,
            destination,
            chown,
            chmod,
            parents,
            exclude,
            unpack,
            link,
        } = copy;
        self.text("destination", destination);
        match from {
            CopyFrom::Step(step) => self.input("from", *step),
            CopyFrom::Inline(content) => self.text("text", content),
        }
        self.texts("source", sources);
        self.optional("chown", chown.as_deref());
        self.optional("chmod", chmod.as_deref());
        self.flag("parents", *parents);
        self.texts("exclude", exclude);
        self.flag("unpack", *unpack);
        self.flag("link", *link);
    }

    fn mkdir(&mut self, mkdir: &MkdirAction) {
        let MkdirAction {
            path,
            mode,
            owner,
            time,
        } = mkdir;
        self.text("directory", path);
        self.text("mode", &format!("{mode:04o}"));
        self.text("owner", owner);
        self.optional("time", time.map(|time| time.to_string()).as_deref());
    }
}

/// An input by whether it is there.
const fn there(input: Option<StepId>) -> &'static str {
    if input.is_some() { "a step" } else { "scratch" }
}

const fn yes_or_no(set: bool) -> &'static str {
    if set { "yes" } else { "no" }
}
