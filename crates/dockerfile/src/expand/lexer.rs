//! The expansion itself: one pass over the characters, nested for the words of `${name<modifier>word}`.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;

use super::pattern::Pattern;
use super::{Env, ExpandError, Mode, template};

/// How deep substitutions may nest: the lexer recurses, and Dockerfiles are hostile.
pub(super) const MAX_DEPTH: usize = 200;

/// By how many bytes the result may be longer than the text: each `ENV A=$A$A` doubles.
pub(super) const MAX_GROWTH: usize = 16 << 20;

/// Pattern times value, in characters, summed over all substitutions of a text, above which it is refused.
const MAX_COST: usize = 1 << 27;

/// What came out.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) text: String,
    pub(super) words: Vec<String>,
    pub(super) undefined: Vec<String>,
}

pub(super) fn run(raw: &str, escape: char, env: &dyn Env, mode: Mode) -> Result<Output, ExpandError> {
    let mut lexer = Lexer {
        chars: raw.chars().peekable(),
        escape,
        env,
        mode,
        raw_escapes: mode.raw_escapes,
        depth: 0,
        budget: raw.len().saturating_add(MAX_GROWTH),
        comparisons: MAX_COST,
        undefined: Vec::new(),
        seen: BTreeSet::new(),
    };
    let mut words = Words::default();
    let text = lexer.collect(None, Some(&mut words))?;
    Ok(Output {
        text,
        words: words.finish(),
        undefined: lexer.undefined,
    })
}

struct Lexer<'a> {
    chars: Peekable<Chars<'a>>,
    escape: char,
    env: &'a dyn Env,
    mode: Mode,
    /// As the mode says, but within patterns, where escapes are for the pattern to read.
    raw_escapes: bool,
    depth: usize,
    /// Bytes that substitutions may still make.
    budget: usize,
    /// What of [`MAX_COST`] is left.
    comparisons: usize,
    undefined: Vec<String>,
    seen: BTreeSet<String>,
}

impl<'a> Lexer<'a> {
    /// Expands within a substitution up to `stop`, which is consumed.
    fn until(&mut self, stop: char, raw_escapes: bool) -> Result<String, ExpandError> {
        let outer = std::mem::replace(&mut self.raw_escapes, raw_escapes);
        let result = self.collect(Some(stop), None);
        self.raw_escapes = outer;
        result
    }

    /// Expands up to `stop`, which is consumed, or to the end where there is none. Only the outermost text is parted
    /// into words: at each depth it would be done again.
    fn collect(&mut self, stop: Option<char>, mut words: Option<&mut Words>) -> Result<String, ExpandError> {
        let mut text = String::new();
        while let Some(&next) = self.chars.peek() {
            if Some(next) == stop {
                self.chars.next();
                return Ok(text);
            }
            match next {
                '$' => {
                    let value = self.dollar()?;
                    text.push_str(&value);
                    if let Some(words) = &mut words {
                        value.chars().for_each(|c| words.add(c));
                    }
                }
                '\'' | '"' if !self.mode.skip_quotes => {
                    let value = if next == '"' {
                        self.double_quoted()?
                    } else {
                        self.single_quoted()?
                    };
                    text.push_str(&value);
                    if let Some(words) = &mut words {
                        words.add_quoted(&value);
                    }
                }
                _ => self.plain(&mut text, words.as_deref_mut()),
            }
        }
        match stop {
            None => Ok(text),
            Some('/') => Err(ExpandError::MissingSlash),
            Some(_) => Err(ExpandError::MissingBrace),
        }
    }

    /// One character that is neither `$` nor a quote.
    fn plain(&mut self, text: &mut String, words: Option<&mut Words>) {
        let start = text.len();
        let Some(next) = self.chars.next() else { return };
        if next != self.escape {
            text.push(next);
            if let Some(words) = words {
                words.add(next);
            }
            return;
        }
        if self.raw_escapes {
            text.push(next);
        }
        // A lone escape at the end is dropped.
        text.extend(self.chars.next());
        if let Some(words) = words {
            words.add_quoted(&text[start..]);
        }
    }

    /// `'…'`: everything as it is.
    fn single_quoted(&mut self) -> Result<String, ExpandError> {
        let mut text = String::new();
        self.quote(&mut text);
        loop {
            match self.chars.peek() {
                None => return Err(ExpandError::MissingSingleQuote),
                Some('\'') => {
                    self.quote(&mut text);
                    return Ok(text);
                }
                Some(_) => text.extend(self.chars.next()),
            }
        }
    }

    /// `"…"`: only `"`, `$` and the escape character itself can be escaped.
    fn double_quoted(&mut self) -> Result<String, ExpandError> {
        let mut text = String::new();
        self.quote(&mut text);
        loop {
            match self.chars.peek() {
                None => return Err(ExpandError::MissingDoubleQuote),
                Some('"') => {
                    self.quote(&mut text);
                    return Ok(text);
                }
                Some('$') => text.push_str(&self.dollar()?),
                Some(&next) => {
                    self.chars.next();
                    if next == self.escape {
                        self.escape_in_quotes(&mut text);
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
    fn dollar(&mut self) -> Result<String, ExpandError> {
        self.chars.next();
        if self.chars.peek() != Some(&'{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            let value = self.lookup(&name);
            return match value {
                None if self.mode.keep_unset => Ok(format!("${name}")),
                _ => self.defined(&name, value),
            };
        }
        self.chars.next();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ExpandError::TooDeep);
        }
        let value = self.braced();
        self.depth -= 1;
        value
    }

    /// What is between `${` and `}`, both consumed.
    fn braced(&mut self) -> Result<String, ExpandError> {
        match self.chars.peek() {
            None => return Err(ExpandError::MissingBrace),
            Some('{' | '}' | ':') => return Err(ExpandError::BadSubstitution),
            Some(_) => {}
        }
        let name = self.name();
        if name.is_empty() {
            return Err(ExpandError::BadSubstitution);
        }
        let Some(operator) = self.chars.next() else {
            return Err(ExpandError::MissingBrace);
        };
        match operator {
            '}' => {
                let value = self.lookup(&name);
                match value {
                    None if self.mode.keep_unset => Ok(format!("${{{name}}}")),
                    _ => self.defined(&name, value),
                }
            }
            ':' => {
                let Some(second) = self.chars.next() else {
                    return Err(ExpandError::MissingBrace);
                };
                match second {
                    '-' | '+' | '?' => self.conditional(&name, second, true),
                    _ => Err(ExpandError::UnsupportedModifier(format!(":{second}"))),
                }
            }
            '-' | '+' | '?' => self.conditional(&name, operator, false),
            '#' | '%' => self.trim(&name, operator),
            '/' => self.replace(&name),
            other => Err(ExpandError::UnsupportedModifier(other.to_string())),
        }
    }

    /// `-`, `+`, `?`, where `colon` says that empty counts as unset.
    fn conditional(&mut self, name: &str, operator: char, colon: bool) -> Result<String, ExpandError> {
        let raw_escapes = false;
        let word = self.until('}', raw_escapes)?;
        let value = self.lookup(name);
        let colon_text = if colon { ":" } else { "" };
        let Some(set) = value else {
            if self.mode.keep_unset {
                return Ok(format!("${{{name}{colon_text}{operator}{word}}}"));
            }
            return match operator {
                '-' => Ok(word),
                '+' => Ok(String::new()),
                _ => Err(required(name, word, "is not allowed to be unset")),
            };
        };
        let missing = colon && set.is_empty();
        match operator {
            '-' if missing => Ok(word),
            '+' if missing => Ok(String::new()),
            '+' => Ok(word),
            '?' if missing => Err(required(name, word, "is not allowed to be empty")),
            _ => self.spend(set),
        }
    }

    /// `#`, `##`, `%`, `%%`.
    fn trim(&mut self, name: &str, operator: char) -> Result<String, ExpandError> {
        let word = self.until('}', true)?;
        let value = self.lookup(name);
        if value.is_none() && self.mode.keep_unset {
            return Ok(format!("${{{name}{operator}{word}}}"));
        }
        let value = self.defined(name, value)?;
        let (greedy, text) = match word.strip_prefix(operator) {
            Some(rest) => (true, rest),
            None => (false, word.as_str()),
        };
        let pattern = self.pattern(text, greedy, &value)?;
        Ok(if operator == '#' {
            pattern.trim_prefix(&value)
        } else {
            pattern.trim_suffix(&value)
        })
    }

    /// `/pattern/replacement`, `//pattern/replacement`.
    fn replace(&mut self, name: &str) -> Result<String, ExpandError> {
        let all = self.chars.next_if_eq(&'/').is_some();
        let text = self.until('/', true)?;
        let replacement = self.until('}', true)?;
        let value = self.lookup(name);
        if value.is_none() && self.mode.keep_unset {
            return Ok(format!("${{{name}/{text}/{replacement}}}"));
        }
        let value = self.defined(name, value)?;
        let pattern = self.pattern(&text, true, &value)?;
        let replaced = if all {
            // BuildKit hands this replacement to a regular expression library, where `$` has a meaning.
            let limit = self.budget;
            pattern.replace_all(&value, limit, |found| template::expand(&replacement, found))?
        } else {
            pattern.replace_first(&value, &replacement)
        };
        self.spend(&replaced)
    }

    /// A pattern that may be compared with the value.
    fn pattern(&mut self, text: &str, greedy: bool, value: &str) -> Result<Pattern, ExpandError> {
        let pattern = Pattern::parse(text, greedy)?;
        let left = self.comparisons.checked_sub(pattern.cost(value));
        self.comparisons = left.ok_or(ExpandError::TooCostly)?;
        Ok(pattern)
    }

    /// Letters, digits and `_`; digits alone; or one special parameter.
    fn name(&mut self) -> String {
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

    fn lookup(&self, name: &str) -> Option<&'a str> {
        self.env.get(name)
    }

    /// The value, empty and noted if there is none.
    fn defined(&mut self, name: &str, value: Option<&str>) -> Result<String, ExpandError> {
        let Some(value) = value else {
            if self.seen.insert(name.to_owned()) {
                self.undefined.push(name.to_owned());
            }
            return Ok(String::new());
        };
        self.spend(value)
    }

    fn spend(&mut self, value: &str) -> Result<String, ExpandError> {
        self.budget = self.budget.checked_sub(value.len()).ok_or(ExpandError::TooLong)?;
        Ok(value.to_owned())
    }
}

fn required(name: &str, word: String, default: &str) -> ExpandError {
    let message = if word.is_empty() { default.to_owned() } else { word };
    ExpandError::Required {
        name: name.to_owned(),
        message,
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
    fn add(&mut self, c: char) {
        if c.is_whitespace() {
            self.end();
        } else {
            self.current.push(c);
        }
    }

    fn add_quoted(&mut self, text: &str) {
        self.current.push_str(text);
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
