//! hadolint's JSON, and that of Code Climate and GitLab.

use kiln_dockerfile::ast::Span;
use kiln_image::Digest;
use kiln_lint::{Finding, Safety, Severity};
use serde_json::{Value, json};

use super::{each, place};
use crate::commands::lint::Linted;

/// An array; `line` is that of the instruction, as hadolint says it, `start` and `end` say more, and `fix` is Kiln's.
pub(super) fn hadolint(linted: &[Linted]) -> String {
    let mut findings = Vec::new();
    each(linted, |file, finding| {
        let (start, end) = place(file, finding);
        let mut value = json!({
            "code": finding.code,
            "column": 1,
            "file": file.name,
            "level": finding.severity.name(),
            "line": finding.line,
            "message": finding.message,
            "start": {"line": start.0, "column": start.1},
            "end": {"line": end.0, "column": end.1},
        });
        if let Some(fix) = &finding.fix {
            let edits: Vec<Value> = fix.edits.iter().map(|edit| edit_value(edit.span, &edit.text)).collect();
            value["fix"] = json!({"title": fix.title, "safe": fix.safety == Safety::Safe, "edits": edits});
        }
        findings.push(value);
    });
    format!("{}\n", Value::Array(findings))
}

fn edit_value(span: Span, text: &str) -> Value {
    json!({"start": span.start, "end": span.end, "text": text})
}

/// An object for each finding, each followed by a zero byte, as the specification of Code Climate's engines has it.
pub(super) fn codeclimate(linted: &[Linted]) -> String {
    let mut out = String::new();
    each(linted, |file, finding| {
        out.push_str(&issue(file, finding).to_string());
        out.push('\0');
    });
    out
}

/// The same as an array, with fingerprints.
pub(super) fn gitlab(linted: &[Linted]) -> String {
    let mut findings = Vec::new();
    each(linted, |file, finding| {
        let mut value = issue(file, finding);
        value["fingerprint"] = json!(fingerprint(file, finding, &findings));
        findings.push(value);
    });
    format!("{}\n", Value::Array(findings))
}

/// The same wherever the line moves to; findings that are alike are numbered.
pub(super) fn fingerprint(file: &Linted, finding: &Finding, before: &[Value]) -> String {
    let line = file
        .file
        .source
        .get(file.file.line_start(finding.line)..)
        .unwrap_or_default();
    let line = line.lines().next().unwrap_or_default().trim();
    let alike = |number: usize| {
        let text = format!("{}\n{}\n{line}\n{}\n{number}", file.name, finding.code, finding.message);
        Digest::of(text).to_string().trim_start_matches("sha256:")[..40].to_owned()
    };
    let is_taken = |print: &str| before.iter().any(|value| value["fingerprint"] == print);
    (0..).map(alike).find(|print| !is_taken(print)).unwrap_or_default()
}

fn issue(file: &Linted, finding: &Finding) -> Value {
    let (start, end) = place(file, finding);
    json!({
        "type": "issue",
        "check_name": finding.code,
        "description": finding.message,
        "categories": ["Bug Risk"],
        "severity": match finding.severity {
            Severity::Error => "critical",
            Severity::Warning => "major",
            Severity::Info => "minor",
            Severity::Style => "info",
        },
        "location": {"path": file.name, "lines": {"begin": start.0, "end": end.0}},
    })
}
