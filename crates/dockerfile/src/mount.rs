//! `RUN --mount`: typed, with BuildKit's rules.

mod error;
mod key;
mod size;

use std::fmt;

use crate::expand::ExpandError;
use crate::{boolean, csv, suggest};

pub use error::MountError;
pub use key::{CacheKey, without_keys};

/// Expands a value in the environment of the instruction.
pub type Expand<'a> = dyn FnMut(&str) -> Result<String, ExpandError> + 'a;

pub(crate) const TYPES: [(&str, MountType); 5] = [
    ("bind", MountType::Bind),
    ("cache", MountType::Cache),
    ("tmpfs", MountType::Tmpfs),
    ("secret", MountType::Secret),
    ("ssh", MountType::Ssh),
];

pub(crate) const SHARING: [(&str, Sharing); 3] = [
    ("shared", Sharing::Shared),
    ("private", Sharing::Private),
    ("locked", Sharing::Locked),
];

const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "src",
    "dst",
    "destination",
    "ro",
    "rw",
    "readwrite",
    "env",
];

/// The types of mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MountType {
    /// Files of the context, a stage or an image.
    #[default]
    Bind,
    /// A directory that outlives the build.
    Cache,
    /// Memory.
    Tmpfs,
    /// A secret as a file or variable.
    Secret,
    /// An SSH agent's socket.
    Ssh,
}

impl MountType {
    /// As `type=` has it.
    pub fn name(self) -> &'static str {
        TYPES
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("bind", |(name, _)| name)
    }
}

impl fmt::Display for MountType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `sharing=` of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Sharing {
    /// Everybody at once.
    #[default]
    Shared,
    /// One each.
    Private,
    /// One after the other.
    Locked,
}

/// One `--mount`, values expanded and defaults not applied unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// `type`
    pub kind: MountType,
    /// `target`: as given, possibly relative to WORKDIR. Whoever joins it refuses `/`.
    pub target: Option<String>,
    /// `source` of bind and cache; that of a secret is its `id`.
    pub source: Option<String>,
    /// `from` of bind and cache: stage, named context or image.
    pub from: Option<String>,
    /// Whether writing is forbidden; the type's default applied.
    pub read_only: bool,
    /// `id` of cache, secret (there also `source`), ssh; defaults by [`Mount::cache_id`], [`Mount::secret_id`],
    /// [`Mount::ssh_id`].
    pub id: Option<String>,
    /// `sharing` of cache.
    pub sharing: Sharing,
    /// `key` of cache, all of them: sorted, each once.
    pub key: Vec<CacheKey>,
    /// `size` of tmpfs, bytes.
    pub size: Option<u64>,
    /// `required` of secret and ssh.
    pub required: bool,
    /// `env` of secret: the variable.
    pub env: Option<String>,
    /// `mode` of cache, secret and ssh.
    pub mode: Option<u32>,
    /// `uid` of cache, secret and ssh.
    pub uid: Option<u32>,
    /// `gid` of cache, secret and ssh.
    pub gid: Option<u32>,
}

impl Mount {
    /// Reads the text behind `--mount=`; `expand` expands a value in the environment of the instruction. Keys are
    /// checked against the type given so far: `required` and `size` must come after `type`.
    pub fn parse(csv: &str, expand: &mut Expand<'_>) -> Result<Self, MountError> {
        let mut draft = Draft::new();
        for field in csv::fields(csv).map_err(MountError::Csv)? {
            draft.field(&field, expand)?;
        }
        draft.finish()
    }

    /// The identity of a cache: `id`, or else the cleaned target as given.
    pub fn cache_id(&self) -> String {
        match &self.id {
            Some(id) => id.clone(),
            None => crate::path::clean(self.target.as_deref().unwrap_or_default()),
        }
    }

    /// The name of a secret: `id` or `source`, or else the last part of the target.
    pub fn secret_id(&self) -> String {
        match &self.id {
            Some(id) => id.clone(),
            None => crate::path::base(self.target.as_deref().unwrap_or_default()),
        }
    }

    /// Where a secret is seen as a file: the target, or `/run/secrets/NAME`; `None` if it is only a variable.
    pub fn secret_target(&self) -> Option<String> {
        match (&self.target, &self.env) {
            (Some(target), _) => Some(target.clone()),
            (None, Some(_)) => None,
            (None, None) => Some(format!("/run/secrets/{}", crate::path::base(&self.secret_id()))),
        }
    }

    /// The name of an agent: `id`, or `default`.
    pub fn ssh_id(&self) -> &str {
        self.id.as_deref().unwrap_or("default")
    }

    /// The mode: as given, or else 0755 for caches, 0400 for secrets, 0600 for agents.
    pub fn mode_or_default(&self) -> u32 {
        self.mode.unwrap_or(match self.kind {
            MountType::Secret => 0o400,
            MountType::Ssh => 0o600,
            MountType::Bind | MountType::Cache | MountType::Tmpfs => 0o755,
        })
    }
}

/// The `from` of a `--mount`, which is needed before anything is expanded.
pub fn from_of(csv: &str) -> Result<Option<String>, MountError> {
    let mut from = None;
    for field in csv::fields(csv).map_err(MountError::Csv)? {
        let Some((key, value)) = field.split_once('=') else {
            continue;
        };
        if !key.eq_ignore_ascii_case("from") {
            continue;
        }
        if value.split_once('$').is_some_and(|(_, rest)| !rest.is_empty()) {
            return Err(MountError::FromVariable);
        }
        from = Some(value.to_owned());
    }
    Ok(from.filter(|from| !from.is_empty()))
}

/// A mount that is being read. Empty values are as good as none.
struct Draft {
    mount: Mount,
    read_only: Option<bool>,
    sharing: Option<Sharing>,
}

impl Draft {
    fn new() -> Self {
        let mount = Mount {
            kind: MountType::Bind,
            target: None,
            source: None,
            from: None,
            read_only: true,
            id: None,
            sharing: Sharing::Shared,
            key: Vec::new(),
            size: None,
            required: false,
            env: None,
            mode: None,
            uid: None,
            gid: None,
        };
        Self {
            mount,
            read_only: None,
            sharing: None,
        }
    }

    fn field(&mut self, field: &str, expand: &mut Expand<'_>) -> Result<(), MountError> {
        match field.split_once('=') {
            None => self.bare(&field.to_lowercase(), field),
            Some((key, value)) => self.pair(&key.to_lowercase(), expand(value)?, field),
        }
    }

    fn bare(&mut self, key: &str, field: &str) -> Result<(), MountError> {
        match key {
            "readonly" | "ro" => self.read_only = Some(true),
            "readwrite" | "rw" => self.read_only = Some(false),
            "required" => {
                self.only_for(key, &[MountType::Secret, MountType::Ssh])?;
                self.mount.required = true;
            }
            _ => return Err(MountError::NoValue(field.to_owned())),
        }
        Ok(())
    }

    fn pair(&mut self, key: &str, value: String, field: &str) -> Result<(), MountError> {
        let mount = &mut self.mount;
        match key {
            "type" => mount.kind = find(&TYPES, &value).ok_or_else(|| unknown_type(&value))?,
            "from" => mount.from = given(value),
            "source" | "src" => mount.source = given(value),
            "target" | "dst" | "destination" => mount.target = given(value),
            "readonly" | "ro" => self.read_only = Some(boolean(key, &value)?),
            "readwrite" | "rw" => self.read_only = Some(!boolean(key, &value)?),
            "required" => {
                self.only_for(key, &[MountType::Secret, MountType::Ssh])?;
                self.mount.required = boolean(key, &value)?;
            }
            "size" => {
                self.only_for(key, &[MountType::Tmpfs])?;
                self.mount.size = Some(size::parse(&value).ok_or_else(|| bad_value(key, &value))?);
            }
            "id" => mount.id = given(value),
            "sharing" => self.sharing = Some(find(&SHARING, &value).ok_or_else(|| unknown_sharing(&value))?),
            "key" => mount.key.push(CacheKey::parse(&value).ok_or(MountError::EmptyKey)?),
            "env" => mount.env = given(value),
            "mode" => mount.mode = Some(number(key, &value, 8)?),
            "uid" => mount.uid = Some(number(key, &value, 10)?),
            "gid" => mount.gid = Some(number(key, &value, 10)?),
            _ => {
                let hint = suggest::hint(key, KEYS);
                return Err(MountError::UnknownKey {
                    key: key.to_owned(),
                    field: field.to_owned(),
                    hint,
                });
            }
        }
        Ok(())
    }

    fn only_for(&self, key: &str, kinds: &[MountType]) -> Result<(), MountError> {
        let kind = self.mount.kind;
        if kinds.contains(&kind) {
            return Ok(());
        }
        Err(MountError::KeyForType {
            key: key.to_owned(),
            kind,
        })
    }

    fn finish(self) -> Result<Mount, MountError> {
        let Self {
            mut mount,
            read_only,
            sharing,
        } = self;
        let kind = mount.kind;
        let no_file = matches!(kind, MountType::Bind | MountType::Tmpfs);
        let numbers = [("mode", mount.mode), ("uid", mount.uid), ("gid", mount.gid)];
        if let Some((key, _)) = numbers.into_iter().find(|(_, number)| no_file && number.is_some()) {
            return Err(MountError::NotAllowed { key, kind });
        }
        if !mount.key.is_empty() && kind != MountType::Cache {
            return Err(MountError::NotAllowed { key: "key", kind });
        }
        mount.key.sort_unstable();
        mount.key.dedup();
        mount.read_only = read_only.unwrap_or(!matches!(kind, MountType::Cache | MountType::Tmpfs));
        match kind {
            MountType::Secret => secret(&mut mount, sharing)?,
            MountType::Ssh if mount.source.is_some() => return Err(MountError::SshSource),
            _ => {}
        }
        if sharing.is_some() && kind != MountType::Cache {
            return Err(MountError::SharingForType(kind));
        }
        mount.sharing = sharing.unwrap_or_default();
        Ok(mount)
    }
}

fn secret(mount: &mut Mount, sharing: Option<Sharing>) -> Result<(), MountError> {
    if mount.from.is_some() {
        return Err(MountError::SecretFrom);
    }
    if sharing.is_some() {
        return Err(MountError::SecretSharing);
    }
    if mount.source.is_none() && mount.target.is_none() && mount.id.is_none() {
        return Err(MountError::SecretWithoutName);
    }
    if mount.source.is_some() && mount.id.is_some() {
        return Err(MountError::SourceAndId);
    }
    mount.id = mount.id.take().or(mount.source.take());
    Ok(())
}

fn given(value: String) -> Option<String> {
    Some(value).filter(|value| !value.is_empty())
}

fn find<T: Copy>(known: &[(&str, T)], value: &str) -> Option<T> {
    known
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(value))
        .map(|(_, found)| *found)
}

fn unknown_type(value: &str) -> MountError {
    let hint = suggest::hint(value, TYPES.iter().map(|(name, _)| *name));
    MountError::UnknownType {
        value: value.to_owned(),
        hint,
    }
}

fn unknown_sharing(value: &str) -> MountError {
    let hint = suggest::hint(value, SHARING.iter().map(|(name, _)| *name));
    MountError::UnknownSharing {
        value: value.to_owned(),
        hint,
    }
}

fn bad_value(key: &str, value: &str) -> MountError {
    MountError::BadValue {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

fn boolean(key: &str, value: &str) -> Result<bool, MountError> {
    boolean::parse(value).ok_or_else(|| bad_value(key, value))
}

fn number(key: &str, value: &str, radix: u32) -> Result<u32, MountError> {
    let digits = !value.starts_with('+');
    let parsed = u32::from_str_radix(value, radix).ok().filter(|_| digits);
    parsed.ok_or_else(|| MountError::BadNumber {
        key: key.to_owned(),
        value: value.to_owned(),
    })
}
