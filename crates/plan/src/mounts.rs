//! `RUN --mount`: names resolved and defaults filled in.

use kiln_dockerfile::ast::{Span, Word};
use kiln_dockerfile::diagnostic::Diagnostic;
use kiln_dockerfile::mount::{CacheKey as ParsedKey, Mount as Parsed, MountType, Sharing as ParsedSharing};

use crate::dispatch::Dispatch;
use crate::graph::Unit;
use crate::path;
use crate::report::error;
use crate::step::{CacheKey, Mount, MountKind, Sharing, StepId};

/// Where secrets are files.
const SECRETS: &str = "/run/secrets";
/// The build-arg that keeps caches of different builds apart.
const NAMESPACE_ARG: &str = "BUILDKIT_CACHE_MOUNT_NS";

impl Dispatch<'_, '_> {
    /// The mounts of a RUN.
    pub(crate) fn mounts(&mut self, unit: &Unit<'_>, words: &[Word]) -> Result<Vec<Mount>, Diagnostic> {
        let mut mounts = Vec::with_capacity(words.len());
        let mut agents = 0;
        for word in words {
            let parsed = self
                .parse_mount(unit, &word.raw)
                .map_err(|cause| error("BadMount", word.span, cause.to_string()))?;
            match parsed.kind {
                MountType::Bind | MountType::Cache => mounts.push(self.tree_mount(&parsed, unit, word.span)?),
                MountType::Tmpfs => mounts.push(Mount {
                    target: self.target(parsed.target.as_deref(), word.span)?,
                    kind: MountKind::Tmpfs { size: parsed.size },
                }),
                MountType::Secret => self.secret(&parsed, word.span, &mut mounts)?,
                MountType::Ssh => {
                    mounts.push(self.agent(&parsed, word.span, agents)?);
                    agents += 1;
                }
            }
        }
        Ok(mounts)
    }

    /// An absolute target, which must not be the root.
    fn target(&self, target: Option<&str>, span: Span) -> Result<String, Diagnostic> {
        let written = target.unwrap_or_default();
        let target = path::absolute(self.stage.directory(), written);
        if written.is_empty() || target == "/" {
            return Err(error(
                "BadMount",
                span,
                format!("invalid mount target {written:?}: it must be a directory or file other than the root"),
            ));
        }
        Ok(target)
    }

    fn tree_mount(&mut self, parsed: &Parsed, unit: &Unit<'_>, span: Span) -> Result<Mount, Diagnostic> {
        let target = self.target(parsed.target.as_deref(), span)?;
        let from = self.tree_of(parsed, unit, span)?;
        let source = path::absolute("/", parsed.source.as_deref().unwrap_or("/"));
        let kind = if parsed.kind == MountType::Bind {
            MountKind::Bind {
                from,
                source,
                writable: !parsed.read_only,
            }
        } else {
            MountKind::Cache {
                id: self.cache_id(parsed),
                key: self.cache_key(parsed, &target),
                from,
                source,
                sharing: match parsed.sharing {
                    ParsedSharing::Shared => Sharing::Shared,
                    ParsedSharing::Private => Sharing::Private,
                    ParsedSharing::Locked => Sharing::Locked,
                },
                read_only: parsed.read_only,
                mode: parsed.mode_or_default(),
                uid: parsed.uid.unwrap_or_default(),
                gid: parsed.gid.unwrap_or_default(),
            }
        };
        Ok(Mount { target, kind })
    }

    /// What a bind or cache mount reads: a bind without `from` the build context, a cache without it nothing.
    fn tree_of(&mut self, parsed: &Parsed, unit: &Unit<'_>, span: Span) -> Result<Option<StepId>, Diagnostic> {
        match (&parsed.from, parsed.kind) {
            (Some(from), _) if !from.is_empty() => {
                let origin = self.planner.graph.resolve(from, self.index, unit.at(span))?;
                Ok(self.planner.tree(&origin))
            }
            (_, MountType::Bind) => Ok(self.planner.main_context()),
            _ => Ok(None),
        }
    }

    fn cache_id(&self, parsed: &Parsed) -> String {
        let namespace = self.planner.graph.options.build_args.get(NAMESPACE_ARG);
        let id = parsed.cache_id();
        match namespace.filter(|namespace| !namespace.is_empty()) {
            Some(namespace) => format!("{namespace}/{id}"),
            None => id,
        }
    }

    /// The key that a cache mount says, or else the one that those of its target have.
    fn cache_key(&mut self, parsed: &Parsed, target: &str) -> Vec<CacheKey> {
        let required = !parsed.key.is_empty();
        let key = if required {
            parsed.key.clone()
        } else {
            self.usual_key(target)
        };
        let part = |part| match part {
            ParsedKey::Text(text) => CacheKey::Text(text),
            ParsedKey::Platform => CacheKey::Platform(self.platforms()),
            ParsedKey::Base => CacheKey::Base,
            ParsedKey::File(pattern) => CacheKey::Files {
                from: self.planner.main_context(),
                pattern,
                required,
            },
        };
        key.into_iter().map(part).collect()
    }

    fn usual_key(&self, target: &str) -> Vec<ParsedKey> {
        let usual = &self.planner.graph.options.cache_keys;
        let is_it = |written: &str| path::absolute(self.stage.directory(), written) == target;
        let found = usual.iter().find(|(written, _)| is_it(written));
        let mut key = found.map(|(_, key)| key.clone()).unwrap_or_default();
        // As those of Dockerfiles are: in whatever order they stand, it is one key.
        key.sort_unstable();
        key.dedup();
        key
    }

    /// What the step's programs are for, and what it builds for.
    fn platforms(&self) -> String {
        let (own, target) = (self.platform(), &self.planner.graph.globals.target);
        if own == *target {
            own.to_string()
        } else {
            format!("{own}:{target}")
        }
    }

    /// A secret is a file, unless it is only to be a variable.
    fn secret(&self, parsed: &Parsed, span: Span, mounts: &mut Vec<Mount>) -> Result<(), Diagnostic> {
        let named = parsed.id.clone().filter(|id| !id.is_empty());
        let target = parsed.target.as_deref().filter(|target| !target.is_empty());
        let id = named
            .or_else(|| target.map(|target| path::base_name(target).to_owned()))
            .ok_or_else(|| {
                error(
                    "BadMount",
                    span,
                    "a secret needs an id or a target: write --mount=type=secret,id=NAME",
                )
            })?;
        let required = parsed.required;
        if let Some(variable) = &parsed.env {
            mounts.push(Mount {
                target: String::new(),
                kind: MountKind::SecretEnv {
                    id: id.clone(),
                    required,
                    variable: variable.clone(),
                },
            });
        }
        if target.is_some() || parsed.env.is_none() {
            let default = format!("{SECRETS}/{}", path::base_name(&id));
            mounts.push(Mount {
                target: self.target(Some(target.unwrap_or(&default)), span)?,
                kind: MountKind::Secret {
                    id,
                    required,
                    mode: parsed.mode_or_default(),
                    uid: parsed.uid.unwrap_or_default(),
                    gid: parsed.gid.unwrap_or_default(),
                },
            });
        }
        Ok(())
    }

    fn agent(&self, parsed: &Parsed, span: Span, number: usize) -> Result<Mount, Diagnostic> {
        let default = format!("/run/buildkit/ssh_agent.{number}");
        let id = parsed.id.clone().filter(|id| !id.is_empty());
        Ok(Mount {
            target: self.target(Some(parsed.target.as_deref().unwrap_or(&default)), span)?,
            kind: MountKind::Ssh {
                id: id.unwrap_or_else(|| "default".to_owned()),
                required: parsed.required,
                mode: parsed.mode_or_default(),
                uid: parsed.uid.unwrap_or_default(),
                gid: parsed.gid.unwrap_or_default(),
            },
        })
    }
}
