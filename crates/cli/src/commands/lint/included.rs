//! Dockerfiles that include others: they are looked at as one text, and what is found is said of the file that it is in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kiln_dockerfile::diagnostic::Diagnostic;
use kiln_dockerfile::source::Source;
use kiln_lint::{Config, Finding, Severity};

use super::Linted;
use crate::context;
use crate::failure::{FAILED, Failure, Report};

/// The linter's code of what the builder refuses.
const UNREADABLE: &str = "DL1000";

/// Why nothing is mended in such a file.
const UNFIXED: &str = "files that include others, and those that are included, are mended by hand";

/// The text with all that it includes, and what is wrong with the INCLUDEs.
pub(super) fn read_in(
    text: &str,
    path: Option<&Path>,
    context: Option<&Path>,
) -> Result<(Source, Vec<Diagnostic>), Failure> {
    match context::with_includes(text, path, context) {
        Ok(source) => Ok((source, Vec::new())),
        Err(Report::Dockerfile { source, diagnostics }) => Ok((source, diagnostics)),
        Err(report) => Err(Failure { code: FAILED, report }),
    }
}

/// What is found in the whole text.
pub(super) fn lint(source: &Source, problems: Vec<Diagnostic>, config: &Config) -> Vec<Finding> {
    let mut findings = kiln_lint::lint(source.text(), config);
    if !problems.is_empty() {
        // They are all errors of the text, the parser's among them.
        findings.retain(|finding| finding.code != UNREADABLE);
        findings.extend(problems.into_iter().map(|problem| of_problem(source, problem)));
        findings.sort_by_key(|finding| (finding.line, finding.span.start));
    }
    findings
}

fn of_problem(source: &Source, problem: Diagnostic) -> Finding {
    let before = source.text().get(..problem.span.start).unwrap_or_default();
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let help = problem.help.map(|help| format!("; {help}")).unwrap_or_default();
    Finding {
        code: UNREADABLE,
        also: None,
        severity: Severity::Error,
        message: format!("{}{help}", problem.message),
        span: problem.span,
        line: u32::try_from(line).unwrap_or(u32::MAX),
        fix: None,
        unfixed: None,
        cost: None,
    }
}

/// The findings by file: the Dockerfile itself, and the included files in which something is found.
pub(super) fn apart(mut whole: Linted, source: &Source) -> Vec<Linted> {
    let mut by_file = BTreeMap::<usize, Vec<Finding>>::new();
    for mut finding in std::mem::take(&mut whole.findings) {
        let number;
        (number, finding.span) = source.place(finding.span);
        finding.line = source.lines((finding.line, finding.line)).1.0;
        if finding.fix.take().is_some() {
            finding.unfixed = Some(UNFIXED.to_owned());
        }
        by_file.entry(number).or_default().push(finding);
    }
    let parsed = |number: usize| kiln_dockerfile::parse(&source.files()[number].text).0;
    whole.is_part = true;
    whole.file = parsed(0);
    whole.findings = by_file.remove(&0).unwrap_or_default();
    let config = whole.config.clone();
    let mut files = vec![whole];
    for (number, findings) in by_file {
        let name = source.files()[number].name.clone();
        let part = Linted {
            path: Some(PathBuf::from(&name)),
            name,
            file: parsed(number),
            config: config.clone(),
            findings,
            is_part: true,
        };
        // The same file may be included twice.
        add(&mut files, part);
    }
    files
}

/// Adds a file. What is known of it already, because another Dockerfile includes it too, is not said again.
pub(super) fn add(linted: &mut Vec<Linted>, file: Linted) {
    let Some(known) = linted.iter_mut().find(|known| known.is_part && known.name == file.name) else {
        linted.push(file);
        return;
    };
    for finding in file.findings {
        let is_same = |other: &Finding| {
            (other.code, other.span) == (finding.code, finding.span) && other.message == finding.message
        };
        if !known.findings.iter().any(is_same) {
            known.findings.push(finding);
        }
    }
    known.findings.sort_by_key(|finding| (finding.line, finding.span.start));
}
