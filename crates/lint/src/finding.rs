//! What a rule has to say.

use kiln_dockerfile::ast::Span;

use crate::cost::Cost;

/// How bad it is; hadolint's levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// A matter of taste.
    Style,
    /// Worth knowing.
    Info,
    /// Likely to hurt.
    Warning,
    /// Wrong.
    Error,
}

impl Severity {
    /// Its name in formats and settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Style => "style",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// The severity of that name.
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Style, Self::Info, Self::Warning, Self::Error];
        all.into_iter().find(|each| each.name() == name)
    }
}

/// Something that a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule's code: `DL3008`, `StageNameCasing`.
    pub code: &'static str,
    /// The name of the rule of BuildKit's that finds the same here.
    pub also: Option<&'static str>,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence without final period.
    pub message: String,
    /// Where exactly.
    pub span: Span,
    /// The line, from 1, of the instruction that is meant; hadolint's formats say this line.
    pub line: u32,
    /// What would mend it, where that is known.
    pub fix: Option<Fix>,
    /// Why nothing does, or not all of it, where that depends on what is known: `no version of curl is known`.
    pub unfixed: Option<String>,
    /// What says what it costs, where builds can.
    pub cost: Option<Cost>,
}

/// Whether a fix may be applied without a look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Safety {
    /// The image is the same, or differs only as the rule says.
    Safe,
    /// It may change what is built.
    Unsafe,
}

/// What mends a finding: pieces of the text that are replaced together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// What it does, as an order: `use COPY`.
    pub title: String,
    /// Whether it may be applied without a look at it.
    pub safety: Safety,
    /// The pieces, in order, which do not overlap.
    pub edits: Vec<Edit>,
}

/// A piece of the text and what it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The piece; empty for what is inserted.
    pub span: Span,
    /// What it becomes.
    pub text: String,
}

impl Fix {
    /// A fix that may be applied without a look at it.
    pub(crate) fn safe(title: impl Into<String>, edits: Vec<Edit>) -> Self {
        Self {
            title: title.into(),
            safety: Safety::Safe,
            edits,
        }
    }

    /// A fix that may change what is built.
    pub(crate) fn careful(title: impl Into<String>, edits: Vec<Edit>) -> Self {
        Self {
            safety: Safety::Unsafe,
            ..Self::safe(title, edits)
        }
    }
}

impl Edit {
    /// Replaces a piece.
    pub(crate) fn replace(span: Span, text: impl Into<String>) -> Self {
        Self {
            span,
            text: text.into(),
        }
    }

    /// Inserts at a place.
    pub(crate) fn insert(at: usize, text: impl Into<String>) -> Self {
        Self::replace(Span { start: at, end: at }, text)
    }
}
