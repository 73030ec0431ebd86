//! A small part of Go's templates: text, `{{.Field.Inner}}`, the functions that people use with docker, and
//! `{{range .Field}}…{{end}}`.

use std::fmt::Write as _;

use serde_json::Value;

/// What there is, for messages.
const KNOWN: &str = "{{.Field}}, {{json .Field}}, {{len .Field}}, {{upper .Field}}, {{lower .Field}}, \
                     {{join .Field \", \"}}, {{index .Field 0}}, {{println .Field}} and {{range .Field}}…{{end}}";

/// A template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field { path: Vec<String>, apply: Function },
    Range { path: Vec<String>, body: Vec<Piece> },
}

/// What is made of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Function {
    Show,
    Json,
    Len,
    Upper,
    Lower,
    Println,
    Join(String),
    Index(String),
}

impl Template {
    /// Reads a template.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text;
        // The pieces of the template, and of the ranges that are open.
        let mut open: Vec<Vec<Piece>> = vec![Vec::new()];
        let mut ranges = Vec::new();
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((action, next)) = after.split_once("}}") else {
                return Err(format!("--format `{text}`: `{{{{` is not closed"));
            };
            push(&mut open, text_piece(before));
            let action = action.trim_matches('-').trim();
            let unknown = || format!("--format: `{{{{{action}}}}}` is not known; there are {KNOWN}");
            match action.split_once(' ') {
                Some(("range", path)) => {
                    ranges.push(field(path.trim()).ok_or_else(unknown)?);
                    open.push(Vec::new());
                }
                None if action == "end" => {
                    let path = ranges.pop().ok_or("--format: `{{end}}` without `{{range}}`")?;
                    let body = open.pop().unwrap_or_default();
                    push(&mut open, Some(Piece::Range { path, body }));
                }
                _ => push(&mut open, Some(call(action).ok_or_else(unknown)?)),
            }
            rest = next;
        }
        if !ranges.is_empty() {
            return Err(format!("--format `{text}`: `{{{{range}}}}` without `{{{{end}}}}`"));
        }
        push(&mut open, text_piece(rest));
        Ok(Self(open.pop().unwrap_or_default()))
    }

    /// The line for a value; an error for a field that it does not have.
    pub(crate) fn render(&self, value: &Value) -> Result<String, String> {
        let mut line = String::new();
        render(&self.0, value, &mut line)?;
        Ok(line)
    }

    /// The header: names of fields in upper case.
    pub(crate) fn header(&self) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Field { path, .. } | Piece::Range { path, .. } => {
                path.last().map(|name| heading(name)).unwrap_or_default()
            }
        });
        pieces.collect()
    }
}

fn push(open: &mut [Vec<Piece>], piece: Option<Piece>) {
    if let (Some(pieces), Some(piece)) = (open.last_mut(), piece) {
        pieces.push(piece);
    }
}

/// `\t` and `\n` come from shells as they are.
fn text_piece(text: &str) -> Option<Piece> {
    (!text.is_empty()).then(|| Piece::Text(text.replace("\\t", "\t").replace("\\n", "\n")))
}

/// `.Field`, `function .Field`, `function .Field argument` or `.Field | function`.
fn call(action: &str) -> Option<Piece> {
    if let Some((path, function)) = action.split_once('|') {
        return call(&format!("{} {}", function.trim(), path.trim()));
    }
    let (name, rest) = action.split_once(' ').unwrap_or(("", action));
    let (path, argument) = match rest.trim().split_once(' ') {
        Some((path, argument)) => (path, Some(argument.trim())),
        None => (rest.trim(), None),
    };
    let apply = match (name, argument) {
        ("", None) => Function::Show,
        ("json", None) => Function::Json,
        ("len", None) => Function::Len,
        ("upper", None) => Function::Upper,
        ("lower", None) => Function::Lower,
        ("println", None) => Function::Println,
        ("join", Some(argument)) => Function::Join(unquoted(argument)?.to_owned()),
        ("index", Some(argument)) => {
            let number = argument.parse::<usize>().is_ok();
            let key = if number { argument } else { unquoted(argument)? };
            Function::Index(key.to_owned())
        }
        _ => return None,
    };
    Some(Piece::Field {
        path: field(path)?,
        apply,
    })
}

fn unquoted(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

/// The names of a path; none for `.`.
fn field(path: &str) -> Option<Vec<String>> {
    let path = path.strip_prefix('.')?;
    let good = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if path.is_empty() {
        return Some(Vec::new());
    }
    path.split('.')
        .map(|name| good(name).then(|| name.to_owned()))
        .collect()
}

fn render(pieces: &[Piece], value: &Value, line: &mut String) -> Result<(), String> {
    for piece in pieces {
        match piece {
            Piece::Text(text) => line.push_str(text),
            Piece::Field { path, apply } => function(look_up(value, path)?, apply, line)?,
            Piece::Range { path, body } => {
                let items: Vec<&Value> = match look_up(value, path)? {
                    Value::Array(items) => items.iter().collect(),
                    Value::Object(fields) => fields.values().collect(),
                    Value::Null => Vec::new(),
                    other => return Err(format!("--format: there is nothing to range over in `{other}`")),
                };
                for item in items {
                    render(body, item, line)?;
                }
            }
        }
    }
    Ok(())
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

fn function(value: &Value, apply: &Function, line: &mut String) -> Result<(), String> {
    let shown = |value: &Value| {
        let mut text = String::new();
        show(value, &mut text);
        text
    };
    match apply {
        Function::Show => show(value, line),
        Function::Json => {
            let _ = write!(line, "{value}");
        }
        Function::Len => {
            let length = match value {
                Value::Null => 0,
                Value::String(text) => text.len(),
                Value::Array(items) => items.len(),
                Value::Object(fields) => fields.len(),
                other => return Err(format!("--format: `{other}` has no length")),
            };
            let _ = write!(line, "{length}");
        }
        Function::Upper => line.push_str(&shown(value).to_uppercase()),
        Function::Lower => line.push_str(&shown(value).to_lowercase()),
        Function::Println => {
            let _ = writeln!(line, "{}", shown(value));
        }
        Function::Join(separator) => {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            let items: Vec<String> = items.iter().map(shown).collect();
            line.push_str(&items.join(separator));
        }
        Function::Index(key) => show(index(value, key)?, line),
    }
    Ok(())
}

fn index<'a>(value: &'a Value, key: &str) -> Result<&'a Value, String> {
    match value {
        Value::Array(items) => {
            let item = key.parse::<usize>().ok().and_then(|at| items.get(at));
            item.ok_or_else(|| format!("--format: index {key} is out of range: there are {}", items.len()))
        }
        // As in Go: a key that is not there gives nothing.
        Value::Object(fields) => Ok(fields.get(key).unwrap_or(&Value::Null)),
        Value::Null => Ok(&Value::Null),
        other => Err(format!("--format: `{other}` has no index")),
    }
}

/// A value as Go prints it.
fn show(value: &Value, line: &mut String) {
    match value {
        Value::Null => {}
        Value::String(text) => line.push_str(text),
        Value::Array(items) => {
            line.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    line.push(' ');
                }
                show(item, line);
            }
            line.push(']');
        }
        Value::Object(fields) => {
            line.push_str("map[");
            for (at, (key, item)) in fields.iter().enumerate() {
                let _ = write!(line, "{}{key}:", if at > 0 { " " } else { "" });
                show(item, line);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(template: &str) -> Result<String, String> {
        let value = json!({
            "Id": "sha256:a",
            "Config": {"Env": ["A=1", "B=2"], "Labels": null, "User": "", "Set": {"a.b": "c"}},
            "Size": 5,
        });
        Template::parse(template)?.render(&value)
    }

    #[test]
    fn renders() {
        for (template, text) in [
            ("{{.Id}}", "sha256:a"),
            ("id={{ .Id }}\\tsize={{.Size}}", "id=sha256:a\tsize=5"),
            ("{{.Config.Env}}", "[A=1 B=2]"),
            ("{{json .Config.Env}}", r#"["A=1","B=2"]"#),
            ("{{.Config.Env | json}}", r#"["A=1","B=2"]"#),
            ("{{json .Config.Labels}}", "null"),
            ("{{.Config.Labels.x}}", ""),
            ("{{.Config.User}}", ""),
            ("{{index .Config.Env 1}}", "B=2"),
            (r#"{{index .Config.Set "a.b"}}"#, "c"),
            (r#"{{index .Config.Set "x"}}{{index .Config.Labels "x"}}"#, ""),
            ("{{len .Config.Env}} {{len .Config.Labels}}", "2 0"),
            (r#"{{join .Config.Env ", "}}"#, "A=1, B=2"),
            ("{{range .Config.Env}}<{{.}}>{{end}}!", "<A=1><B=2>!"),
            ("{{range .Config.Env}}{{println .}}{{end}}", "A=1\nB=2\n"),
            ("{{upper .Id}}", "SHA256:A"),
        ] {
            assert_eq!(render(template).as_deref(), Ok(text), "{template}");
        }
        for template in [
            "{{.Nothing}}",
            "{{range .Config.Env}}",
            "{{end}}",
            "{{.Id",
            "{{}}",
            "{{.Size.x}}",
            "{{.a..b}}",
            "{{index .Config.Env 2}}",
            "{{range .Size}}{{end}}",
            "{{len .Size}}",
            "{{if .Id}}",
        ] {
            assert!(render(template).is_err(), "{template}");
        }
    }
}
