//! The settings (`# check=…`) that silence warnings, or make them errors.

use std::collections::BTreeSet;

use crate::ast::{Dockerfile, Word};
use crate::boolean;
use crate::checks::rules;
use crate::diagnostic::{Diagnostic, Severity};

/// What `# check=…` says: at the top of the file, or above an instruction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// `skip=all`
    pub skip_all: bool,
    /// `skip=A,B`: names of rules.
    pub skip: BTreeSet<String>,
    /// `error=true`: any warning fails the build.
    pub error: bool,
    /// `experimental=all`
    pub experimental_all: bool,
    /// `experimental=A,B`: names of rules.
    pub experimental: BTreeSet<String>,
}

impl Config {
    /// Reads what is behind `check=`: up to three of `skip`, `error` and `experimental`, parted by `;`. The error is
    /// what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut config = Self::default();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let invalid = || format!("invalid check option {part:?}");
            let (key, value) = part.split_once('=').ok_or_else(invalid)?;
            let names = || {
                value
                    .split(',')
                    .map(|name| name.trim().to_owned())
                    .filter(|name| !name.is_empty())
            };
            match key.trim() {
                "skip" if value.trim() == "all" => config.skip_all = true,
                "skip" => config.skip = names().collect(),
                "experimental" if value.trim() == "all" => config.experimental_all = true,
                "experimental" => config.experimental = names().collect(),
                "error" => config.error = boolean::parse(value.trim()).ok_or_else(invalid)?,
                _ => return Err(invalid()),
            }
        }
        Ok(config)
    }

    /// The settings of a file; those of a directive that cannot be read, which the parser reports, are the defaults.
    pub fn of(file: &Dockerfile) -> Self {
        let directive = file.directives.iter().find(|directive| directive.name == "check");
        directive
            .and_then(|directive| Self::parse(&directive.value.raw).ok())
            .unwrap_or_default()
    }

    /// The settings in the comments above an instruction; they add to those of the file.
    pub fn of_comments(comments: &[Word]) -> Self {
        let mut settings = comments.iter().filter_map(|word| {
            let (key, value) = word.raw.split_once('=')?;
            key.trim()
                .eq_ignore_ascii_case("check")
                .then(|| Self::parse(value).ok())?
        });
        settings.next_back().unwrap_or_default()
    }

    /// Whether a rule is silenced. An experimental one is unless it is asked for, and then `skip` does not count.
    pub fn skips(&self, rule: &str) -> bool {
        if is_experimental(rule) {
            return !self.experimental_all && !self.experimental.contains(rule);
        }
        self.skip_all || self.skip.contains(rule)
    }

    /// Leaves only what is to be shown of what was found in a file: drops warnings that these settings, or the comments
    /// above their instruction, silence.
    pub fn apply(&self, file: &Dockerfile, found: &mut Vec<Diagnostic>) {
        // Most of what is said of an instruction is said in a row.
        let mut above: Option<(&[Word], Self)> = None;
        found.retain(|each| {
            if each.severity == Severity::Error {
                return true;
            }
            let instruction = file.instruction_at(each.span.start);
            let comments = instruction.map_or(&[][..], |instruction| &instruction.comments);
            let above = match &mut above {
                Some((known, settings)) if std::ptr::eq(*known, comments) => settings,
                other => &other.insert((comments, Self::of_comments(comments))).1,
            };
            !self.silence(above, each.code)
        });
    }

    /// Whether a rule is silenced by these settings and others together: one that is asked for by either is not.
    fn silence(&self, others: &Self, rule: &str) -> bool {
        if is_experimental(rule) {
            self.skips(rule) && others.skips(rule)
        } else {
            self.skips(rule) || others.skips(rule)
        }
    }
}

fn is_experimental(rule: &str) -> bool {
    rules::find(rule).is_some_and(|rule| rule.experimental)
}
