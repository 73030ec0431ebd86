//! One pattern against a path and all its parents in a single pass.
//!
//! moby makes a regular expression of each pattern, with special cases before that; what it comes to is written here
//! as a list of tokens and run as a state machine.

use crate::automaton::{Automaton, Run, Token};
use crate::glob::Class;

/// Characters at the end of a pattern that are compared before all of it is.
const SUFFIX: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Matcher {
    automaton: Automaton,
    /// The plain text at the start.
    prefix: String,
    /// The plain text at the end, or the last of it.
    suffix: String,
}

impl Matcher {
    /// Compiles a cleaned pattern whose syntax was checked.
    pub(super) fn new(pattern: &str) -> Self {
        let tokens = compile(pattern);
        let prefix = tokens.iter().map_while(plain).collect();
        let reversed: Vec<char> = tokens.iter().rev().map_while(plain).take(SUFFIX).collect();
        let suffix = reversed.into_iter().rev().collect();
        Self {
            automaton: Automaton::new(&tokens),
            prefix,
            suffix,
        }
    }

    /// Whether the pattern fits the path or one of its parents. `ends` says where the names in the path end, that of
    /// the path itself included. Most paths fail by the plain text at the start or the end of the pattern.
    pub(super) fn fits(&self, path: &str, ends: &[usize]) -> bool {
        path.as_bytes().starts_with(self.prefix.as_bytes())
            && self.suffix_fits(path.as_bytes(), ends)
            && self.automaton.run(|run| fits_start(run, path) || run.accepts())
    }

    fn suffix_fits(&self, path: &[u8], ends: &[usize]) -> bool {
        let Some((last, before)) = self.suffix.as_bytes().split_last() else {
            return true;
        };
        let mut names = ends.iter().filter_map(|end| path[..*end].split_last());
        names.any(|(byte, rest)| byte == last && rest.ends_with(before))
    }

    /// Whether the pattern fits the directory, or may fit something below it.
    pub(super) fn may_match_below(&self, directory: &str) -> bool {
        if directory.is_empty() {
            return true;
        }
        self.automaton
            .run(|run| fits_start(run, directory) || run.accepts() || run.take('/'))
    }
}

/// Takes a path; whether the pattern fits a directory on the way.
fn fits_start(run: &mut Run<'_>, path: &str) -> bool {
    // All tokens are used up where a parent directory ends.
    path.chars().any(|c| (c == '/' && run.accepts()) || !run.take(c)) && run.accepts()
}

/// What of a token can only be one character.
const fn plain(token: &Token) -> Option<char> {
    if let Token::Char(c) = token { Some(*c) } else { None }
}

/// moby's translation, with its special cases.
fn compile(pattern: &str) -> Vec<Token> {
    if let Some(suffix) = plain_suffix(pattern) {
        // `**x` fits whatever ends in `x`, but `**/x` only whole names.
        let start = if suffix.starts_with('/') {
            Token::Directories
        } else {
            Token::Rest
        };
        let rest = suffix.strip_prefix('/').unwrap_or(suffix);
        return std::iter::once(start).chain(rest.chars().map(Token::Char)).collect();
    }
    let mut tokens = Vec::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' if chars.next_if_eq(&'*').is_some() => {
                chars.next_if_eq(&'/');
                if chars.peek().is_none() {
                    Token::Rest
                } else {
                    Token::Directories
                }
            }
            '*' => Token::Star,
            '?' => Token::Any,
            '\\' => chars.next().map_or(Token::Char('\\'), Token::Char),
            '[' => {
                // The syntax was checked: the class can be read.
                let mut class = chars.clone();
                match Class::read(&mut class) {
                    Ok(read) => {
                        chars = class;
                        Token::Class(read)
                    }
                    Err(_) => Token::Char('['),
                }
            }
            other => Token::Char(other),
        });
    }
    tokens
}

/// What follows a leading `**` if it is plain text.
fn plain_suffix(pattern: &str) -> Option<&str> {
    let suffix = pattern.strip_prefix("**")?;
    (!suffix.contains(['*', '?', '\\', '[', ']'])).then_some(suffix)
}
