//! Values as Go prints them.

use std::fmt::Write as _;

use serde_json::Value;

/// Fields that Go has as lists: it prints an absent one like an empty one.
const LISTS: &[&str] = &[
    "Env",
    "Cmd",
    "Entrypoint",
    "OnBuild",
    "Shell",
    "RepoTags",
    "RepoDigests",
    "Layers",
];
/// Fields that Go has as maps.
const MAPS: &[&str] = &["Labels", "Volumes", "ExposedPorts"];
/// Fields that Go has as pointers.
const POINTERS: &[&str] = &["Healthcheck"];

/// Appends a value that is of a field of that name, if it is of one.
pub(super) fn show(value: &Value, name: &str, line: &mut String) {
    match value {
        Value::Null if LISTS.contains(&name) => line.push_str("[]"),
        Value::Null if MAPS.contains(&name) => line.push_str("map[]"),
        Value::Null if POINTERS.contains(&name) => line.push_str("<nil>"),
        Value::Null => {}
        Value::String(text) => line.push_str(text),
        Value::Array(items) => {
            line.push('[');
            for (at, item) in items.iter().enumerate() {
                line.push_str(if at > 0 { " " } else { "" });
                show(item, "", line);
            }
            line.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            line.push_str("map[");
            for (at, (key, item)) in fields.into_iter().enumerate() {
                let _ = write!(line, "{}{key}:", if at > 0 { " " } else { "" });
                show(item, key, line);
            }
            line.push(']');
        }
        other => {
            let _ = write!(line, "{other}");
        }
    }
}

/// A value as text.
pub(super) fn shown(value: &Value) -> String {
    let mut text = String::new();
    show(value, "", &mut text);
    text
}
