//! The `# key=value` lines at the top.

use super::lines::Line;
use super::report::{Parsed, Problem, error, helped};
use super::scan::Common;
use crate::ast::{Directive, Span, Word};
use crate::extensions::{self, Extensions};
use crate::{checks, code};

const KNOWN: [&str; 4] = ["syntax", "escape", "check", extensions::DIRECTIVE];

/// Reads directives until the first line that is none.
#[derive(Debug)]
pub(super) struct Directives {
    done: bool,
    /// A first line `#!…` ends the directives but for `syntax`, which other readers look for behind it.
    shebang: bool,
    pub(super) found: Vec<Directive>,
    pub(super) escape: char,
    pub(super) extensions: Extensions,
    /// Whether the text is included by another, of which it has the last two.
    included: bool,
}

impl Directives {
    pub(super) fn new() -> Self {
        Self {
            done: false,
            shebang: false,
            found: Vec::new(),
            escape: '\\',
            extensions: Extensions::default(),
            included: false,
        }
    }

    /// Those of a file that another includes.
    pub(super) fn included(common: Common) -> Self {
        Self {
            escape: common.escape,
            extensions: common.extensions,
            included: true,
            ..Self::new()
        }
    }

    pub(super) const fn is_included(&self) -> bool {
        self.included
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
        if self.found.iter().any(|other| other.name == extensions::DIRECTIVE) {
            let message =
                format!("the {name} parser directive stands behind kiln's, where other builders do not see it");
            let help = "put `# kiln=` behind all other directives";
            return Err(helped(problem(message, directive.span), help));
        }
        let value = directive.value.raw.as_str();
        if name == "escape" {
            let escape = match value {
                "\\" => '\\',
                "`" => '`',
                _ => {
                    let message = format!("invalid escape token '{value}' does not match ` or \\");
                    return Err(problem(message, directive.value.span));
                }
            };
            if self.included && escape != self.escape {
                let message = format!(
                    "the escape character is {} in the file that includes this one",
                    self.escape
                );
                return Err(problem(message, directive.value.span));
            }
            self.escape = escape;
        }
        if name == "check" {
            checks::Config::parse(value).map_err(|message| problem(message, directive.value.span))?;
        }
        if name == extensions::DIRECTIVE {
            let asked = Extensions::parse(value).map_err(|message| problem(message, directive.value.span))?;
            if !self.included {
                self.extensions = asked;
            }
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
