//! Which directory a cache mount is: by its `id` and owner, and by what its `key` comes to in this build.

use std::path::Path;

use kiln_plan::{CacheKey, Exec, MountKind, Op, Sharing, Source, Step, StepId};
use kiln_store::MountId;

use super::Solver;
use super::copy::context_filter;
use super::sources;
use crate::error::{StepError, StepResult};
use crate::inputs::hex;

/// Digits of a digest that people are shown.
const SHOWN: usize = 12;

/// A cache mount of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CacheId {
    /// Its whole identity. Owner and mode are part of it, as in `BuildKit`, for a directory that was made for one user is
    /// no use to another.
    pub(super) name: String,
    /// What people know it by.
    pub(super) id: MountId,
    pub(super) sharing: Sharing,
}

/// What a part of a key came to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    kind: &'static str,
    value: String,
    /// What people are shown.
    shown: String,
}

/// Mode, user and group of the mount of that name; `None` if it is none.
pub(crate) fn owner(name: &str) -> Option<(u32, u32, u32)> {
    let (_, owner) = name.rsplit_once('\n')?;
    let mut words = owner.split(' ');
    let mode = u32::from_str_radix(words.next()?, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)?;
    let (uid, gid) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let whole = matches!(words.next()?, "true" | "false") && words.next().is_none();
    whole.then_some((mode, uid, gid))
}

impl CacheId {
    /// `None` for other kinds of mount.
    fn new(kind: &MountKind, parts: &[Part]) -> Option<Self> {
        let MountKind::Cache {
            id,
            from,
            sharing,
            mode,
            uid,
            gid,
            ..
        } = kind
        else {
            return None;
        };
        let key = digest(parts).map(|digest| format!("{digest}\n")).unwrap_or_default();
        let shown: Vec<&str> = parts.iter().map(|part| part.shown.as_str()).collect();
        // No line of an ID can be taken for one of what follows.
        let own = id.replace('\n', "\n ");
        Some(Self {
            name: format!("{own}\n{key}{mode:o} {uid} {gid} {}", from.is_some()),
            id: MountId {
                id: id.clone(),
                key: shown.join("#"),
            },
            sharing: *sharing,
        })
    }
}

/// The digest of a key; none where there is no key.
fn digest(parts: &[Part]) -> Option<String> {
    if parts.is_empty() {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    for text in parts.iter().flat_map(|part| [part.kind, &part.value]) {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    Some(hex(hasher.finalize().as_bytes()))
}

impl Solver<'_> {
    /// Which directory a mount of a step is; `None` for other kinds of mount.
    pub(super) fn cache_id(&self, exec: &Exec, kind: &MountKind) -> StepResult<Option<CacheId>> {
        let MountKind::Cache { id, key, .. } = kind else {
            return Ok(None);
        };
        let part = |part| self.key_part(exec, id, part);
        let parts = key.iter().map(part).collect::<StepResult<Vec<_>>>()?;
        Ok(CacheId::new(kind, &parts))
    }

    fn key_part(&self, exec: &Exec, id: &str, key: &CacheKey) -> StepResult<Part> {
        let part = |kind, value: &str, shown: &str| Part {
            kind,
            value: value.to_owned(),
            shown: shown.to_owned(),
        };
        Ok(match key {
            CacheKey::Text(text) => part("text", text, text),
            CacheKey::Platform(platform) => part("platform", platform, platform),
            CacheKey::Base => match self.base_image(exec.root) {
                Some(Step {
                    op:
                        Op::Source(Source::Image {
                            reference, manifest, ..
                        }),
                    ..
                }) => {
                    let hex = manifest.hex();
                    let shown = format!("{}@{}", reference.familiar(), &hex[..SHOWN]);
                    part("image", &hex, &shown)
                }
                Some(step) => part("tree", &hex(&step.definition), &step.name),
                None => part("tree", SCRATCH, SCRATCH),
            },
            CacheKey::Files {
                from,
                pattern,
                required,
            } => {
                let files = self.key_files(*from, pattern, *required)?;
                match files {
                    Some(digest) => part("files", &digest, &format!("{pattern}={}", &digest[..SHOWN])),
                    None if *required => return Err(fits_nothing(id, pattern)),
                    None => part("files", "", &format!("{pattern}=none")),
                }
            }
        })
    }

    /// The digest of names and content of what a pattern fits: what else is said of files differs between the checkouts of
    /// one commit. `None` where there is nothing.
    fn key_files(&self, from: Option<StepId>, pattern: &str, required: bool) -> StepResult<Option<String>> {
        let digests = self.with_tree(from, |tree| {
            let choice = |_: &sources::Source, path: &Path, directory| context_filter(tree.context, path, directory);
            let mut reader = self.reader(tree, &choice);
            (reader.owner, reader.mode) = (Some((0, 0)), Some(0o644));
            match reader.word(pattern) {
                Err(StepError::Missing(_)) if !required => {}
                read => read?,
            }
            Ok(reader.files.digests)
        })?;
        Ok((!digests.is_empty()).then(|| hex(blake3::hash(digests.as_flattened()).as_bytes())))
    }

    /// The image that a tree stands on, as the Dockerfile names it.
    pub(super) fn base_name(&self, root: Option<StepId>) -> String {
        match self.base_image(root) {
            Some(Step {
                op: Op::Source(Source::Image { reference, .. }),
                ..
            }) => reference.familiar(),
            Some(step) => step.name.clone(),
            None => SCRATCH.to_owned(),
        }
    }

    /// The source that a tree stands on; `None` for scratch.
    fn base_image(&self, root: Option<StepId>) -> Option<&Step> {
        let mut root = root;
        loop {
            let step = &self.plan.steps[root?.0];
            root = match &step.op {
                Op::Source(_) => return Some(step),
                Op::Merge(inputs) => inputs.first().copied(),
                Op::Exec(_) | Op::File(_) => step.root(),
            };
        }
    }
}

const SCRATCH: &str = "scratch";

fn fits_nothing(id: &str, pattern: &str) -> StepError {
    StepError::Invalid(format!(
        "`key=file:{pattern}` of the cache mount `{id}` fits nothing in the build context: is it written relative to the \
         context, and not left out by .dockerignore?"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind() -> MountKind {
        kind_of("npm")
    }

    fn kind_of(id: &str) -> MountKind {
        MountKind::Cache {
            id: id.to_owned(),
            key: Vec::new(),
            from: None,
            source: String::new(),
            sharing: Sharing::Shared,
            read_only: false,
            mode: 0o750,
            uid: 1,
            gid: 2,
        }
    }

    fn part(kind: &'static str, value: &str) -> Part {
        Part {
            kind,
            value: value.to_owned(),
            shown: value.to_owned(),
        }
    }

    #[test]
    fn names_say_the_owner_with_and_without_a_key() {
        let without = CacheId::new(&kind(), &[]).unwrap();
        assert_eq!(without.name, "npm\n750 1 2 false");
        assert_eq!(without.id.to_string(), "npm");
        let with = CacheId::new(&kind(), &[part("platform", "linux/arm64"), part("text", "x")]).unwrap();
        assert_eq!(with.id.to_string(), "npm#linux/arm64#x");
        for name in [without.name, with.name] {
            assert_eq!(owner(&name), Some((0o750, 1, 2)), "{name}");
            assert_eq!(owner(&format!("{name}\nprivate 1")), None);
        }
    }

    #[test]
    fn an_id_is_never_another_one_with_a_key() {
        let parts = [part("text", "a")];
        let with = CacheId::new(&kind(), &parts).unwrap();
        let id = format!("npm\n{}", digest(&parts).unwrap());
        let without = CacheId::new(&kind_of(&id), &[]).unwrap();
        assert_ne!(with.name, without.name);
        assert_eq!(owner(&without.name), owner(&with.name));
    }

    #[test]
    fn keys_that_differ_are_other_directories() {
        let keys = [
            vec![],
            vec![part("text", "a")],
            vec![part("text", "b")],
            vec![part("platform", "a")],
            vec![part("text", "a"), part("text", "b")],
            vec![part("text", "atext"), part("text", "")],
        ];
        let names: std::collections::BTreeSet<_> = keys
            .iter()
            .map(|key| CacheId::new(&kind(), key).unwrap().name)
            .collect();
        assert_eq!(names.len(), keys.len());
    }
}
