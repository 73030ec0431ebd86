//! The rules: a table, and one file for each family.

mod commands;
mod copying;
mod exposure;
mod from;
mod general;
mod install;
mod kiln;
mod labels;
mod languages;
mod meaning;
mod merge;
mod order;
mod packages;
mod pins;
mod place;
mod scripts;
mod shells;
mod stages;
mod table;
mod upkeep;
mod users;
mod weight;

pub use table::{RULES, find};

use kiln_dockerfile::ast::Span;

use crate::cost::{Cost, Measure};
use crate::finding::{Finding, Fix, Severity};
use crate::shell::{Command, Word};
use crate::view::{Item, RunScript, View};

/// The names that rules look for in contexts.
pub(crate) fn context_names() -> impl Iterator<Item = &'static str> {
    weight::unwanted().chain(install::names())
}

/// A rule.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its code.
    pub code: &'static str,
    /// How bad what it finds is.
    pub severity: Severity,
    /// Whether it is silent unless a configuration gives it a severity.
    pub off: bool,
    check: fn(&View<'_>, &mut Found<'_>),
}

impl Rule {
    pub(crate) fn run(&self, view: &View<'_>) -> Vec<Finding> {
        let mut found = Found {
            code: self.code,
            severity: self.severity,
            view,
            findings: Vec::new(),
        };
        (self.check)(view, &mut found);
        found.findings
    }
}

/// What a rule has found so far.
pub(crate) struct Found<'v> {
    code: &'static str,
    severity: Severity,
    view: &'v View<'v>,
    findings: Vec<Finding>,
}

impl Found<'_> {
    /// Says something about a place of an instruction; the fix may follow.
    pub(crate) fn say(&mut self, item: &Item<'_>, span: Span, message: impl Into<String>) -> &mut Option<Fix> {
        let line = self.view.file.line(item.instruction.span.start);
        self.findings.push(Finding {
            code: self.code,
            also: None,
            severity: self.severity,
            message: message.into(),
            span,
            line,
            fix: None,
            unfixed: None,
            cost: None,
        });
        let last = self.findings.len() - 1;
        &mut self.findings[last].fix
    }

    /// What was said last is about a line of its own.
    pub(crate) fn at_line_of(&mut self, span: Span) {
        let line = self.view.file.line(span.start);
        if let Some(last) = self.findings.last_mut() {
            last.line = line;
        }
    }

    /// What was said last has no fix, or not for all of it, for this reason.
    pub(crate) fn unfixed(&mut self, why: impl Into<String>) {
        if let Some(last) = self.findings.last_mut() {
            last.unfixed = Some(why.into());
        }
    }

    /// What was said last costs what builds measured of these instructions; `what` is what that is, with `{}` for the sum.
    pub(crate) fn costs<'i>(
        &mut self,
        measure: Measure,
        items: impl IntoIterator<Item = &'i Item<'i>>,
        what: &'static str,
    ) {
        let lines = items.into_iter().map(|item| item.instruction.lines.0).collect();
        if let Some(last) = self.findings.last_mut() {
            last.cost = Some(Cost::new(measure, lines, what));
        }
    }

    /// Says something about all of an instruction.
    pub(crate) fn whole(&mut self, item: &Item<'_>, message: impl Into<String>) -> &mut Option<Fix> {
        self.say(item, first_line(self.view, item), message)
    }

    /// Says something about a word of a RUN.
    pub(crate) fn word(
        &mut self,
        (item, script): (&Item<'_>, &RunScript),
        command: &Command,
        word: Option<&Word>,
        message: impl Into<String>,
    ) -> &mut Option<Fix> {
        let range = word.map_or(&command.first, |word| &word.range);
        let span = script
            .span(command, range)
            .unwrap_or_else(|| first_line(self.view, item));
        self.say(item, span, message)
    }
}

/// The keyword and what follows it in its line.
pub(crate) fn first_line(view: &View<'_>, item: &Item<'_>) -> Span {
    let Span { start, end } = item.instruction.span;
    let text = view.file.source.get(start..end).unwrap_or_default();
    let length = text.find(['\n', '\r']).unwrap_or(text.len());
    Span {
        start,
        end: start + length,
    }
}
