//! Words and their expansion: quotes, escapes, `$name` and `${name…}` with BuildKit's modifiers.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::marker::PhantomData;

mod lexer;
mod pattern;
mod substitution;
mod template;

/// Where variables are looked up.
pub trait Env {
    /// The value; `None` if it is not set.
    fn get(&self, name: &str) -> Option<&str>;
}

impl Env for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<&str> {
        Self::get(self, name).map(String::as_str)
    }
}

impl<S: std::hash::BuildHasher> Env for HashMap<String, String, S> {
    fn get(&self, name: &str) -> Option<&str> {
        Self::get(self, name).map(String::as_str)
    }
}

/// `NAME`, value; the last of a name counts.
impl Env for [(String, String)] {
    fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Env for Vec<(String, String)> {
    fn get(&self, name: &str) -> Option<&str> {
        Env::get(self.as_slice(), name)
    }
}

/// A closure as an environment.
#[derive(Debug, Clone, Copy)]
pub struct Lookup<'a, F> {
    lookup: F,
    values: PhantomData<&'a str>,
}

impl<'a, F: Fn(&str) -> Option<&'a str>> Lookup<'a, F> {
    /// An environment that asks the closure.
    pub const fn new(lookup: F) -> Self {
        Self {
            lookup,
            values: PhantomData,
        }
    }
}

impl<'a, F: Fn(&str) -> Option<&'a str>> Env for Lookup<'a, F> {
    fn get(&self, name: &str) -> Option<&str> {
        (self.lookup)(name)
    }
}

/// What a text expanded to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expanded {
    /// The result.
    pub value: String,
    /// The variables that had no value and no default, in order, each once.
    pub undefined: Vec<String>,
}

/// What a text expanded and was split to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExpandedWords {
    /// The words.
    pub values: Vec<String>,
    /// The variables that had no value and no default, in order, each once.
    pub undefined: Vec<String>,
}

/// Why a text cannot be expanded. The messages are BuildKit's where it has the error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpandError {
    /// `${}`, `${:x}`, `${{x}`
    #[error("syntax error: bad substitution")]
    BadSubstitution,
    /// `${x` without end.
    #[error("syntax error: missing '}}'")]
    MissingBrace,
    /// `${x/pattern` without replacement.
    #[error("syntax error: missing '/' in ${{}}")]
    MissingSlash,
    /// `'` without end.
    #[error("unexpected end of statement while looking for matching single-quote")]
    MissingSingleQuote,
    /// `"` without end.
    #[error("unexpected end of statement while looking for matching double-quote")]
    MissingDoubleQuote,
    /// A modifier that shells know and BuildKit does not.
    #[error("unsupported modifier ({0}) in substitution")]
    UnsupportedModifier(String),
    /// `${x?message}`, `${x:?message}`
    #[error("{name}: {message}")]
    Required {
        /// The variable.
        name: String,
        /// What the Dockerfile says, or BuildKit's words.
        message: String,
    },
    /// A pattern with an escape that means nothing.
    #[error("invalid pattern ({pattern}) in substitution: invalid escape '\\{escape}'")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// The character after the backslash; empty at the end.
        escape: String,
    },
    /// `${a:-${b:-…}}` deeper than any sensible Dockerfile.
    #[error("substitutions are nested more than {} deep", lexer::MAX_DEPTH)]
    TooDeep,
    /// The result is much longer than the text: variables that double themselves.
    #[error("the expanded text would be larger than {} bytes", lexer::MAX_GROWTH)]
    TooLong,
    /// The [`Effort`] is spent.
    #[error("the values and patterns so far are too long: putting them in would take too much time")]
    TooCostly,
}

/// What may still be done to expand the texts of one Dockerfile, in characters of values compared with patterns: there is room for thousands of times what anybody needs, and all of it takes less than a second.
#[derive(Debug)]
pub struct Effort(Cell<usize>);

impl Default for Effort {
    fn default() -> Self {
        Self(Cell::new(1 << 27))
    }
}

impl Effort {
    /// Whether nothing is left: some text was refused with [`ExpandError::TooCostly`].
    pub const fn is_spent(&self) -> bool {
        self.0.get() == 0
    }

    fn take(&self, steps: usize) -> Result<(), ExpandError> {
        let left = self.0.get().saturating_sub(steps);
        self.0.set(left);
        if left == 0 { Err(ExpandError::TooCostly) } else { Ok(()) }
    }
}

/// How quotes and escapes are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches, named as BuildKit's lexer modes"
)]
pub struct Mode {
    /// Quotes are kept in the result.
    pub raw_quotes: bool,
    /// Escape characters are kept in the result.
    pub raw_escapes: bool,
    /// Variables without value stay as written.
    pub keep_unset: bool,
    /// Quotes mean nothing.
    pub skip_quotes: bool,
}

/// Expands a word: quotes are removed, the whole result is one word.
pub fn word(raw: &str, escape: char, env: &dyn Env, effort: &Effort) -> Result<Expanded, ExpandError> {
    word_with(raw, escape, env, Mode::default(), effort)
}

/// Expands a word in a mode.
pub fn word_with(raw: &str, escape: char, env: &dyn Env, mode: Mode, effort: &Effort) -> Result<Expanded, ExpandError> {
    let output = lexer::run(raw, escape, env, mode, effort, false)?;
    Ok(Expanded {
        value: output.text,
        undefined: output.undefined,
    })
}

/// Expands a text and splits the result on unquoted blanks, as for EXPOSE.
pub fn words(raw: &str, escape: char, env: &dyn Env, effort: &Effort) -> Result<ExpandedWords, ExpandError> {
    words_with(raw, escape, env, Mode::default(), effort)
}

/// Expands a text in a mode and splits the result on unquoted blanks.
pub fn words_with(
    raw: &str,
    escape: char,
    env: &dyn Env,
    mode: Mode,
    effort: &Effort,
) -> Result<ExpandedWords, ExpandError> {
    let output = lexer::run(raw, escape, env, mode, effort, true)?;
    Ok(ExpandedWords {
        values: output.words,
        undefined: output.undefined,
    })
}

/// Expands the body of a here-document: quotes are plain text, `\` escapes whatever the Dockerfile's escape character.
pub fn heredoc(body: &str, env: &dyn Env, effort: &Effort) -> Result<Expanded, ExpandError> {
    let mode = Mode {
        skip_quotes: true,
        ..Mode::default()
    };
    word_with(body, '\\', env, mode, effort)
}

/// Expands for display (step names, history): quotes, escapes and unset variables stay.
pub fn display(raw: &str, escape: char, env: &dyn Env, effort: &Effort) -> Result<Expanded, ExpandError> {
    let mode = Mode {
        raw_quotes: true,
        raw_escapes: true,
        keep_unset: true,
        skip_quotes: false,
    };
    word_with(raw, escape, env, mode, effort)
}
