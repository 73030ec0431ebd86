//! Words and their expansion: quotes, escapes, `$name` and `${name…}` with BuildKit's modifiers.

use std::collections::{BTreeMap, HashMap};
use std::marker::PhantomData;

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

/// Why a text cannot be expanded. The messages are BuildKit's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpandError {
    /// `${}`, `${:x}`, `${{x}`
    #[error("syntax error: bad substitution")]
    BadSubstitution,
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
pub fn word(raw: &str, escape: char, env: &dyn Env) -> Result<Expanded, ExpandError> {
    word_with(raw, escape, env, Mode::default())
}

/// Expands a word in a mode.
pub fn word_with(raw: &str, escape: char, env: &dyn Env, mode: Mode) -> Result<Expanded, ExpandError> {
    let _ = (raw, escape, env, mode);
    unimplemented!()
}

/// Expands a text and splits the result on unquoted blanks, as for EXPOSE.
pub fn words(raw: &str, escape: char, env: &dyn Env) -> Result<ExpandedWords, ExpandError> {
    let _ = (raw, escape, env);
    unimplemented!()
}

/// Expands the body of a here-document: quotes are plain text, `\` escapes whatever the Dockerfile's escape character.
pub fn heredoc(body: &str, env: &dyn Env) -> Result<Expanded, ExpandError> {
    word_with(
        body,
        '\\',
        env,
        Mode {
            skip_quotes: true,
            ..Mode::default()
        },
    )
}

/// Expands for display (step names, history): quotes, escapes and unset variables stay.
pub fn display(raw: &str, escape: char, env: &dyn Env) -> Result<Expanded, ExpandError> {
    word_with(
        raw,
        escape,
        env,
        Mode {
            raw_quotes: true,
            raw_escapes: true,
            keep_unset: true,
            skip_quotes: false,
        },
    )
}
