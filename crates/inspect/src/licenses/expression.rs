//! Expressions of licenses (SPDX specification, annex D), and those of Debian's copyright files, which are much alike.

use std::fmt;

use super::names;

/// More words are no expression.
const MOST_WORDS: usize = 200;

/// Parentheses are not deeper.
const DEEPEST: usize = 16;

/// What an expression comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// One license.
    License {
        /// Its name.
        name: String,
        /// What it allows besides.
        exception: Option<String>,
    },
    /// All of them apply.
    And(Vec<Self>),
    /// One of them applies, as whoever uses it likes.
    Or(Vec<Self>),
}

impl Expression {
    /// Whether it can be kept to with licenses that `may` says may be. It is asked with a license's name, and with name and
    /// exception where there is one; one answer of the two is enough.
    pub fn allows(&self, may: &dyn Fn(&str, Option<&str>) -> bool) -> bool {
        match self {
            Self::License { name, exception } => {
                let whole = exception.as_ref().map(|exception| format!("{name} WITH {exception}"));
                may(name, whole.as_deref())
            }
            Self::And(all) => all.iter().all(|one| one.allows(may)),
            Self::Or(all) => all.iter().any(|one| one.allows(may)),
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, word) = match self {
            Self::License { name, exception } => {
                f.write_str(name)?;
                return exception
                    .as_ref()
                    .map_or(Ok(()), |exception| write!(f, " WITH {exception}"));
            }
            Self::And(all) => (all, " AND "),
            Self::Or(all) => (all, " OR "),
        };
        for (number, one) in all.iter().enumerate() {
            if number > 0 {
                f.write_str(word)?;
            }
            match one {
                Self::Or(_) if word == " AND " => write!(f, "({one})")?,
                one => one.fmt(f)?,
            }
        }
        Ok(())
    }
}

/// Reads an expression, with names as SPDX has them where they are known; `None` if it is none.
pub fn parse(text: &str) -> Option<Expression> {
    if names::is_phrase(text.trim()) {
        return Some(license(text.trim(), None));
    }
    let words = words(text)?;
    let mut parser = Parser { words: &words, at: 0 };
    let expression = parser.listed(0)?;
    (parser.at == words.len()).then_some(expression)
}

fn license(name: &str, exception: Option<String>) -> Expression {
    Expression::License {
        name: names::spdx(name),
        exception,
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word<'t> {
    Open,
    Close,
    Comma,
    And,
    Or,
    With,
    Name(&'t str),
}

fn words(text: &str) -> Option<Vec<Word<'_>>> {
    let mut words = Vec::new();
    for chunk in text.split_whitespace() {
        let mut rest = chunk;
        while !rest.is_empty() {
            let end = rest.find(['(', ')', ',']).unwrap_or(rest.len());
            let (word, symbol) = rest.split_at(end);
            words.extend(match word.to_ascii_lowercase().as_str() {
                "" => None,
                "and" => Some(Word::And),
                "or" => Some(Word::Or),
                "with" => Some(Word::With),
                _ if word.bytes().all(is_of_name) => Some(Word::Name(word)),
                _ => return None,
            });
            let mut symbols = symbol.chars();
            words.extend(match symbols.next() {
                Some('(') => Some(Word::Open),
                Some(')') => Some(Word::Close),
                Some(_) => Some(Word::Comma),
                None => None,
            });
            rest = symbols.as_str();
            if words.len() > MOST_WORDS {
                return None;
            }
        }
    }
    Some(words)
}

/// What names of licenses consist of, those of other documents (`DocumentRef-a:LicenseRef-b`) included.
const fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'+' | b':' | b'_' | b'~')
}

struct Parser<'w, 't> {
    words: &'w [Word<'t>],
    at: usize,
}

impl<'t> Parser<'_, 't> {
    fn next_is(&mut self, word: &Word<'_>) -> bool {
        let is = self.words.get(self.at) == Some(word);
        self.at += usize::from(is);
        is
    }

    /// Debian's commas: what they part is less close than anything else. Without another word they join.
    fn listed(&mut self, depth: usize) -> Option<Expression> {
        let mut any: Vec<Vec<Expression>> = vec![vec![self.either(depth)?]];
        while self.next_is(&Word::Comma) {
            let is_or = self.next_is(&Word::Or);
            if !is_or {
                self.next_is(&Word::And);
            }
            let next = self.either(depth)?;
            match any.last_mut() {
                Some(all) if !is_or => all.push(next),
                _ => any.push(vec![next]),
            }
        }
        let any = any.into_iter().map(|all| joined(all, Expression::And)).collect();
        Some(joined(any, Expression::Or))
    }

    fn either(&mut self, depth: usize) -> Option<Expression> {
        let mut any = vec![self.all(depth)?];
        while self.next_is(&Word::Or) {
            any.push(self.all(depth)?);
        }
        Some(joined(any, Expression::Or))
    }

    fn all(&mut self, depth: usize) -> Option<Expression> {
        let mut all = vec![self.one(depth)?];
        while self.next_is(&Word::And) {
            all.push(self.one(depth)?);
        }
        Some(joined(all, Expression::And))
    }

    fn one(&mut self, depth: usize) -> Option<Expression> {
        if self.next_is(&Word::Open) {
            if depth == DEEPEST {
                return None;
            }
            let inside = self.listed(depth + 1)?;
            return self.next_is(&Word::Close).then_some(inside);
        }
        let name = self.name()?;
        let exception = if self.next_is(&Word::With) {
            Some(self.exception()?)
        } else {
            None
        };
        Some(license(name, exception))
    }

    fn name(&mut self) -> Option<&'t str> {
        match self.words.get(self.at) {
            Some(Word::Name(name)) => {
                self.at += 1;
                Some(name)
            }
            _ => None,
        }
    }

    /// SPDX's are one word, Debian's end with `exception`.
    fn exception(&mut self) -> Option<String> {
        let mut parts = vec![self.name()?];
        while let Some(part) = self.name() {
            parts.push(part);
        }
        Some(parts.join("-"))
    }
}

fn joined(mut all: Vec<Expression>, join: fn(Vec<Expression>) -> Expression) -> Expression {
    match (all.len(), all.pop()) {
        (1, Some(one)) => one,
        (_, last) => {
            all.extend(last);
            join(all)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of SPDX's annex D and of Debian's copyright format 1.0.
    #[test]
    fn expressions() {
        for (text, expected) in [
            ("MIT", "MIT"),
            ("LGPL-2.1-only OR MIT", "LGPL-2.1-only OR MIT"),
            (
                "LGPL-2.1-only OR BSD-3-Clause AND MIT",
                "LGPL-2.1-only OR BSD-3-Clause AND MIT",
            ),
            (
                "MIT AND (LGPL-2.1-or-later OR BSD-3-Clause)",
                "MIT AND (LGPL-2.1-or-later OR BSD-3-Clause)",
            ),
            (
                "GPL-2.0-or-later WITH Bison-exception-2.2",
                "GPL-2.0-or-later WITH Bison-exception-2.2",
            ),
            ("(MIT)", "MIT"),
            ("DocumentRef-a:LicenseRef-b", "DocumentRef-a:LicenseRef-b"),
            ("GPL-1+ or Artistic", "GPL-1.0-or-later OR Artistic-1.0"),
            (
                "GPL-2+ or Artistic-2.0, and BSD",
                "(GPL-2.0-or-later OR Artistic-2.0) AND BSD",
            ),
            (
                "GPL-2+ and BSD-3-clause, or MIT",
                "GPL-2.0-or-later AND BSD-3-Clause OR MIT",
            ),
            (
                "GPL-2+ with OpenSSL exception",
                "GPL-2.0-or-later WITH OpenSSL-exception",
            ),
            ("Apache License, Version 2.0", "Apache-2.0"),
        ] {
            assert_eq!(
                parse(text).map(|found| found.to_string()).as_deref(),
                Some(expected),
                "{text}"
            );
        }
        let deep = "(".repeat(1000);
        let long = "MIT AND ".repeat(1000) + "MIT";
        for text in [
            "", "MIT OR", "OR MIT", "(MIT", "MIT)", "MIT BSD", "a/b", "GPL WITH", "Ä", &deep, &long,
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_may_be() {
        let may = |allowed: &'static [&'static str]| {
            move |name: &str, whole: Option<&str>| {
                allowed.contains(&name) || whole.is_some_and(|whole| allowed.contains(&whole))
            }
        };
        for (text, allowed, expected) in [
            ("MIT OR GPL-3.0-only", &["MIT"][..], true),
            ("MIT AND GPL-3.0-only", &["MIT"], false),
            ("MIT AND (GPL-3.0-only OR BSD-2-Clause)", &["MIT", "BSD-2-Clause"], true),
            (
                "GPL-2.0-only WITH Classpath-exception-2.0",
                &["GPL-2.0-only WITH Classpath-exception-2.0"],
                true,
            ),
            ("GPL-2.0-only WITH Classpath-exception-2.0", &["GPL-2.0-only"], true),
            ("GPL-2.0-only", &["GPL-2.0-only WITH Classpath-exception-2.0"], false),
        ] {
            assert_eq!(parse(text).unwrap().allows(&may(allowed)), expected, "{text}");
        }
    }
}
