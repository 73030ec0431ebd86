//! Variables of bake's files: a default, and the environment before it.

use hcl_edit::expr::Expression;
use kiln_dockerfile::boolean;
use serde_json::Value;

use super::Wrong;
use super::definition::Written;
use super::eval::Evaluator;
use super::value::{as_flag, as_number, as_text, kind, number};
use crate::values::csv;

/// A block `variable`.
pub(super) struct Variable {
    pub(super) default: Option<Written>,
    pub(super) kind: Option<Written>,
}

/// The value of a variable, or of an attribute of the whole file; `None` if there is neither.
pub(super) fn value(evaluator: &Evaluator<'_>, name: &str) -> Result<Option<Value>, Wrong> {
    // Where bake was started, and what for; `kiln lint` is started in the same place.
    match name {
        "BAKE_CMD_CONTEXT" => return Ok(Some(Value::from("cwd://"))),
        "BAKE_LOCAL_PLATFORM" => return Ok(Some(Value::from(kiln_image::Platform::host().to_string()))),
        _ => {}
    }
    let variable = evaluator.definition.variables.get(name);
    let attribute = evaluator.definition.attributes.get(name);
    let declared = variable
        .filter(|_| attribute.is_none())
        .and_then(|variable| variable.kind.as_ref());
    let written = attribute.or_else(|| variable?.default.as_ref());
    let default = written.map(|written| evaluator.written(written)).transpose()?;
    let Some(_) = variable else { return Ok(default) };
    let plain = (evaluator.environment)(name);
    if let Some(declared) = declared {
        let json = format!("{name}_JSON");
        let json = (!evaluator.definition.variables.contains_key(&json)).then(|| (evaluator.environment)(&json));
        return typed(name, declared, default, plain, json.flatten()).map(Some);
    }
    let Some(text) = plain else {
        return Ok(Some(default.unwrap_or_else(|| Value::from(""))));
    };
    let value = match default {
        None | Some(Value::Null | Value::String(_)) => Ok(Value::from(text)),
        Some(Value::Bool(_)) => flag(&text),
        Some(Value::Number(_)) => as_number(&Value::from(text)).and_then(number),
        Some(other) => Err(format!("{} without a type cannot be set", kind(&other))),
    };
    value.map(Some).map_err(|why| of_environment(name, &why))
}

fn of_environment(name: &str, why: &str) -> Wrong {
    Wrong::new(format!("the environment variable {name}: {why}"))
}

fn flag(text: &str) -> Result<Value, String> {
    let said = boolean::parse(text).map(Value::from);
    said.ok_or_else(|| format!("wanted true or false, found `{text}`"))
}

/// A variable that says of what type it is. Without a value it is null.
fn typed(
    name: &str,
    declared: &Written,
    default: Option<Value>,
    plain: Option<String>,
    json: Option<String>,
) -> Result<Value, Wrong> {
    let of = |expression: &Expression| match expression {
        Expression::Variable(name) => Some(name.as_str().to_owned()),
        Expression::String(name) => Some(name.as_str().to_owned()),
        _ => None,
    };
    let word = of(&declared.expression);
    if let Some(json) = json {
        return serde_json::from_str(&json)
            .map_err(|error| of_environment(&format!("{name}_JSON"), &error.to_string()));
    }
    if let Some(text) = plain {
        let value = match (word.as_deref(), &declared.expression) {
            (Some("any"), _) => Ok(Value::from(text)),
            (Some(word), _) => primitive(word, Value::from(text)),
            (None, Expression::FuncCall(call)) if matches!(call.name.name.as_str(), "list" | "set") => {
                let inner = call.args.iter().next().and_then(of).unwrap_or_else(|| "any".to_owned());
                let fields = csv::fields(&text);
                let values = fields.and_then(|fields| {
                    fields
                        .into_iter()
                        .map(|field| primitive(&inner, Value::from(field)))
                        .collect()
                });
                values.map(Value::Array)
            }
            _ => Err(format!("a value of its type is read as JSON only, from {name}_JSON")),
        };
        return value.map_err(|why| of_environment(name, &why));
    }
    match (default, word) {
        (None | Some(Value::Null), _) => Ok(Value::Null),
        (Some(value), Some(word)) => {
            primitive(&word, value).map_err(|why| Wrong::new(format!("the default of `{name}`: {why}")))
        }
        (Some(value), None) => Ok(value),
    }
}

/// A value as one of HCL's primitive types.
fn primitive(word: &str, value: Value) -> Result<Value, String> {
    match word {
        "string" => as_text(&value).map(Value::from),
        "number" => as_number(&value).and_then(number),
        "bool" => match &value {
            Value::String(text) => flag(text),
            other => as_flag(other).map(Value::from),
        },
        _ => Ok(value),
    }
}
