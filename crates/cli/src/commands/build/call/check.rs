//! `--call=check`: the warnings, and the errors if there are any.

use std::fmt::Write as _;

use kiln_dockerfile::diagnostic::{Diagnostic, Severity};
use kiln_dockerfile::source::{File, Source};
use kiln_dockerfile::{Dockerfile, checks};
use serde_json::{Map, Value, json};

use super::json;
use crate::failure::{FAILED, Failure, Report};
use crate::report::{Reporter, sentence};

/// How many warnings are shown to people.
const SHOWN: usize = 1000;

/// What was found.
pub(super) struct Result<'a> {
    warnings: Vec<Diagnostic>,
    errors: Vec<Diagnostic>,
    /// Why the check ended early.
    failure: Option<Failure>,
    source: &'a Source,
    dockerfile: Dockerfile,
}

/// What a rule of the linter asks for.
fn summary(code: &str) -> &'static str {
    kiln_lint::page(code).map_or("", |page| page.summary)
}

impl<'a> Result<'a> {
    pub(super) fn new(found: Vec<Diagnostic>, failure: Option<Failure>, source: &'a Source) -> Self {
        let (errors, warnings) = found.into_iter().partition(|each| each.severity == Severity::Error);
        Self {
            warnings,
            errors,
            failure,
            source,
            dockerfile: kiln_dockerfile::parse(source.text()).0,
        }
    }

    pub(super) const fn has_warnings(&self) -> bool {
        !self.warnings.is_empty()
    }

    /// What is printed; for people without the errors, which are on standard error.
    pub(super) fn show(&self, as_json: bool) -> String {
        if as_json {
            return json::pretty(&self.value());
        }
        let mut text = match self.warnings.len() {
            0 if self.errors.is_empty() && self.failure.is_none() => "Check complete, no warnings found.\n".to_owned(),
            0 => String::new(),
            1 => "Check complete, 1 warning has been found!\n".to_owned(),
            count => format!("Check complete, {count} warnings have been found!\n"),
        };
        for warning in self.warnings.iter().take(SHOWN) {
            self.warning(warning, &mut text);
        }
        if let Some(more) = self.warnings.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            let _ = writeln!(
                text,
                "\n{more} more warnings are not shown: --call=check,format=json has them all"
            );
        }
        text
    }

    fn warning(&self, warning: &Diagnostic, text: &mut String) {
        let _ = write!(text, "\nWARNING: {}", warning.code);
        if let Some(url) = checks::rule(warning.code).and_then(checks::Rule::url) {
            let _ = write!(text, " - {url}");
        }
        let _ = writeln!(text, "\n{}", warning.message);
        let (first, last) = self.lines(warning);
        text.push_str(&Reporter::plain().lines(self.source, first, last));
    }

    /// The lines of the instruction that is meant. A blank line in it stands for itself.
    fn lines(&self, diagnostic: &Diagnostic) -> (u32, u32) {
        let own = || {
            let line = self.dockerfile.line(diagnostic.span.start);
            (line, line)
        };
        match self.dockerfile.instruction_at(diagnostic.span.start) {
            Some(instruction) if diagnostic.code != kiln_dockerfile::code::NO_EMPTY_CONTINUATION => instruction.lines,
            _ => own(),
        }
    }

    fn value(&self) -> Value {
        let warnings = self.warnings.iter().map(|warning| {
            let rule = checks::rule(warning.code);
            let mut fields = Map::new();
            fields.insert("ruleName".to_owned(), json!(warning.code));
            fields.insert(
                "description".to_owned(),
                json!(rule.map_or_else(|| summary(warning.code), |rule| rule.description)),
            );
            if let Some(url) = rule.and_then(checks::Rule::url) {
                fields.insert("url".to_owned(), json!(url));
            }
            fields.insert("detail".to_owned(), json!(warning.message));
            fields.insert("location".to_owned(), json::location(self.source, self.lines(warning)));
            Value::Object(fields)
        });
        let warnings: Vec<Value> = warnings.collect();
        let source = |file: &File| json!({"filename": file.name, "language": "Dockerfile", "data": json::bytes(file)});
        let sources: Vec<Value> = self.source.files().iter().map(source).collect();
        let mut value = json!({"warnings": warnings, "sources": sources});
        let errors = self.errors();
        if let (Some(first), Value::Object(fields)) = (errors.first(), &mut value) {
            fields.insert("buildError".to_owned(), first.clone());
            fields.insert("buildErrors".to_owned(), json!(errors));
        }
        value
    }

    /// The errors as JSON: `BuildKit` knows the first alone, and Kiln all.
    fn errors(&self) -> Vec<Value> {
        let error = |message: &str, lines| json!({"message": message, "location": json::location(self.source, lines)});
        let mut errors: Vec<Value> = self
            .errors
            .iter()
            .map(|each| error(&each.message, self.lines(each)))
            .collect();
        match self.failure.as_ref().map(|failure| &failure.report) {
            Some(Report::Step(step)) => errors.push(error(&sentence(&step.error), step.lines.unwrap_or((1, 1)))),
            Some(Report::Plain { error: cause, .. }) => errors.push(error(&sentence(cause), (1, 1))),
            _ => {}
        }
        errors
    }

    /// The errors as a failure, if there are any.
    pub(super) fn into_failure(self) -> Option<Failure> {
        if self.errors.is_empty() {
            return self.failure;
        }
        Some(Failure {
            code: FAILED,
            report: Report::Dockerfile {
                source: self.source.clone(),
                diagnostics: self.errors,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("Dockerfile", text.to_owned())
    }

    fn result(source: &Source) -> Result<'_> {
        Result::new(kiln_dockerfile::parse(source.text()).1, None, source)
    }

    #[test]
    fn for_people() {
        assert_eq!(
            result(&source("FROM a\n")).show(false),
            "Check complete, no warnings found.\n"
        );
        let source = source("FROM a AS B\nCMD x\nRUN a \\\n\n  b\n");
        let expected = "\
Check complete, 2 warnings have been found!

WARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/stage-name-casing/
Stage name 'B' should be lowercase
Dockerfile:1
--------------------
   1 | >>> FROM a AS B
   2 |     CMD x
   3 |     RUN a \\
--------------------

WARNING: JSONArgsRecommended - https://docs.docker.com/go/dockerfile/rule/json-args-recommended/
JSON arguments recommended for CMD to prevent unintended behavior related to OS signals
Dockerfile:2
--------------------
   1 |     FROM a AS B
   2 | >>> CMD x
   3 |     RUN a \\
   4 |
--------------------
";
        let mut result = result(&source);
        let blank = result.warnings.pop().unwrap();
        assert_eq!(result.show(false), expected);
        assert_eq!(result.lines(&blank), (4, 4));
    }

    #[test]
    fn as_many_as_a_large_file_has() {
        let source = source(&format!("FROM a\n{}", "CMD x\n".repeat(10_000)));
        let result = result(&source);
        let text = result.show(false);
        assert_eq!(text.matches("\nWARNING: ").count(), SHOWN);
        assert!(text.ends_with("more warnings are not shown: --call=check,format=json has them all\n"));
        let value: Value = serde_json::from_str(&result.show(true)).unwrap();
        assert_eq!(value["warnings"].as_array().unwrap().len(), result.warnings.len());
    }

    #[test]
    fn for_programs() {
        let source = source("FROM a AS B\nRUNN x\n\nRUNN y\n");
        let result = result(&source);
        let value: Value = serde_json::from_str(&result.show(true)).unwrap();
        let line = |line: u32| json!({"ranges": [{"start": {"line": line}, "end": {"line": line}}]});
        let warning = &value["warnings"][0];
        assert_eq!(warning["ruleName"], "StageNameCasing");
        assert_eq!(warning["detail"], "Stage name 'B' should be lowercase");
        assert_eq!(warning["location"], line(1));
        assert_eq!(value["sources"][0]["filename"], "Dockerfile");
        assert_eq!(value["buildError"]["location"], line(2));
        assert_eq!(value["buildErrors"][1]["location"], line(4));
        assert!(
            matches!(result.into_failure().unwrap().report, Report::Dockerfile { diagnostics, .. } if diagnostics.len() == 2)
        );
    }
}
