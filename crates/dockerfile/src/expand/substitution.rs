//! What is between `${` and `}`.

use super::lexer::Lexer;
use super::pattern::Pattern;
use super::template::Template;
use super::{Effort, ExpandError};

impl Lexer<'_> {
    /// The rest of a substitution, its `}` included.
    pub(super) fn braced(&mut self, text: &mut String) -> Result<(), ExpandError> {
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
            '}' if self.keeps(&name) => text.extend(["${", &name, "}"]),
            '}' => text.push_str(self.value(&name)?),
            ':' => {
                let Some(second) = self.chars.next() else {
                    return Err(ExpandError::MissingBrace);
                };
                match second {
                    '-' => self.conditional(&name, ":-", text)?,
                    '+' => self.conditional(&name, ":+", text)?,
                    '?' => self.conditional(&name, ":?", text)?,
                    _ => return Err(ExpandError::UnsupportedModifier(format!(":{second}"))),
                }
            }
            '-' => self.conditional(&name, "-", text)?,
            '+' => self.conditional(&name, "+", text)?,
            '?' => self.conditional(&name, "?", text)?,
            '#' => self.trim(&name, "#", Pattern::trim_prefix, text)?,
            '%' => self.trim(&name, "%", Pattern::trim_suffix, text)?,
            '/' => self.replace(&name, text)?,
            other => return Err(ExpandError::UnsupportedModifier(other.to_string())),
        }
        Ok(())
    }

    /// `-`, `+`, `?`; with a colon empty counts as unset.
    fn conditional(&mut self, name: &str, operator: &str, text: &mut String) -> Result<(), ExpandError> {
        let raw_escapes = false;
        if self.keeps(name) {
            return self.keep(name, operator, &['}'], raw_escapes, text);
        }
        let start = text.len();
        self.until('}', raw_escapes, text)?;
        let value = self.lookup(name);
        let colon = operator.starts_with(':');
        let missing = value.is_none_or(|set| colon && set.is_empty());
        match (operator.trim_start_matches(':'), missing) {
            ("-", true) | ("+", false) => {}
            ("?", true) => return Err(required(name, text.split_off(start), value.is_some())),
            (operator, _) => {
                text.truncate(start);
                if let Some(value) = value.filter(|_| operator != "+") {
                    self.spend(value)?;
                    text.push_str(value);
                }
            }
        }
        Ok(())
    }

    /// `#`, `##`, `%`, `%%`.
    fn trim(
        &mut self,
        name: &str,
        operator: &str,
        trim: impl Fn(&Pattern, &str, &Effort) -> Result<String, ExpandError>,
        text: &mut String,
    ) -> Result<(), ExpandError> {
        if self.keeps(name) {
            return self.keep(name, operator, &['}'], true, text);
        }
        let mut word = String::new();
        self.until('}', true, &mut word)?;
        let value = self.value(name)?;
        let (greedy, pattern) = match word.strip_prefix(operator) {
            Some(rest) => (true, rest),
            None => (false, word.as_str()),
        };
        let pattern = Pattern::parse(pattern, greedy)?;
        text.push_str(&trim(&pattern, value, self.effort)?);
        Ok(())
    }

    /// `/pattern/replacement`, `//pattern/replacement`.
    fn replace(&mut self, name: &str, text: &mut String) -> Result<(), ExpandError> {
        let all = self.chars.next_if_eq(&'/').is_some();
        if self.keeps(name) {
            return self.keep(name, "/", &['/', '}'], true, text);
        }
        let (mut pattern, mut replacement) = (String::new(), String::new());
        self.until('/', true, &mut pattern)?;
        self.until('}', true, &mut replacement)?;
        let value = self.value(name)?;
        let pattern = Pattern::parse(&pattern, true)?;
        let replaced = if all {
            // BuildKit hands this replacement to a regular expression library, where `$` has a meaning.
            pattern.replace_all(value, &Template::parse(&replacement), self.budget, self.effort)?
        } else {
            pattern.replace_first(value, &replacement, self.effort)?
        };
        self.spend(&replaced)?;
        text.push_str(&replaced);
        Ok(())
    }

    /// Leaves a substitution as it is written, what is within it expanded.
    fn keep(
        &mut self,
        name: &str,
        operator: &str,
        stops: &[char],
        raw_escapes: bool,
        text: &mut String,
    ) -> Result<(), ExpandError> {
        text.extend(["${", name, operator]);
        for stop in stops {
            self.until(*stop, raw_escapes, text)?;
            text.push(*stop);
        }
        Ok(())
    }
}

fn required(name: &str, word: String, set: bool) -> ExpandError {
    let default = if set {
        "is not allowed to be empty"
    } else {
        "is not allowed to be unset"
    };
    let message = if word.is_empty() { default.to_owned() } else { word };
    ExpandError::Required {
        name: name.to_owned(),
        message,
    }
}
