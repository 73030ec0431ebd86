//! SARIF 2.1.0 (OASIS).

use std::collections::BTreeMap;

use kiln_dockerfile::checks;
use kiln_lint::{Finding, Severity};
use serde_json::{Map, Value, json};

use super::json::{self, Fingerprints};
use super::{each, place};
use crate::commands::lint::Linted;
use crate::format::encoding;

/// One run with all rules that found something.
pub(super) fn show(linted: &[Linted]) -> String {
    let mut rules = BTreeMap::new();
    each(linted, |_, finding| {
        let count = rules.len();
        rules.entry(finding.code).or_insert(count);
    });
    // The places of the rules in the array are those of their names in order.
    let places: BTreeMap<&str, usize> = rules.keys().copied().zip(0..).collect();
    let descriptors: Vec<Value> = places.keys().map(|code| rule(code)).collect();
    let mut results: Vec<Value> = Vec::new();
    let mut prints = Fingerprints::default();
    each(linted, |file, finding| {
        let print = prints.of(file, finding);
        results.push(result(file, finding, places[finding.code], &print));
    });
    let value = encoding::sarif(&descriptors, &results);
    format!("{value:#}\n")
}

fn rule(code: &str) -> Value {
    let mut value = Map::new();
    value.insert("id".to_owned(), json!(code));
    if let Some(page) = kiln_lint::page(code) {
        value.insert("shortDescription".to_owned(), json!({"text": page.summary}));
        value.insert("fullDescription".to_owned(), json!({"text": page.why}));
        value.insert(
            "help".to_owned(),
            json!({"text": page.text(), "markdown": page.markdown()}),
        );
    } else if let Some(rule) = checks::rule(code) {
        value.insert("shortDescription".to_owned(), json!({"text": rule.description}));
        if let Some(url) = rule.url() {
            value.insert("helpUri".to_owned(), json!(url));
        }
    }
    if let Some(rule) = kiln_lint::find(code) {
        value.insert(
            "defaultConfiguration".to_owned(),
            json!({"level": level(rule.severity)}),
        );
    }
    Value::Object(value)
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info | Severity::Style => "note",
    }
}

fn result(file: &Linted, finding: &Finding, rule: usize, print: &str) -> Value {
    let artifact = json!({"uri": encoding::uri(&file.name)});
    let mut value = json!({
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": level(finding.severity),
        "message": {"text": finding.message},
        "locations": [{
            "physicalLocation": {"artifactLocation": artifact, "region": region(place(file, finding))},
        }],
        "partialFingerprints": {"kilnFinding/v1": print},
    });
    if let Some(fix) = &finding.fix {
        let replacement = |edit: &kiln_lint::Edit| {
            let at = |offset| file.file.line_and_column(offset);
            json!({
                "deletedRegion": region((at(edit.span.start), at(edit.span.end))),
                "insertedContent": {"text": edit.text},
            })
        };
        let replacements: Vec<Value> = fix.edits.iter().map(replacement).collect();
        value["fixes"] = json!([{
            "description": {"text": fix.title},
            "artifactChanges": [{"artifactLocation": artifact, "replacements": replacements}],
        }]);
    }
    if let Some(cost) = finding.cost.as_ref().and_then(json::cost) {
        value["properties"] = json!({"cost": cost});
    }
    value
}

fn region((start, end): ((u32, u32), (u32, u32))) -> Value {
    json!({"startLine": start.0, "startColumn": start.1, "endLine": end.0, "endColumn": end.1})
}
