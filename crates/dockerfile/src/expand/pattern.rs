//! The patterns of `#`, `%` and `/`: only `*`, `?` and escapes, no brackets.
//!
//! BuildKit makes regular expressions of them, so the wildcards do not match a newline, and among several matches the
//! first that a backtracking search comes to is taken. That is the shortest or the longest one, and no search need go
//! back for it: of what stands between two stars the first place will do, for whatever can follow a later place on the
//! line can follow an earlier one; only behind the last star the last place makes a longer match.

use std::ops::Range;

use super::template::Template;
use super::{Effort, ExpandError};

#[derive(Debug)]
pub(super) struct Pattern {
    /// What stands before, between and behind the stars.
    parts: Vec<Part>,
    /// Whether `*` takes as much as it can.
    greedy: bool,
}

/// What has no star.
#[derive(Debug)]
enum Part {
    /// Text of one line.
    Plain(String),
    /// Text with `?` or line ends. The only thing here that is searched for by trying at every place.
    Wild(Vec<Token>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    Any,
}

/// As many comparisons as take the time of finding a place.
const FINDING: usize = 16;

impl Pattern {
    pub(super) fn parse(text: &str, greedy: bool) -> Result<Self, ExpandError> {
        let mut parts = Vec::new();
        let mut tokens = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => {
                    parts.push(Part::new(std::mem::take(&mut tokens)));
                    continue;
                }
                '?' => Token::Any,
                '\\' => match chars.next() {
                    Some(escaped @ ('*' | '?' | '\\' | '}' | '/')) => Token::Char(escaped),
                    other => return Err(bad(text, other)),
                },
                other => Token::Char(other),
            });
        }
        parts.push(Part::new(tokens));
        Ok(Self { parts, greedy })
    }

    /// The value without what the pattern matches at its start.
    pub(super) fn trim_prefix(&self, value: &str, effort: &Effort) -> Result<String, ExpandError> {
        Ok(value[self.prefix(value, effort)?..].to_owned())
    }

    /// The value without what the pattern matches at its end: BuildKit turns both round, which decides what the
    /// shortest and the longest match are.
    pub(super) fn trim_suffix(&self, value: &str, effort: &Effort) -> Result<String, ExpandError> {
        let reversed = Self {
            parts: self.parts.iter().rev().map(Part::reversed).collect(),
            greedy: self.greedy,
        };
        let suffix = reversed.prefix(&value.chars().rev().collect::<String>(), effort)?;
        Ok(value[..value.len() - suffix].to_owned())
    }

    /// The bytes that the pattern matches at the start of the value.
    fn prefix(&self, value: &str, effort: &Effort) -> Result<usize, ExpandError> {
        let end = match self.parts[0].at(value, 0, effort)? {
            Some(first) => self.rest(value, first, effort)?,
            None => None,
        };
        Ok(end.unwrap_or(0))
    }

    pub(super) fn replace_first(&self, value: &str, replacement: &str, effort: &Effort) -> Result<String, ExpandError> {
        let found = self.find(value, 0, effort)?;
        Ok(found.map_or_else(
            || value.to_owned(),
            |found| [&value[..found.start], replacement, &value[found.end..]].concat(),
        ))
    }

    /// Replaces every match. An empty match right after another match does not count.
    pub(super) fn replace_all(
        &self,
        value: &str,
        replacement: &Template,
        limit: usize,
        effort: &Effort,
    ) -> Result<String, ExpandError> {
        let mut out = String::new();
        let (mut copied, mut from, mut last_end) = (0, Some(0), None);
        while let Some(at) = from {
            let Some(found) = self.find(value, at, effort)? else {
                break;
            };
            if !found.is_empty() || last_end != Some(found.start) {
                out.push_str(&value[copied..found.start]);
                effort.take(replacement.pieces())?;
                if out.len().saturating_add(replacement.length(found.len())) > limit {
                    return Err(ExpandError::TooLong);
                }
                replacement.expand(&value[found.clone()], &mut out);
                copied = found.end;
            }
            last_end = Some(found.end);
            from = if found.is_empty() {
                next(value, found.end)
            } else {
                Some(found.end)
            };
        }
        out.push_str(&value[copied..]);
        Ok(out)
    }

    /// The first match that begins at a place or behind it.
    fn find(&self, value: &str, mut from: usize, effort: &Effort) -> Result<Option<Range<usize>>, ExpandError> {
        let first = &self.parts[0];
        while let Some(found) = first.first(value, from..value.len(), effort)? {
            effort.take(FINDING)?;
            if let Some(end) = self.rest(value, found.end, effort)? {
                return Ok(Some(found.start..end));
            }
            // What does not follow here does not follow further back on the line.
            let Some(beyond) = next(value, line_end(value, found.end, effort)?) else {
                break;
            };
            let earliest = back(value, beyond, first.characters());
            let Some(after) = next(value, found.start) else { break };
            from = earliest.max(after);
        }
        Ok(None)
    }

    /// The end of the match whose first part ends at a place.
    fn rest(&self, value: &str, mut place: usize, effort: &Effort) -> Result<Option<usize>, ExpandError> {
        let Some((last, between)) = self.parts[1..].split_last() else {
            return Ok(Some(place));
        };
        let mut line = line_end(value, place, effort)?;
        for part in between {
            let Some(found) = part.first(value, place..line, effort)? else {
                return Ok(None);
            };
            place = found.end;
            if place > line {
                line = line_end(value, place, effort)?;
            }
        }
        let found = if self.greedy {
            last.last(value, place..line, effort)?
        } else {
            last.first(value, place..line, effort)?
        };
        Ok(found.map(|found| found.end))
    }
}

impl Part {
    fn new(tokens: Vec<Token>) -> Self {
        let plain = |token: &Token| match token {
            Token::Char(c) if *c != '\n' => Some(*c),
            _ => None,
        };
        let text: Option<String> = tokens.iter().map(plain).collect();
        text.map_or(Self::Wild(tokens), Self::Plain)
    }

    fn reversed(&self) -> Self {
        match self {
            Self::Plain(text) => Self::Plain(text.chars().rev().collect()),
            Self::Wild(tokens) => Self::Wild(tokens.iter().rev().copied().collect()),
        }
    }

    fn characters(&self) -> usize {
        match self {
            Self::Plain(text) => text.chars().count(),
            Self::Wild(tokens) => tokens.len(),
        }
    }

    /// The end of it at a place, if it is there.
    fn at(&self, value: &str, place: usize, effort: &Effort) -> Result<Option<usize>, ExpandError> {
        let tokens = match self {
            Self::Plain(text) => {
                effort.take(text.len())?;
                return Ok(value[place..].starts_with(text).then(|| place + text.len()));
            }
            Self::Wild(tokens) => tokens,
        };
        let mut rest = value[place..].chars();
        for (compared, token) in tokens.iter().enumerate() {
            let fits = match (token, rest.next()) {
                (Token::Char(wanted), Some(c)) => c == *wanted,
                (Token::Any, Some(c)) => c != '\n',
                (_, None) => false,
            };
            if !fits {
                effort.take(compared + 1)?;
                return Ok(None);
            }
        }
        effort.take(tokens.len())?;
        Ok(Some(value.len() - rest.as_str().len()))
    }

    /// The first of the places in a line, its end included, where it begins, and how far it reaches from there.
    fn first(&self, value: &str, line: Range<usize>, effort: &Effort) -> Result<Option<Range<usize>>, ExpandError> {
        if let Self::Plain(text) = self {
            let found = value[line.clone()].find(text).map(|at| line.start + at);
            effort.take(text.len() + found.unwrap_or(line.end) - line.start)?;
            return Ok(found.map(|start| start..start + text.len()));
        }
        self.among(value, places(value, line), effort)
    }

    /// The same for the last of the places.
    fn last(&self, value: &str, line: Range<usize>, effort: &Effort) -> Result<Option<Range<usize>>, ExpandError> {
        if let Self::Plain(text) = self {
            let found = value[line.clone()].rfind(text).map(|at| line.start + at);
            effort.take(text.len() + line.end - found.unwrap_or(line.start))?;
            return Ok(found.map(|start| start..start + text.len()));
        }
        self.among(value, places(value, line).rev(), effort)
    }

    fn among(
        &self,
        value: &str,
        places: impl Iterator<Item = usize>,
        effort: &Effort,
    ) -> Result<Option<Range<usize>>, ExpandError> {
        for start in places {
            if let Some(end) = self.at(value, start, effort)? {
                return Ok(Some(start..end));
            }
        }
        Ok(None)
    }
}

fn bad(pattern: &str, escaped: Option<char>) -> ExpandError {
    ExpandError::BadPattern {
        pattern: pattern.to_owned(),
        escape: escaped.map(String::from).unwrap_or_default(),
    }
}

/// The places before the characters of a range, and its end.
fn places(value: &str, range: Range<usize>) -> impl DoubleEndedIterator<Item = usize> {
    let (start, end) = (range.start, range.end);
    let characters = value[range].char_indices().map(move |(at, _)| start + at);
    characters.chain(std::iter::once(end))
}

/// The place behind the character at a place; `None` at the end.
fn next(value: &str, place: usize) -> Option<usize> {
    value[place..].chars().next().map(|c| place + c.len_utf8())
}

/// The place so many characters before another.
fn back(value: &str, place: usize, characters: usize) -> usize {
    let Some(skipped) = characters.checked_sub(1) else {
        return place;
    };
    value[..place].char_indices().rev().nth(skipped).map_or(0, |(at, _)| at)
}

/// The end of the line that a place is in.
fn line_end(value: &str, place: usize, effort: &Effort) -> Result<usize, ExpandError> {
    let end = value[place..].find('\n').map_or(value.len(), |at| place + at);
    effort.take(end - place)?;
    Ok(end)
}
