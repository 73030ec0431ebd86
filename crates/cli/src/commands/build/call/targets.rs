//! `--call=targets`: the stages.

use kiln_dockerfile::ast::Stage;
use kiln_dockerfile::diagnostic::Severity;
use kiln_dockerfile::source::Source;
use serde_json::{Map, Value, json};

use super::json;
use crate::failure::{FAILED, Failure, Report};
use crate::table;

/// All stages of a Dockerfile that has no errors.
pub(super) fn show(source: &Source, as_json: bool) -> Result<String, Failure> {
    let (dockerfile, mut found) = kiln_dockerfile::parse(source.text());
    found.retain(|each| each.severity == Severity::Error);
    if !found.is_empty() {
        return Err(Failure {
            code: FAILED,
            report: Report::Dockerfile {
                source: source.clone(),
                diagnostics: found,
            },
        });
    }
    let last = dockerfile.stages.len().saturating_sub(1);
    if as_json {
        let targets: Vec<Value> = dockerfile
            .stages
            .iter()
            .map(|stage| target(source, stage, last))
            .collect();
        return Ok(json::pretty(
            &json!({"targets": targets, "sources": json::sources(source)}),
        ));
    }
    let rows: Vec<_> = dockerfile.stages.iter().map(|stage| row(stage, last)).collect();
    Ok(table::render_apart(1, ["TARGET", "DESCRIPTION"], &rows))
}

fn description(stage: &Stage) -> Option<&str> {
    stage.instruction.description_of(stage.name.as_deref()?)
}

fn row(stage: &Stage, last: usize) -> [String; 2] {
    let name = match (&stage.name, stage.index == last) {
        (Some(name), true) => format!("{name} (default)"),
        (None, true) => "(default)".to_owned(),
        (Some(name), false) => name.clone(),
        (None, false) => String::new(),
    };
    [name, description(stage).unwrap_or_default().to_owned()]
}

fn target(source: &Source, stage: &Stage, last: usize) -> Value {
    let mut fields = Map::new();
    let mut set = |name: &str, value: Option<Value>| value.map(|value| fields.insert(name.to_owned(), value));
    set("name", stage.name.as_ref().map(|name| json!(name)));
    set("default", (stage.index == last).then_some(json!(true)));
    set("description", description(stage).map(|text| json!(text)));
    set("base", Some(json!(stage.from.image.raw)));
    set("platform", stage.from.platform.as_ref().map(|word| json!(word.raw)));
    set("location", Some(json::location(source, stage.instruction.lines)));
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("Dockerfile", text.to_owned())
    }

    const TEXT: &str = "# base is the start\nFROM --platform=$BUILDPLATFORM a AS base\nFROM b\nFROM base AS End\n";

    #[test]
    fn for_people() {
        let text = show(&source(TEXT), false).unwrap();
        assert_eq!(
            text,
            "TARGET        DESCRIPTION\nbase          is the start\n\nend (default)\n"
        );
        let text = show(&source("FROM a\n"), false).unwrap();
        assert_eq!(text, "TARGET    DESCRIPTION\n(default)\n");
        assert!(show(&source("FRM a\n"), false).is_err());
    }

    #[test]
    fn for_programs() {
        let value: Value = serde_json::from_str(&show(&source(TEXT), true).unwrap()).unwrap();
        let expected = json!([
            {
                "name": "base", "description": "is the start", "base": "a", "platform": "$BUILDPLATFORM",
                "location": {"ranges": [{"start": {"line": 2}, "end": {"line": 2}}]},
            },
            {"base": "b", "location": {"ranges": [{"start": {"line": 3}, "end": {"line": 3}}]}},
            {
                "name": "end", "default": true, "base": "base",
                "location": {"ranges": [{"start": {"line": 4}, "end": {"line": 4}}]},
            },
        ]);
        assert_eq!(value["targets"], expected);
        assert_eq!(value["sources"][0].as_str().map(|text| &text[..8]), Some("IyBiYXNl"));
    }
}
