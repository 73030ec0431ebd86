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

/// What those bytes are that a rule is about.
const ANNOUNCED: &str = "that is {} of its layer";

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

/// A word without the quotes around it.
fn unquoted(text: &str) -> &str {
    text.trim_matches(['"', '\''])
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// What files may have many of: lines that rules look at, each in another way.
    const MANY: &[&str] = &[
        "RUN yum install -y a-${B}\n",
        "RUN dnf install -y a\n",
        "ARG B\nRUN yum install -y a-${B}\n",
        "RUN apt-get update && apt-get install -y a && rm -rf /var/lib/apt/lists/*\n",
        "RUN rm -rf /tmp/a\n",
        "RUN cd a && b | c\n",
        "RUN curl -u $A:${B} https://b | sh\n",
        "RUN echo $A\nENV A=$B\n",
        "RUN export A=1\n",
        "RUN go build\n",
        "RUN npm ci\n",
        "RUN --mount=type=bind,from=a,target=/a pip install -r a\n",
        "COPY . .\nRUN npm ci\n",
        "COPY a /a/b\nRUN chmod -R 1 /a\nRUN rm -r /a\n",
        "COPY a.tar /a/\nRUN tar -xf a.tar\n",
        "COPY --from=a a b\n",
        "ARG A\nUSER $A\n",
        "USER root\nRUN sudo useradd a\n",
        "ENV PATH=/a\nLABEL a=b\nWORKDIR a\nEXPOSE 1\nCMD a\nSHELL [\"a\"]\nHEALTHCHECK CMD a\n",
        "ADD https://a/b c\n",
        "ONBUILD RUN apt-get install a\n",
        "FROM a\nRUN apt-get install a b\n",
        "FROM a AS b\nRUN go build\nUSER a\nENV PATH=/a\n",
        "FROM scratch AS b\nCOPY --from=a a b\nCMD a\n",
        "FROM golang AS a\nRUN go build\nFROM alpine AS b\nCOPY --from=a a b\n",
    ];

    /// A stage on each stage.
    fn tower(height: usize) -> String {
        let floor = |number: usize| {
            format!(
                "FROM f{number} AS f{}\nRUN go build && yum install a-${{B}}\nENV PATH=/a\nCOPY --from=f{number} a b\n",
                number + 1
            )
        };
        (0..height).map(floor).collect()
    }

    /// How many instructions and stages each rule goes through.
    fn work(text: &str) -> Vec<usize> {
        let file = kiln_dockerfile::parse(text).0;
        let config = Config::default();
        let view = View::new(&file, &config);
        let run = |rule: &Rule| {
            view.work.set(0);
            rule.run(&view);
            view.work.get()
        };
        RULES.iter().map(run).collect()
    }

    #[test]
    fn four_times_the_file_is_four_times_the_work() {
        let shapes = MANY.iter().map(|lines| {
            let text = |count: usize| format!("FROM node:20\n{}", lines.repeat(count));
            [text(100), text(400)]
        });
        for [small, large] in shapes.chain([[tower(100), tower(400)]]) {
            for ((rule, once), four) in RULES.iter().zip(work(&small)).zip(work(&large)) {
                assert!(
                    four <= 5 * once + 100,
                    "{}: {once}, then {four}: {small:.80}",
                    rule.code
                );
            }
        }
    }
}
