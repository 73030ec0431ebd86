//! The patterns of `#`, `%` and `/`: only `*`, `?` and escapes, no brackets.
//!
//! BuildKit makes regular expressions of them, so the wildcards do not match a newline, and among several matches the
//! first that a backtracking search comes to is taken. The search here tries in the same order and remembers where it
//! failed, which bounds it by pattern times value.

use super::ExpandError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    Any,
    Star,
}

#[derive(Debug)]
pub(super) struct Pattern {
    tokens: Vec<Token>,
    /// Whether `*` takes as much as it can.
    greedy: bool,
}

impl Pattern {
    pub(super) fn parse(text: &str, greedy: bool) -> Result<Self, ExpandError> {
        let mut tokens = Vec::with_capacity(text.len());
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => Token::Star,
                '?' => Token::Any,
                '\\' => match chars.next() {
                    Some(escaped @ ('*' | '?' | '\\' | '}' | '/')) => Token::Char(escaped),
                    other => return Err(bad(text, other)),
                },
                other => Token::Char(other),
            });
        }
        Ok(Self { tokens, greedy })
    }

    /// What a search in the value takes at most, in steps and in bits of memory.
    pub(super) fn cost(&self, value: &str) -> usize {
        states(&self.tokens, value.chars().count())
    }

    /// The value without what the pattern matches at its start.
    pub(super) fn trim_prefix(&self, value: &str) -> String {
        let chars: Vec<char> = value.chars().collect();
        let end = Search::new(&self.tokens, &chars, self.greedy).at(0).unwrap_or(0);
        chars.iter().skip(end).collect()
    }

    /// The value without what the pattern matches at its end: BuildKit turns both round, which decides what the
    /// shortest and the longest match are.
    pub(super) fn trim_suffix(&self, value: &str) -> String {
        let tokens: Vec<Token> = self.tokens.iter().rev().copied().collect();
        let chars: Vec<char> = value.chars().rev().collect();
        let end = Search::new(&tokens, &chars, self.greedy).at(0).unwrap_or(0);
        chars.iter().skip(end).rev().collect()
    }

    pub(super) fn replace_first(&self, value: &str, replacement: &str) -> String {
        let chars: Vec<char> = value.chars().collect();
        let Some((start, end)) = Search::new(&self.tokens, &chars, self.greedy).from(0) else {
            return value.to_owned();
        };
        let mut out: String = chars.iter().take(start).collect();
        out.push_str(replacement);
        out.extend(chars.iter().skip(end));
        out
    }

    /// Replaces every match by what `with` makes of it. An empty match right after another match does not count.
    pub(super) fn replace_all(
        &self,
        value: &str,
        limit: usize,
        with: impl Fn(&str) -> String,
    ) -> Result<String, ExpandError> {
        let chars: Vec<char> = value.chars().collect();
        let mut search = Search::new(&self.tokens, &chars, self.greedy);
        let mut out = String::new();
        let (mut copied, mut from, mut last_end) = (0, 0, None);
        while from <= chars.len() {
            let Some((start, end)) = search.from(from) else { break };
            out.extend(&chars[copied..start]);
            copied = start;
            if end > start || last_end != Some(start) {
                out.push_str(&with(&chars[start..end].iter().collect::<String>()));
                copied = end;
            }
            if out.len() > limit {
                return Err(ExpandError::TooLong);
            }
            last_end = Some(end);
            from = if end > start { end } else { end + 1 };
        }
        out.extend(&chars[copied.min(chars.len())..]);
        Ok(out)
    }
}

fn bad(pattern: &str, escaped: Option<char>) -> ExpandError {
    ExpandError::BadPattern {
        pattern: pattern.to_owned(),
        escape: escaped.map(String::from).unwrap_or_default(),
    }
}

/// The places that a search can be at: one before each token and each character, and at both ends.
const fn states(tokens: &[Token], characters: usize) -> usize {
    (tokens.len() + 1).saturating_mul(characters + 1)
}

/// A backtracking search that never tries the same token at the same place twice.
struct Search<'a> {
    tokens: &'a [Token],
    value: &'a [char],
    greedy: bool,
    /// One bit per token and place: that way leads nowhere.
    failed: Vec<u64>,
    stack: Vec<(usize, usize)>,
}

impl<'a> Search<'a> {
    fn new(tokens: &'a [Token], value: &'a [char], greedy: bool) -> Self {
        Self {
            tokens,
            value,
            greedy,
            failed: vec![0; states(tokens, value.len()).div_ceil(64)],
            stack: Vec::new(),
        }
    }

    /// The first match at or after a place: its start and end.
    fn from(&mut self, place: usize) -> Option<(usize, usize)> {
        (place..=self.value.len()).find_map(|start| self.at(start).map(|end| (start, end)))
    }

    /// The end of the match that starts exactly here.
    fn at(&mut self, start: usize) -> Option<usize> {
        self.stack.clear();
        self.stack.push((0, start));
        let mut tried = Vec::new();
        let mut found = None;
        while let Some((token, place)) = self.stack.pop() {
            if self.visit(token, place) {
                continue;
            }
            tried.push((token, place));
            let Some(kind) = self.tokens.get(token) else {
                found = Some(place);
                break;
            };
            let next = self.value.get(place);
            match kind {
                Token::Char(c) if next == Some(c) => self.stack.push((token + 1, place + 1)),
                Token::Any if next.is_some_and(|c| *c != '\n') => self.stack.push((token + 1, place + 1)),
                Token::Char(_) | Token::Any => {}
                Token::Star => self.star(token, place, next.is_some_and(|c| *c != '\n')),
            }
        }
        if found.is_some() {
            // What was tried on the way to a match did not all fail.
            for (token, place) in tried {
                self.forget(token, place);
            }
        }
        found
    }

    /// What is pushed last is tried first.
    fn star(&mut self, token: usize, place: usize, can_take: bool) {
        let (stop, take) = ((token + 1, place), (token, place + 1));
        let (first, second) = if self.greedy {
            (Some(stop), can_take.then_some(take))
        } else {
            (can_take.then_some(take), Some(stop))
        };
        self.stack.extend(first);
        self.stack.extend(second);
    }

    fn bit(&self, token: usize, place: usize) -> (usize, u64) {
        let index = token * (self.value.len() + 1) + place;
        (index / 64, 1 << (index % 64))
    }

    /// Marks a state; whether it was marked before.
    fn visit(&mut self, token: usize, place: usize) -> bool {
        let (word, bit) = self.bit(token, place);
        let before = self.failed[word] & bit != 0;
        self.failed[word] |= bit;
        before
    }

    fn forget(&mut self, token: usize, place: usize) {
        let (word, bit) = self.bit(token, place);
        self.failed[word] &= !bit;
    }
}
