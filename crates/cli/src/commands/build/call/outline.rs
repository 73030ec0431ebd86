//! `--call=outline`: what the build can be given.

use std::fmt::Write as _;

use kiln_dockerfile::source::Source;
use kiln_plan::{Argument, Outline, Wanted};
use serde_json::{Map, Value, json};

use super::json;
use crate::table;

/// The outline of a target.
pub(super) fn show(outline: &Outline, source: &Source, as_json: bool) -> String {
    if as_json {
        return json::pretty(&value(outline, source));
    }
    let mut text = String::new();
    if outline.target.is_some() || outline.description.is_some() {
        let name = outline.target.as_deref().unwrap_or("(default)");
        let _ = writeln!(text, "TARGET:      {name}");
        if let Some(description) = &outline.description {
            let _ = writeln!(text, "DESCRIPTION: {description}");
        }
        text.push('\n');
    }
    if !outline.arguments.is_empty() {
        let rows: Vec<_> = outline.arguments.iter().map(argument_row).collect();
        text.push_str(&table::render(["BUILD ARG", "VALUE", "DESCRIPTION"], &rows));
        text.push('\n');
    }
    for (title, wanted) in [("SECRET", &outline.secrets), ("SSH", &outline.agents)] {
        if !wanted.is_empty() {
            let rows: Vec<_> = wanted.iter().map(wanted_row).collect();
            text.push_str(&table::render([title, "REQUIRED"], &rows));
            text.push('\n');
        }
    }
    text
}

fn argument_row(argument: &Argument) -> [String; 3] {
    [
        argument.name.clone(),
        argument.value.clone().unwrap_or_default(),
        argument.description.clone().unwrap_or_default(),
    ]
}

fn wanted_row(wanted: &Wanted) -> [String; 2] {
    let required = if wanted.required { "true" } else { "" };
    [wanted.id.clone(), required.to_owned()]
}

/// Without the fields that would be empty.
fn value(outline: &Outline, source: &Source) -> Value {
    let list = |values: Vec<Value>| (!values.is_empty()).then(|| json!(values));
    let all = |all: &[Wanted]| list(all.iter().map(|each| wanted(source, each)).collect());
    object([
        ("name", outline.target.as_ref().map(|name| json!(name))),
        ("description", outline.description.as_ref().map(|text| json!(text))),
        (
            "args",
            list(outline.arguments.iter().map(|each| argument(source, each)).collect()),
        ),
        ("secrets", all(&outline.secrets)),
        ("ssh", all(&outline.agents)),
        ("sources", Some(json::sources(source))),
    ])
}

fn argument(source: &Source, argument: &Argument) -> Value {
    object([
        ("name", Some(json!(argument.name))),
        ("description", argument.description.as_ref().map(|text| json!(text))),
        (
            "value",
            argument
                .value
                .as_ref()
                .filter(|value| !value.is_empty())
                .map(|value| json!(value)),
        ),
        ("location", Some(json::location(source, argument.lines))),
    ])
}

fn wanted(source: &Source, wanted: &Wanted) -> Value {
    object([
        ("name", Some(json!(wanted.id))),
        ("required", wanted.required.then_some(json!(true))),
        ("location", wanted.lines.map(|lines| json::location(source, lines))),
    ])
}

fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let given = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline() -> Outline {
        let wanted = |id: &str, required| Wanted {
            id: id.to_owned(),
            required,
            lines: Some((4, 5)),
        };
        let argument = |name: &str, value: Option<&str>, description: Option<&str>| Argument {
            name: name.to_owned(),
            value: value.map(ToOwned::to_owned),
            description: description.map(ToOwned::to_owned),
            lines: (1, 1),
        };
        Outline {
            target: Some("app".to_owned()),
            description: Some("is the program".to_owned()),
            arguments: vec![
                argument("VERSION", Some("12"), Some("to build")),
                argument("X", None, None),
            ],
            secrets: vec![wanted("token", true), wanted("other", false)],
            agents: vec![wanted("default", false)],
        }
    }

    #[test]
    fn for_people() {
        let expected = "\
TARGET:      app
DESCRIPTION: is the program

BUILD ARG   VALUE   DESCRIPTION
VERSION     12      to build
X

SECRET   REQUIRED
token    true
other

SSH       REQUIRED
default

";
        assert_eq!(show(&outline(), &Source::default(), false), expected);
        assert_eq!(show(&Outline::default(), &Source::default(), false), "");
    }

    #[test]
    fn for_programs() {
        let shown = show(&outline(), &Source::default(), true);
        let value: Value = serde_json::from_str(&shown).unwrap();
        let run = json!({"ranges": [{"start": {"line": 4}, "end": {"line": 5}}]});
        let arg = json!({"ranges": [{"start": {"line": 1}, "end": {"line": 1}}]});
        let expected = json!({
            "name": "app",
            "description": "is the program",
            "args": [
                {"name": "VERSION", "value": "12", "description": "to build", "location": arg},
                {"name": "X", "location": arg},
            ],
            "secrets": [{"name": "token", "required": true, "location": run}, {"name": "other", "location": run}],
            "ssh": [{"name": "default", "location": run}],
            "sources": [""],
        });
        assert_eq!(value, expected);
        let empty: Value = serde_json::from_str(&show(&Outline::default(), &Source::default(), true)).unwrap();
        assert_eq!(empty, json!({"sources": [""]}));
    }
}
