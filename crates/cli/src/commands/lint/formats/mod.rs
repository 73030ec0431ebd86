//! How findings are printed.

mod github;
mod json;
mod sarif;
mod xml;

use std::fmt::Write as _;

use kiln_dockerfile::source::Source;
use kiln_lint::{Finding, Severity};

pub(super) use json::Fingerprints;

use super::Linted;
use crate::failure::Failure;
use crate::progress::text::lines;
use crate::report::Reporter;

/// A form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Tty,
    Json,
    Sarif,
    Github,
    Gitlab,
    Checkstyle,
    Junit,
    Codeclimate,
}

impl Format {
    /// Reads the option's value.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, Failure> {
        Ok(match text {
            None | Some("text") => Self::Text,
            Some("tty") => Self::Tty,
            Some("json") => Self::Json,
            Some("sarif") => Self::Sarif,
            Some("github") => Self::Github,
            Some("gitlab" | "gitlab_codeclimate") => Self::Gitlab,
            Some("checkstyle") => Self::Checkstyle,
            Some("junit") => Self::Junit,
            Some("codeclimate") => Self::Codeclimate,
            Some(other) => {
                return Err(Failure::usage(format!(
                    "--format {other}: wanted text, tty, json, sarif, github, gitlab, checkstyle, junit or codeclimate"
                )));
            }
        })
    }

    /// All that was found.
    pub(super) fn show(self, linted: &[Linted], reporter: &Reporter) -> String {
        match self {
            Self::Text => text(linted, reporter),
            Self::Tty => tty(linted),
            Self::Json => json::hadolint(linted),
            Self::Sarif => sarif::show(linted),
            Self::Github => github::show(linted),
            Self::Gitlab => json::gitlab(linted),
            Self::Checkstyle => xml::checkstyle(linted),
            Self::Junit => xml::junit(linted),
            Self::Codeclimate => json::codeclimate(linted),
        }
    }
}

/// Each finding with the line that it is about.
fn text(linted: &[Linted], reporter: &Reporter) -> String {
    let mut out = String::new();
    let mut counts = [0_usize; 4];
    for file in linted {
        let source = Source::new(&file.name, file.file.source.clone());
        for finding in &file.findings {
            counts[finding.severity as usize] += 1;
            out.push_str(&reporter.finding(&source.files()[0], finding));
            out.push_str("\n\n");
        }
    }
    let severities = [Severity::Error, Severity::Warning, Severity::Info, Severity::Style];
    let said = severities.map(|severity| (severity.name(), counts[severity as usize]));
    let parts: Vec<String> = said
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    if !parts.is_empty() {
        let _ = writeln!(
            out,
            "found: {}; `kiln explain CODE` says more of each",
            parts.join(", ")
        );
    }
    out
}

/// hadolint's lines.
fn tty(linted: &[Linted]) -> String {
    let mut out = String::new();
    each(linted, |file, finding| {
        let _ = writeln!(
            out,
            "{}:{} {} {}: {}",
            lines(&file.name),
            finding.line,
            finding.code,
            finding.severity.name(),
            lines(&finding.message)
        );
    });
    out
}

/// Calls for each finding of each file.
fn each(linted: &[Linted], mut call: impl FnMut(&Linted, &Finding)) {
    for file in linted {
        file.findings.iter().for_each(|finding| call(file, finding));
    }
}

/// Where a finding begins and ends: lines and columns, from 1; the end is one past the last character.
fn place(file: &Linted, finding: &Finding) -> ((u32, u32), (u32, u32)) {
    let at = |offset| file.file.line_and_column(offset);
    (at(finding.span.start), at(finding.span.end))
}
