//! `--name[=value]` between the keyword and the arguments.

use std::ops::Range;

use super::logical::Logical;
use super::report::{Parsed, Problem, error, helped};
use crate::ast::{Span, Word};
use crate::{code, suggest};

/// A flag as written, quotes taken away.
#[derive(Debug)]
pub(super) struct Flag {
    name: String,
    value: Option<Word>,
    span: Span,
}

/// How a flag is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// With or without `=true`, `=false`.
    Switch,
    /// Once, with a value.
    Once,
    /// Any number of times, with a value.
    Many,
}

/// Reads the flags at the start of a range; also gives where the arguments start.
pub(super) fn read(logical: &Logical, range: Range<usize>, escape: char) -> (Vec<Flag>, usize) {
    let mut flags = Vec::new();
    let mut at = range.start;
    loop {
        let rest = &logical.text[at..range.end];
        let word = at + (rest.len() - rest.trim_start().len());
        if !logical.text[word..range.end].starts_with("--") {
            return (flags, word);
        }
        let (text, end) = unquote(&logical.text[word..range.end], escape);
        at = word + end;
        if text == "--" {
            return (flags, at);
        }
        flags.push(flag(logical, &text, word..at));
    }
}

fn flag(logical: &Logical, text: &str, range: Range<usize>) -> Flag {
    let span = logical.span(range.clone());
    let text = text.strip_prefix("--").unwrap_or(text);
    let Some((name, value)) = text.split_once('=') else {
        return Flag {
            name: text.to_owned(),
            value: None,
            span,
        };
    };
    let written = &logical.text[range.clone()];
    let start = range.start + written.find('=').map_or(written.len(), |place| place + 1);
    let value = Word {
        raw: value.to_owned(),
        span: logical.span(start..range.end),
    };
    Flag {
        name: name.to_owned(),
        value: Some(value),
        span,
    }
}

/// The word at the start of a text without its quotes and escapes, and how long it is as written.
fn unquote(text: &str, escape: char) -> (String, usize) {
    let mut out = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((place, c)) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            return (out, place);
        }
        if c == escape {
            out.extend(chars.next().map(|(_, escaped)| escaped));
        } else if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && (c == '\'' || c == '"') {
            quote = Some(c);
        } else {
            out.push(c);
        }
    }
    (out, text.len())
}

/// The flags of an instruction, checked.
#[derive(Debug)]
pub(super) struct Flags(Vec<Flag>);

impl Flags {
    /// Checks flags against those that the instruction has.
    pub(super) fn check(flags: Vec<Flag>, known: &[(&str, Use)]) -> Parsed<Self> {
        for (index, flag) in flags.iter().enumerate() {
            let name = flag.name.as_str();
            let Some((_, usage)) = known.iter().find(|(known, _)| *known == name) else {
                return Err(unknown(flag, known));
            };
            if *usage != Use::Many && flags[..index].iter().any(|other| other.name == flag.name) {
                return Err(error(
                    code::BAD_FLAG,
                    format!("duplicate flag specified: {name}"),
                    flag.span,
                ));
            }
            check_value(flag, *usage)?;
        }
        Ok(Self(flags))
    }

    /// Instructions without flags.
    pub(super) fn none(flags: Vec<Flag>) -> Parsed<()> {
        Self::check(flags, &[]).map(drop)
    }

    pub(super) fn one(&self, name: &str) -> Option<Word> {
        self.many(name).into_iter().next()
    }

    pub(super) fn many(&self, name: &str) -> Vec<Word> {
        self.0
            .iter()
            .filter(|flag| flag.name == name)
            .filter_map(|flag| flag.value.clone())
            .collect()
    }

    /// Where a flag stands, if it is given.
    pub(super) fn span(&self, name: &str) -> Option<Span> {
        self.0.iter().find(|flag| flag.name == name).map(|flag| flag.span)
    }

    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        let flag = self.0.iter().find(|flag| flag.name == name)?;
        Some(
            flag.value
                .as_ref()
                .is_none_or(|value| value.raw.eq_ignore_ascii_case("true")),
        )
    }
}

fn check_value(flag: &Flag, usage: Use) -> Parsed<()> {
    let name = flag.name.as_str();
    let missing = || {
        Err(error(
            code::BAD_FLAG,
            format!("missing a value on flag: {name}"),
            flag.span,
        ))
    };
    let value = flag.value.as_ref().map(|value| value.raw.as_str());
    match (usage, value) {
        (Use::Switch, Some("")) | (Use::Once | Use::Many, None) => missing(),
        (Use::Switch, Some(value)) if !is_boolean(value) => {
            let message = format!("expecting boolean value for flag {name}, not: {value}");
            Err(helped(
                error(code::BAD_FLAG, message, flag.span),
                format!("write `--{name}` or `--{name}=false`"),
            ))
        }
        _ => Ok(()),
    }
}

fn is_boolean(value: &str) -> bool {
    value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false")
}

fn unknown(flag: &Flag, known: &[(&str, Use)]) -> Problem {
    let names = known.iter().map(|(name, _)| *name);
    let message = format!("unknown flag: --{}{}", flag.name, suggest::hint(&flag.name, names));
    let found = error(code::UNKNOWN_FLAG, message, flag.span);
    match suggest::closest(&flag.name, known.iter().map(|(name, _)| *name)) {
        Some(name) => helped(found, format!("did you mean `--{name}`?")),
        None => found,
    }
}
