//! Values of HCL, and how one type becomes another.

use serde_json::{Map, Number, Value};

/// A whole number as a value, another as a fraction.
pub(super) fn number(value: f64) -> Result<Value, String> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    if value.fract() == 0.0 && value.abs() < EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and small")]
        return Ok(Value::from(value as i64));
    }
    let number = Number::from_f64(value).ok_or("a number without end")?;
    Ok(Value::Number(number))
}

/// What a value is, in messages.
pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

pub(super) fn as_text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(format!("wanted a string, found {}", kind(other))),
    }
}

pub(super) fn as_number(value: &Value) -> Result<f64, String> {
    let found = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    };
    found.ok_or_else(|| format!("wanted a number, found {}", kind(value)))
}

/// A number that counts something.
pub(super) fn as_index(value: &Value) -> Result<usize, String> {
    let number = as_number(value)?;
    if number.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&number) {
        return Err(format!("wanted a whole number from 0 on, found {number}"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is whole and in range"
    )]
    Ok(number as usize)
}

pub(super) fn as_flag(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text == "true" || text == "1" => Ok(true),
        Value::String(text) if text == "false" || text == "0" => Ok(false),
        other => Err(format!("wanted true or false, found {}", kind(other))),
    }
}

pub(super) fn as_list(value: &Value) -> Result<&[Value], String> {
    value
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| format!("wanted a list, found {}", kind(value)))
}

pub(super) fn as_object(value: &Value) -> Result<&Map<String, Value>, String> {
    value
        .as_object()
        .ok_or_else(|| format!("wanted an object, found {}", kind(value)))
}

/// A list of strings.
pub(super) fn as_texts(value: &Value) -> Result<Vec<String>, String> {
    as_list(value)?.iter().map(as_text).collect()
}

/// Keys and values, as `for` goes over them: of a list its numbers, of an object its names in order.
pub(super) fn pairs(value: &Value) -> Result<Vec<(Value, Value)>, String> {
    match value {
        Value::Array(values) => Ok((0_u64..).map(Value::from).zip(values.iter().cloned()).collect()),
        Value::Object(values) => {
            let mut pairs: Vec<_> = values.iter().collect();
            pairs.sort_by_key(|(name, _)| *name);
            let owned = |(name, value): (&String, &Value)| (Value::from(name.clone()), value.clone());
            Ok(pairs.into_iter().map(owned).collect())
        }
        other => Err(format!("wanted a list or an object, found {}", kind(other))),
    }
}

/// What a value costs: about as much as its bytes.
pub(super) fn weight(value: &Value) -> usize {
    1 + match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(weight).sum(),
        Value::Object(values) => values.iter().map(|(name, value)| name.len() + weight(value)).sum(),
        _ => 0,
    }
}
