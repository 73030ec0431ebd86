//! What is asked of the rules.

use std::collections::{BTreeMap, BTreeSet};

use kiln_dockerfile::ignore::Patterns;

use crate::finding::Severity;
use crate::known::Known;

/// From which severity on findings make a run fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Threshold {
    /// From this on.
    From(Severity),
    /// hadolint's `info`, the default.
    #[default]
    Default,
    /// Findings never do.
    Never,
}

impl Threshold {
    /// Reads hadolint's words; `ignore` lets every finding count, as there.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::Never),
            "ignore" => Some(Self::From(Severity::Style)),
            _ => Severity::parse(text).map(Self::From),
        }
    }

    /// Whether a finding of that severity makes the run fail.
    pub fn fails(self, severity: Severity) -> bool {
        match self {
            Self::From(least) => severity >= least,
            Self::Default => severity >= Severity::Info,
            Self::Never => false,
        }
    }
}

/// What the value of a label must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelKind {
    /// Anything.
    Text,
    /// A date and time (RFC 3339).
    Rfc3339,
    /// A version (semver 2.0.0).
    Semver,
    /// An address (RFC 3986).
    Url,
    /// A git commit.
    Hash,
    /// A licence (SPDX).
    Spdx,
    /// An address of mail (RFC 5322).
    Email,
}

impl LabelKind {
    /// Reads hadolint's names.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "text" | "" => Self::Text,
            "rfc3339" => Self::Rfc3339,
            "semver" => Self::Semver,
            "url" => Self::Url,
            "hash" => Self::Hash,
            "spdx" => Self::Spdx,
            "email" => Self::Email,
            _ => return None,
        })
    }
}

/// What lies where COPY and ADD take their sources from, and what else a build is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// The text of its `.dockerignore`, if it has one.
    pub ignore: Option<String>,
    /// What its uppermost directory has of the [names that rules ask for](Self::asked).
    pub names: BTreeSet<&'static str>,
    /// Names of further contexts, in lower case, which stand before images of these names, as `--build-context` has them.
    pub named: BTreeSet<String>,
}

impl Context {
    /// The names that rules ask for: nobody need list a directory for them.
    pub fn asked() -> impl Iterator<Item = &'static str> {
        crate::rules::context_names()
    }

    /// Whether a build gets something of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains(name) && !self.leaves_out(name)
    }

    /// Whether a further context has that name; case does not count.
    pub(crate) fn has_named(&self, name: &str) -> bool {
        self.named.contains(&name.to_lowercase())
    }

    /// Whether its `.dockerignore` leaves something of the uppermost directory out. One that cannot be read is no
    /// linter's matter, and leaves out everything.
    pub(crate) fn leaves_out(&self, name: &str) -> bool {
        let Some(text) = &self.ignore else { return false };
        Patterns::parse(text).map_or(true, |patterns| patterns.decide(name).excluded)
    }
}

/// Settings of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Rules that are silent.
    pub ignored: BTreeSet<String>,
    /// Severities other than the rules' own. They wake rules that are off by default.
    pub severities: BTreeMap<String, Severity>,
    /// Registries that images may come from; all if empty. A `*` at either end stands for anything.
    pub trusted_registries: Vec<String>,
    /// Labels that images must have.
    pub label_schema: BTreeMap<String, LabelKind>,
    /// Whether images may have no other labels.
    pub strict_labels: bool,
    /// Whether comments in the file silence nothing.
    pub disable_ignore_pragma: bool,
    /// From which severity on findings make the run fail.
    pub threshold: Threshold,
    /// What the caller knows of images and packages: for fixes alone, no finding depends on it.
    pub known: Known,
    /// The context of the file, where that is known.
    pub context: Option<Context>,
}
