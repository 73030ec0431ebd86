//! Wildcards with the rules of Go's `filepath.Match`: `*` and `?` do not cross `/`, `[a-z]`, `[^a]`, and `\` before a
//! character that is meant literally.

use std::iter::Peekable;
use std::str::Chars;

use crate::automaton::{Automaton, Token};

/// The pattern cannot be read: a class without end or without characters, or a `\` at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub struct BadPattern;

/// Whether a text has wildcards: `*`, `?`, `[` or an escape.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

/// Whether a name fits a pattern entirely. A bad pattern is an error whether or not the name fits its start.
pub fn matches(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    Pattern::new(pattern).map(|pattern| pattern.matches(name))
}

/// A pattern that is read once and used often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Automaton);

impl Pattern {
    /// Reads a pattern.
    pub fn new(pattern: &str) -> Result<Self, BadPattern> {
        let mut tokens = Vec::with_capacity(pattern.len());
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                // A second star adds nothing.
                '*' if tokens.last() == Some(&Token::Star) => continue,
                '*' => Token::Star,
                '?' => Token::Any,
                '\\' => Token::Char(chars.next().ok_or(BadPattern)?),
                '[' => Token::Class(Class::read(&mut chars)?.within_a_name()),
                other => Token::Char(other),
            });
        }
        Ok(Self(Automaton::new(&tokens)))
    }

    /// Whether a name fits entirely.
    pub fn matches(&self, name: &str) -> bool {
        self.0.run(|run| name.chars().all(|c| run.take(c)) && run.accepts())
    }
}

/// `[…]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Class {
    negated: bool,
    /// In order and apart, so that a long class is no slower than a short one.
    ranges: Vec<(char, char)>,
}

impl Class {
    /// Reads what follows the `[`.
    pub(crate) fn read(chars: &mut Peekable<Chars<'_>>) -> Result<Self, BadPattern> {
        let negated = chars.next_if_eq(&'^').is_some();
        let mut ranges = Vec::new();
        loop {
            if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
                let ranges = apart(ranges);
                return Ok(Self { negated, ranges });
            }
            let low = Self::character(chars)?;
            let high = if chars.next_if_eq(&'-').is_some() {
                Self::character(chars)?
            } else {
                low
            };
            ranges.push((low, high));
        }
    }

    /// The same without `/`.
    fn within_a_name(mut self) -> Self {
        if self.negated {
            self.ranges.push(('/', '/'));
        } else {
            let split = |(low, high): &(char, char)| [(*low, '.'.min(*high)), ('0'.max(*low), *high)];
            self.ranges = self.ranges.iter().flat_map(split).collect();
        }
        Self {
            ranges: apart(self.ranges),
            ..self
        }
    }

    fn character(chars: &mut Peekable<Chars<'_>>) -> Result<char, BadPattern> {
        match chars.next().ok_or(BadPattern)? {
            '-' | ']' => Err(BadPattern),
            '\\' => chars.next().ok_or(BadPattern),
            c => Ok(c),
        }
    }

    pub(crate) fn contains(&self, c: char) -> bool {
        let before = self.ranges.partition_point(|(_, high)| *high < c);
        let found = self.ranges.get(before).is_some_and(|(low, _)| *low <= c);
        self.negated != found
    }
}

/// The same characters in ranges that are sorted and do not overlap. A range from high to low has no characters.
fn apart(mut ranges: Vec<(char, char)>) -> Vec<(char, char)> {
    ranges.retain(|(low, high)| low <= high);
    ranges.sort_unstable();
    ranges.dedup_by(|next, last| {
        let joined = next.0 <= last.1;
        if joined {
            last.1 = last.1.max(next.1);
        }
        joined
    });
    ranges
}
