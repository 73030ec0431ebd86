//! `--format`: `json`, `table`, or a small part of Go's templates: text, `{{.Field.Inner}}`, `{{json .Field}}`,
//! and `table` before a template for a header.

use std::fmt::Write as _;

use serde_json::Value;

use crate::failure::Failure;

/// How rows are printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Format {
    /// The command's own table.
    Table,
    /// A JSON object per line.
    Json,
    /// A line per row.
    Template {
        /// What to print.
        template: Template,
        /// Whether a header comes first.
        header: bool,
    },
}

impl Format {
    /// Reads the option's value.
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, Failure> {
        match text {
            None | Some("table") => Ok(Self::Table),
            Some("json" | "{{json .}}") => Ok(Self::Json),
            Some(text) => {
                let header = text.strip_prefix("table ");
                let template = Template::parse(header.unwrap_or(text)).map_err(Failure::usage)?;
                Ok(Self::Template {
                    template,
                    header: header.is_some(),
                })
            }
        }
    }
}

/// A template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field { path: Vec<String>, json: bool },
}

impl Template {
    /// Reads a template.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((action, next)) = after.split_once("}}") else {
                return Err(format!("--format `{text}`: `{{{{` is not closed"));
            };
            pieces.push(Piece::Text(unescape(before)));
            pieces.push(field(action).ok_or_else(|| {
                format!("--format: `{{{{{action}}}}}` is not supported; there are `{{{{.Field}}}}` and `{{{{json .Field}}}}`")
            })?);
            rest = next;
        }
        pieces.push(Piece::Text(unescape(rest)));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Ok(Self(pieces))
    }

    /// The line for a value; an error for a field that it does not have.
    pub(crate) fn render(&self, value: &Value) -> Result<String, String> {
        let mut line = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => line.push_str(text),
                Piece::Field { path, json } => show(look_up(value, path)?, *json, &mut line),
            }
        }
        Ok(line)
    }

    /// The header: names of fields in upper case.
    pub(crate) fn header(&self) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Field { path, .. } => path.last().map(|name| heading(name)).unwrap_or_default(),
        });
        pieces.collect()
    }
}

fn field(action: &str) -> Option<Piece> {
    let action = action.trim();
    let (json, path) = match action.strip_prefix("json ") {
        Some(path) => (true, path.trim()),
        None => (false, action),
    };
    let path = path.strip_prefix('.')?;
    let names: Vec<String> = path
        .split('.')
        .filter(|name| !name.is_empty())
        .map(ToOwned::to_owned)
        .collect();
    let good = |name: &String| name.chars().all(|c| c.is_alphanumeric() || c == '_');
    (names.iter().all(good) && (json || !path.is_empty())).then_some(Piece::Field { path: names, json })
}

fn look_up<'a>(value: &'a Value, path: &[String]) -> Result<&'a Value, String> {
    let mut at = value;
    for name in path {
        at = match at {
            Value::Object(fields) => match fields.get(name) {
                Some(inner) => inner,
                None => return Err(unknown(name, fields)),
            },
            // As in Go, where a nil map has no keys.
            Value::Null => &Value::Null,
            _ => return Err(format!("--format: there is no `{name}` in `{at}`")),
        };
    }
    Ok(at)
}

fn unknown(name: &str, fields: &serde_json::Map<String, Value>) -> String {
    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
    format!("--format: there is no field `{name}`; there are {}", names.join(", "))
}

/// A value as Go prints it.
fn show(value: &Value, json: bool, line: &mut String) {
    match value {
        _ if json => {
            let _ = write!(line, "{value}");
        }
        Value::Null => {}
        Value::String(text) => line.push_str(text),
        Value::Array(items) => {
            line.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    line.push(' ');
                }
                show(item, false, line);
            }
            line.push(']');
        }
        Value::Object(fields) => {
            line.push_str("map[");
            for (at, (key, item)) in fields.iter().enumerate() {
                let _ = write!(line, "{}{key}:", if at > 0 { " " } else { "" });
                show(item, false, line);
            }
            line.push(']');
        }
        other => {
            let _ = write!(line, "{other}");
        }
    }
}

/// `CreatedSince` becomes `CREATED SINCE`.
fn heading(name: &str) -> String {
    let mut text = String::new();
    let mut lower = false;
    for c in name.chars() {
        if c.is_uppercase() && lower {
            text.push(' ');
        }
        lower = c.is_lowercase();
        text.extend(c.to_uppercase());
    }
    text
}

/// `\t` and `\n`, which shells hand over as they are.
fn unescape(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}

/// Prints rows that are JSON objects.
pub(crate) fn rows(format: &Format, rows: &[Value]) -> Result<String, Failure> {
    let mut text = String::new();
    match format {
        Format::Table | Format::Json => {
            for row in rows {
                let _ = writeln!(text, "{row}");
            }
        }
        Format::Template { template, header } => {
            if *header {
                let _ = writeln!(text, "{}", template.header());
            }
            for row in rows {
                let _ = writeln!(text, "{}", template.render(row).map_err(Failure::usage)?);
            }
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(template: &str) -> Result<String, String> {
        let value = json!({"Id": "sha256:a", "Config": {"Env": ["A=1", "B=2"], "Labels": null, "User": ""}, "Size": 5});
        Template::parse(template)?.render(&value)
    }

    #[test]
    fn renders() {
        for (template, text) in [
            ("{{.Id}}", "sha256:a"),
            ("id={{ .Id }}\\tsize={{.Size}}", "id=sha256:a\tsize=5"),
            ("{{.Config.Env}}", "[A=1 B=2]"),
            ("{{json .Config.Env}}", r#"["A=1","B=2"]"#),
            ("{{json .Config.Labels}}", "null"),
            ("{{.Config.Labels.x}}", ""),
            ("{{.Config.User}}", ""),
        ] {
            assert_eq!(render(template).as_deref(), Ok(text), "{template}");
        }
        for template in ["{{.Nothing}}", "{{range .Config.Env}}", "{{.Id", "{{.}}", "{{.Size.x}}"] {
            assert!(render(template).is_err(), "{template}");
        }
    }

    #[test]
    fn prints_a_header() {
        let format = Format::parse(Some("table {{.Repository}}\t{{.CreatedSince}}")).unwrap();
        let rows = rows(&format, &[json!({"Repository": "a", "CreatedSince": "now"})]).unwrap();
        assert_eq!(rows, "REPOSITORY\tCREATED SINCE\na\tnow\n");
    }
}
