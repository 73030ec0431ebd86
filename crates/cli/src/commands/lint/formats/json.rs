//! hadolint's JSON, and that of Code Climate and GitLab.

use std::collections::HashMap;

use kiln_dockerfile::ast::Span;
use kiln_image::Digest;
use kiln_lint::{Amount, Cost, Finding, Safety, Severity};
use serde_json::{Value, json};

use super::{each, place};
use crate::commands::lint::Linted;
use crate::time;

/// An array; `line` is that of the instruction, as hadolint says it, `start` and `end` say more, `also`, `fix`, `cost`
/// and `unfixed` are Kiln's.
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
        if let Some(also) = finding.also {
            value["also"] = json!(also);
        }
        if let Some(cost) = finding.cost.as_ref().and_then(cost) {
            value["cost"] = cost;
        }
        if let Some(why) = &finding.unfixed {
            value["unfixed"] = json!(why);
        }
        findings.push(value);
    });
    format!("{}\n", Value::Array(findings))
}

/// What builds measured; `None` where they did not.
pub(super) fn cost(cost: &Cost) -> Option<Value> {
    let measured = cost.measured.as_ref()?;
    Some(match measured.amount {
        Amount::Bytes(bytes) => json!({"bytes": bytes, "build": measured.build}),
        Amount::Time(duration) => json!({
            "seconds": time::seconds(duration),
            "build": measured.build,
            "ran": measured.ran,
            "builds": measured.of,
        }),
    })
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
    let mut prints = Fingerprints::default();
    each(linted, |file, finding| {
        let mut value = issue(file, finding);
        value["fingerprint"] = json!(prints.of(file, finding));
        findings.push(value);
    });
    format!("{}\n", Value::Array(findings))
}

/// Gives findings names that stay the same wherever their lines move to; findings that are alike are numbered.
#[derive(Debug, Default)]
pub(in crate::commands::lint) struct Fingerprints(HashMap<String, usize>);

impl Fingerprints {
    /// The name of a finding.
    pub(in crate::commands::lint) fn of(&mut self, file: &Linted, finding: &Finding) -> String {
        let line = file.file.source.get(file.file.line_start(finding.line)..);
        let line = line.and_then(|rest| rest.lines().next()).unwrap_or_default().trim();
        let text = format!("{}\n{}\n{line}\n{}", file.name, finding.code, finding.message);
        let number = self.0.entry(text.clone()).or_default();
        *number += 1;
        let digest = Digest::of(format!("{text}\n{number}")).to_string();
        digest.trim_start_matches("sha256:").chars().take(40).collect()
    }
}

fn issue(file: &Linted, finding: &Finding) -> Value {
    let (start, end) = place(file, finding);
    json!({
        "type": "issue",
        "check_name": finding.code,
        "description": finding.message,
        "categories": ["Bug Risk"],
        "severity": match finding.severity {
            Severity::Error => "blocker",
            Severity::Warning => "major",
            Severity::Info => "minor",
            Severity::Style => "info",
        },
        "location": {"path": file.name, "lines": {"begin": start.0, "end": end.0}},
    })
}
