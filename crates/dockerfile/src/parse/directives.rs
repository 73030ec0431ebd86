//! The `# key=value` lines at the top.

use super::lines::Line;
use super::report::{Parsed, Problem, error};
use crate::ast::{Directive, Span, Word};
use crate::{checks, code};

const KNOWN: [&str; 3] = ["syntax", "escape", "check"];

/// Reads directives until the first line that is none.
#[derive(Debug)]
pub(super) struct Directives {
    done: bool,
    /// A first line `#!…` ends the directives but for `syntax`, which other readers look for behind it.
    shebang: bool,
    pub(super) found: Vec<Directive>,
    pub(super) escape: char,
}

impl Directives {
    pub(super) const fn new() -> Self {
        Self {
            done: false,
            shebang: false,
            found: Vec::new(),
            escape: '\\',
        }
    }

    /// Whether the line is a directive; if it is none, no later line is one either.
    pub(super) fn take(&mut self, line: Line<'_>) -> Parsed<bool> {
        if self.done {
            return Ok(false);
        }
        let Some(directive) = read(line).filter(|found| !self.shebang || found.name == "syntax") else {
            self.shebang = !self.shebang && self.found.is_empty() && line.text.starts_with("#!");
            self.done = !self.shebang;
            return Ok(false);
        };
        self.accept(directive).map(|()| true)
    }

    fn accept(&mut self, directive: Directive) -> Parsed<()> {
        let problem = |message: String, span: Span| -> Problem { error(code::BAD_DIRECTIVE, message, span) };
        let name = &directive.name;
        if self.found.iter().any(|other| other.name == *name) {
            return Err(problem(
                format!("only one {name} parser directive can be used"),
                directive.span,
            ));
        }
        let value = directive.value.raw.as_str();
        if name == "escape" {
            match value {
                "\\" => self.escape = '\\',
                "`" => self.escape = '`',
                _ => {
                    let message = format!("invalid escape token '{value}' does not match ` or \\");
                    return Err(problem(message, directive.value.span));
                }
            }
        }
        if name == "check" {
            checks::Config::parse(value).map_err(|message| problem(message, directive.value.span))?;
        }
        self.found.push(directive);
        Ok(())
    }
}

/// `# name = value`, if the name is a directive's.
fn read(line: Line<'_>) -> Option<Directive> {
    let text = line.text.trim_start();
    let body = text.strip_prefix('#')?.trim_start();
    let (key, value) = body.split_once('=')?;
    let name = key.trim_end().to_ascii_lowercase();
    let value_text = value.trim();
    if !KNOWN.contains(&name.as_str()) || value_text.is_empty() {
        return None;
    }
    let start = line.end() - value.trim_start().len();
    Some(Directive {
        name,
        value: Word {
            raw: value_text.to_owned(),
            span: Span {
                start,
                end: start + value_text.len(),
            },
        },
        span: Span {
            start: line.end() - text.len(),
            end: line.end(),
        },
    })
}
