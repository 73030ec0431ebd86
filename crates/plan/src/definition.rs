//! The canonical encoding of an operation, and its digest.
//!
//! The digest names what a step does, without the identity of what it does it to: inputs are referred to by whether
//! they are there, their order being that of [`Step::inputs`](crate::Step::inputs). It is the first ingredient of
//! every cache key, so it holds everything that can change the result and nothing else. Left out are: names and
//! lines (for people), `no_cache`, the environment of proxies ([`Exec::transient_env`]), the name by which an
//! image was found (the manifest's digest says what it is) and, of course, the values of secrets, which no plan
//! knows.
//!
//! The encoding: a domain tag with its version, then the fields in a fixed order. Numbers are eight bytes, little
//! endian; text and lists start with their length; an optional field starts with 0 or 1; each kind of operation,
//! source, mount and action starts with a byte of its own. So no encoding is the beginning of another, and
//! different operations never encode the same. A change of the encoding, or of what a step with the same encoding
//! does, takes a new [`VERSION`].

use kiln_image::Platform;

use crate::remote::GitSource;
use crate::step::{
    CopyAction, CopyFrom, Exec, FileAction, FileOp, MkdirAction, Mount, MountKind, Network, Op, Sharing, Source, StepId,
};

/// The version of the encoding.
pub const VERSION: u8 = 3;

/// The digest of an operation without its inputs' identities.
pub fn digest(op: &Op) -> [u8; 32] {
    *blake3::hash(&encode(op)).as_bytes()
}

/// The canonical bytes of an operation.
pub fn encode(op: &Op) -> Vec<u8> {
    let mut out = Encoder(b"kiln operation\0".to_vec());
    out.byte(VERSION);
    match op {
        Op::Source(source) => out.byte(1).source(source),
        Op::Exec(exec) => out.byte(2).exec(exec),
        Op::File(file) => out.byte(3).file(file),
        Op::Merge(inputs) => out.byte(4).number(inputs.len() as u64),
    };
    out.0
}

struct Encoder(Vec<u8>);

impl Encoder {
    fn byte(&mut self, byte: u8) -> &mut Self {
        self.0.push(byte);
        self
    }

    fn flag(&mut self, flag: bool) -> &mut Self {
        self.byte(u8::from(flag))
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    fn optional(&mut self, text: Option<&str>) -> &mut Self {
        self.flag(text.is_some());
        if let Some(text) = text {
            self.text(text);
        }
        self
    }

    fn list<T>(&mut self, items: &[T], mut each: impl FnMut(&mut Self, &T)) -> &mut Self {
        self.number(items.len() as u64);
        for item in items {
            each(self, item);
        }
        self
    }

    fn texts(&mut self, texts: &[String]) -> &mut Self {
        self.list(texts, |out, text| {
            out.text(text);
        })
    }

    fn pairs(&mut self, pairs: &[(String, String)]) -> &mut Self {
        self.list(pairs, |out, (name, value)| {
            out.text(name).text(value);
        })
    }

    fn input(&mut self, input: Option<StepId>) -> &mut Self {
        self.flag(input.is_some())
    }

    fn source(&mut self, source: &Source) -> &mut Self {
        match source {
            Source::Image {
                reference: _,
                manifest,
                platform,
                diff_ids,
            } => self
                .byte(1)
                .bytes(manifest.as_bytes())
                .platform(platform)
                .list(diff_ids, |out, diff_id| {
                    out.bytes(diff_id.as_bytes());
                }),
            Source::Local { name } => self.byte(2).text(name),
            Source::Http {
                url,
                checksum,
                file_name,
            } => self
                .byte(3)
                .text(url)
                .optional(checksum.map(|digest| digest.to_string()).as_deref())
                .text(file_name),
            Source::Git(git) => self.repository(git),
        }
    }

    fn platform(&mut self, platform: &Platform) -> &mut Self {
        let Platform {
            architecture,
            os,
            os_version,
            variant,
        } = platform;
        self.text(os).text(architecture).text(variant).text(os_version)
    }

    fn repository(&mut self, git: &GitSource) -> &mut Self {
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
        self.byte(4)
            .text(url)
            .text(reference)
            .text(subdirectory)
            .flag(*keep_git_dir == Some(true))
            .optional(checksum.as_deref())
            .flag(*submodules)
            .flag(*checkout_times)
    }

    fn exec(&mut self, exec: &Exec) -> &mut Self {
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
        self.input(*root)
            .platform(platform)
            .texts(args)
            .pairs(env)
            .text(cwd)
            .text(user)
            .byte(match network {
                Network::Host => 1,
                Network::None => 2,
            })
            .flag(*insecure)
            .list(mounts, |out, mount| {
                out.mount(mount);
            })
            .list(devices, |out, device| {
                out.text(&device.name).flag(device.required);
            })
            .text(hostname)
            .pairs(extra_hosts)
    }

    fn owner(&mut self, mode: u32, uid: u32, gid: u32) -> &mut Self {
        self.number(mode.into()).number(uid.into()).number(gid.into())
    }

    fn mount(&mut self, mount: &Mount) -> &mut Self {
        self.text(&mount.target);
        match &mount.kind {
            MountKind::Bind { from, source, writable } => self.byte(1).input(*from).text(source).flag(*writable),
            MountKind::Cache {
                id,
                from,
                source,
                sharing,
                read_only,
                mode,
                uid,
                gid,
            } => self
                .byte(2)
                .text(id)
                .input(*from)
                .text(source)
                .byte(match sharing {
                    Sharing::Shared => 1,
                    Sharing::Private => 2,
                    Sharing::Locked => 3,
                })
                .flag(*read_only)
                .owner(*mode, *uid, *gid),
            MountKind::Tmpfs { size } => {
                self.byte(3).flag(size.is_some());
                self.number(size.unwrap_or_default())
            }
            MountKind::Secret {
                id,
                required,
                mode,
                uid,
                gid,
            } => self.byte(4).text(id).flag(*required).owner(*mode, *uid, *gid),
            MountKind::SecretEnv { id, required, variable } => self.byte(5).text(id).flag(*required).text(variable),
            MountKind::Ssh {
                id,
                required,
                mode,
                uid,
                gid,
            } => self.byte(6).text(id).flag(*required).owner(*mode, *uid, *gid),
            MountKind::Inline { content, mode } => self.byte(7).text(content).number((*mode).into()),
        }
    }

    fn file(&mut self, file: &FileOp) -> &mut Self {
        let FileOp { root, actions } = file;
        self.input(*root).list(actions, |out, action| {
            match action {
                FileAction::Copy(copy) => out.byte(1).copy(copy),
                FileAction::Mkdir(mkdir) => out.byte(2).mkdir(mkdir),
            };
        })
    }

    fn copy(&mut self, copy: &CopyAction) -> &mut Self {
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
        match from {
            CopyFrom::Step(step) => self.byte(1).input(*step),
            CopyFrom::Inline(content) => self.byte(2).text(content),
        };
        self.texts(sources)
            .text(destination)
            .optional(chown.as_deref())
            .optional(chmod.as_deref())
            .flag(*parents)
            .texts(exclude)
            .flag(*unpack)
            .flag(*link)
    }

    fn mkdir(&mut self, mkdir: &MkdirAction) -> &mut Self {
        let MkdirAction {
            path,
            mode,
            owner,
            time,
        } = mkdir;
        self.text(path)
            .number((*mode).into())
            .text(owner)
            .optional(time.map(|time| time.to_string()).as_deref())
    }
}
