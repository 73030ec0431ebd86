//! The expansion itself: one pass over the characters, nested for the words of `${name<modifier>word}`.
//!
//! Everything is put behind one growing text, at whatever depth it stands, so that no level copies what is within it.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;

use super::{Effort, Env, ExpandError, Mode};

/// How deep substitutions may nest: the lexer recurses, and Dockerfiles are hostile.
pub(super) const MAX_DEPTH: usize = 200;

/// By how many bytes the result may be longer than the text: each `ENV A=$A$A` doubles.
pub(super) const MAX_GROWTH: usize = 16 << 20;

/// How many bytes are copied in about the time of comparing one.
const COPIED: usize = 4;

/// What came out.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) text: String,
    pub(super) words: Vec<String>,
    pub(super) undefined: Vec<String>,
}

/// Expands a text. Words are only made where they are `wanted`.
pub(super) fn run(
    raw: &str,
    escape: char,
    env: &dyn Env,
    mode: Mode,
    effort: &Effort,
    wanted: bool,
) -> Result<Output, ExpandError> {
    let mut lexer = Lexer {
        chars: raw.chars().peekable(),
        escape,
        env,
        mode,
        raw_escapes: mode.raw_escapes,
        depth: 0,
        budget: raw.len().saturating_add(MAX_GROWTH),
        effort,
        undefined: Vec::new(),
        seen: BTreeSet::new(),
    };
    let mut words = Words::default();
    let mut text = String::new();
    lexer.collect(None, &mut text, wanted.then_some(&mut words))?;
    Ok(Output {
        text,
        words: words.finish(),
        undefined: lexer.undefined,
    })
}

pub(super) struct Lexer<'a> {
    pub(super) chars: Peekable<Chars<'a>>,
    escape: char,
    env: &'a dyn Env,
    pub(super) mode: Mode,
    /// As the mode says, but within patterns, where escapes are for the pattern to read.
    raw_escapes: bool,
    depth: usize,
    /// Bytes that substitutions may still make.
    pub(super) budget: usize,
    pub(super) effort: &'a Effort,
    undefined: Vec<String>,
    seen: BTreeSet<String>,
}

impl<'a> Lexer<'a> {
    /// Expands within a substitution up to `stop`, which is consumed.
    pub(super) fn until(&mut self, stop: char, raw_escapes: bool, text: &mut String) -> Result<(), ExpandError> {
        let outer = std::mem::replace(&mut self.raw_escapes, raw_escapes);
        let result = self.collect(Some(stop), text, None);
        self.raw_escapes = outer;
        result
    }

    /// Expands up to `stop`, which is consumed, or to the end where there is none. Only the outermost text is parted
    /// into words.
    fn collect(
        &mut self,
        stop: Option<char>,
        text: &mut String,
        mut words: Option<&mut Words>,
    ) -> Result<(), ExpandError> {
        while let Some(&next) = self.chars.peek() {
            if Some(next) == stop {
                self.chars.next();
                return Ok(());
            }
            let start = text.len();
            let quoted = match next {
                '$' => {
                    self.dollar(text)?;
                    false
                }
                '"' if !self.mode.skip_quotes => {
                    self.double_quoted(text)?;
                    true
                }
                '\'' if !self.mode.skip_quotes => {
                    self.single_quoted(text)?;
                    true
                }
                _ => self.plain(text),
            };
            if let Some(words) = &mut words {
                words.add(&text[start..], quoted);
            }
        }
        match stop {
            None => Ok(()),
            Some('/') => Err(ExpandError::MissingSlash),
            Some(_) => Err(ExpandError::MissingBrace),
        }
    }

    /// One character that is neither `$` nor a quote; whether it was escaped.
    fn plain(&mut self, text: &mut String) -> bool {
        let Some(next) = self.chars.next() else { return false };
        if next != self.escape {
            text.push(next);
            return false;
        }
        if self.raw_escapes {
            text.push(next);
        }
        // A lone escape at the end is dropped.
        text.extend(self.chars.next());
        true
    }

    /// `'…'`: everything as it is.
    fn single_quoted(&mut self, text: &mut String) -> Result<(), ExpandError> {
        self.quote(text);
        loop {
            match self.chars.peek() {
                None => return Err(ExpandError::MissingSingleQuote),
                Some('\'') => {
                    self.quote(text);
                    return Ok(());
                }
                Some(_) => text.extend(self.chars.next()),
            }
        }
    }

    /// `"…"`: only `"`, `$` and the escape character itself can be escaped.
    fn double_quoted(&mut self, text: &mut String) -> Result<(), ExpandError> {
        self.quote(text);
        loop {
            match self.chars.peek() {
                None => return Err(ExpandError::MissingDoubleQuote),
                Some('"') => {
                    self.quote(text);
                    return Ok(());
                }
                Some('$') => self.dollar(text)?,
                Some(&next) => {
                    self.chars.next();
                    if next == self.escape {
                        self.escape_in_quotes(text);
                    } else {
                        text.push(next);
                    }
                }
            }
        }
    }

    fn escape_in_quotes(&mut self, text: &mut String) {
        if self.raw_escapes {
            text.push(self.escape);
        }
        match self.chars.peek() {
            None => {}
            Some(&next) if next == '"' || next == '$' || next == self.escape => {
                self.chars.next();
                text.push(next);
            }
            Some(_) => text.push(self.escape),
        }
    }

    fn quote(&mut self, text: &mut String) {
        let quote = self.chars.next();
        if self.mode.raw_quotes {
            text.extend(quote);
        }
    }

    /// `$name` or `${…}`.
    fn dollar(&mut self, text: &mut String) -> Result<(), ExpandError> {
        self.chars.next();
        if self.chars.peek() != Some(&'{') {
            let name = self.name();
            if name.is_empty() {
                text.push('$');
            } else if self.keeps(&name) {
                text.extend(["$", &name]);
            } else {
                text.push_str(self.value(&name)?);
            }
            return Ok(());
        }
        self.chars.next();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ExpandError::TooDeep);
        }
        let done = self.braced(text);
        self.depth -= 1;
        done
    }

    /// Letters, digits and `_`; digits alone; or one special parameter.
    pub(super) fn name(&mut self) -> String {
        let mut name = String::new();
        match self.chars.peek() {
            Some(first) if is_digit(*first) => {
                while let Some(digit) = self.chars.next_if(|c| is_digit(*c)) {
                    name.push(digit);
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => name.extend(self.chars.next()),
            _ => {
                while let Some(c) = self.chars.next_if(|c| c.is_alphabetic() || is_digit(*c) || *c == '_') {
                    name.push(c);
                }
            }
        }
        name
    }

    pub(super) fn lookup(&self, name: &str) -> Option<&'a str> {
        self.env.get(name)
    }

    /// Whether a substitution of that name stays as written.
    pub(super) fn keeps(&self, name: &str) -> bool {
        self.mode.keep_unset && self.lookup(name).is_none()
    }

    /// The value, empty and noted if there is none.
    pub(super) fn value(&mut self, name: &str) -> Result<&'a str, ExpandError> {
        let Some(value) = self.lookup(name) else {
            if self.seen.insert(name.to_owned()) {
                self.undefined.push(name.to_owned());
            }
            return Ok("");
        };
        self.spend(value)?;
        Ok(value)
    }

    /// Counts what is put into the text.
    pub(super) fn spend(&mut self, value: &str) -> Result<(), ExpandError> {
        self.budget = self.budget.checked_sub(value.len()).ok_or(ExpandError::TooLong)?;
        self.effort.take(value.len() / COPIED)
    }
}

/// Unicode's decimal digits of the scripts that BuildKit's `unicode.IsDigit` accepts; other numbers are no digits.
fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || (!c.is_ascii() && c.is_numeric() && !c.is_alphabetic())
}

/// The words of the result: unquoted blanks part them.
#[derive(Default)]
struct Words {
    current: String,
    done: Vec<String>,
}

impl Words {
    fn add(&mut self, text: &str, quoted: bool) {
        if quoted {
            self.current.push_str(text);
            return;
        }
        for c in text.chars() {
            if c.is_whitespace() {
                self.end();
            } else {
                self.current.push(c);
            }
        }
    }

    fn end(&mut self) {
        if !self.current.is_empty() {
            self.done.push(std::mem::take(&mut self.current));
        }
    }

    fn finish(mut self) -> Vec<String> {
        self.end();
        self.done
    }
}
