//! The functions of templates: Go's, and those that docker adds.

use std::cmp::Ordering;
use std::fmt::Write as _;

use serde_json::Value;

use super::evaluate::{Found, is_true};
use super::show::shown;

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    And,
    Eq,
    Ge,
    Gt,
    Index,
    Join,
    Json,
    Le,
    Len,
    Lower,
    Lt,
    Ne,
    Not,
    Or,
    Pad,
    Print,
    Printf,
    Println,
    Split,
    Title,
    Truncate,
    Upper,
}

const NAMES: &[(&str, Function)] = &[
    ("and", Function::And),
    ("eq", Function::Eq),
    ("ge", Function::Ge),
    ("gt", Function::Gt),
    ("index", Function::Index),
    ("join", Function::Join),
    ("json", Function::Json),
    ("le", Function::Le),
    ("len", Function::Len),
    ("lower", Function::Lower),
    ("lt", Function::Lt),
    ("ne", Function::Ne),
    ("not", Function::Not),
    ("or", Function::Or),
    ("pad", Function::Pad),
    ("print", Function::Print),
    ("printf", Function::Printf),
    ("println", Function::Println),
    ("split", Function::Split),
    ("title", Function::Title),
    ("truncate", Function::Truncate),
    ("upper", Function::Upper),
];

/// Blanks that `pad` and widths of `printf` make at most.
const WIDEST: usize = 1000;

impl Function {
    pub(super) fn named(name: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, function)| *function).ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            format!("`{name}` is not known; there are {}", names.join(", "))
        })
    }
}

pub(super) fn call<'v>(function: Function, arguments: &[Found<'v>]) -> Result<Found<'v>, String> {
    let values: Vec<&Value> = arguments.iter().map(|found| &*found.value).collect();
    let values = &values[..];
    let made = match (function, values) {
        (Function::Json, [value]) => value.to_string().into(),
        (Function::Len, [value]) => len(value)?.into(),
        (Function::Upper, [value]) => shown(value).to_uppercase().into(),
        (Function::Lower, [value]) => shown(value).to_lowercase().into(),
        (Function::Title, [value]) => title(&shown(value)).into(),
        (Function::Print, values) => print(values).into(),
        (Function::Println, values) => {
            (values.iter().map(|value| shown(value)).collect::<Vec<_>>().join(" ") + "\n").into()
        }
        (Function::Printf, [format, values @ ..]) => printf(&shown(format), values)?.into(),
        (Function::Join, [items, separator]) => join(items, &shown(separator))?.into(),
        (Function::Split, [text, separator]) => split(&shown(text), &shown(separator)),
        (Function::Truncate, [text, length]) => truncate(&shown(text), count(length)?).into(),
        (Function::Pad, [text, before, after]) => {
            let blanks = |count: usize| " ".repeat(count.min(WIDEST));
            format!("{}{}{}", blanks(count(before)?), shown(text), blanks(count(after)?)).into()
        }
        (Function::Index, [value, keys @ ..]) => {
            let mut at = *value;
            for key in keys {
                at = index(at, key)?;
            }
            at.clone()
        }
        (Function::Not, [value]) => (!is_true(value)).into(),
        (Function::And, [first, ..]) => values
            .iter()
            .find(|value| !is_true(value))
            .or(values.last())
            .map_or(*first, |value| *value)
            .clone(),
        (Function::Or, [first, ..]) => values
            .iter()
            .find(|value| is_true(value))
            .or(values.last())
            .map_or(*first, |value| *value)
            .clone(),
        (Function::Eq, [first, others @ ..]) if !others.is_empty() => {
            others.iter().any(|other| equal(first, other)).into()
        }
        (Function::Ne, [a, b]) => (!equal(a, b)).into(),
        (Function::Lt, [a, b]) => (order(a, b)? == Ordering::Less).into(),
        (Function::Le, [a, b]) => (order(a, b)? != Ordering::Greater).into(),
        (Function::Gt, [a, b]) => (order(a, b)? == Ordering::Greater).into(),
        (Function::Ge, [a, b]) => (order(a, b)? != Ordering::Less).into(),
        (function, values) => {
            let name = NAMES
                .iter()
                .find(|(_, known)| *known == function)
                .map_or("", |(name, _)| name);
            return Err(format!("`{name}` does not take {} arguments", values.len()));
        }
    };
    Ok(Found::made(made))
}

fn len(value: &Value) -> Result<usize, String> {
    Ok(match value {
        Value::Null => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        other => return Err(format!("`{other}` has no length")),
    })
}

fn title(text: &str) -> String {
    let mut begins = true;
    let mut out = String::new();
    for c in text.chars() {
        if begins {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        begins = !c.is_alphanumeric();
    }
    out
}

/// Go puts blanks between two values neither of which is a string.
fn print(values: &[&Value]) -> String {
    let mut text = String::new();
    for (at, value) in values.iter().enumerate() {
        if at > 0 && !value.is_string() && !values[at - 1].is_string() {
            text.push(' ');
        }
        text.push_str(&shown(value));
    }
    text
}

fn join(items: &Value, separator: &str) -> Result<String, String> {
    match items {
        Value::Array(items) => Ok(items.iter().map(shown).collect::<Vec<_>>().join(separator)),
        Value::Null => Ok(String::new()),
        other => Err(format!("there is nothing to join in `{other}`")),
    }
}

fn split(text: &str, separator: &str) -> Value {
    if separator.is_empty() {
        return text.chars().map(String::from).collect();
    }
    text.split(separator).map(String::from).collect()
}

fn truncate(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}

fn count(value: &Value) -> Result<usize, String> {
    let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| format!("`{value}` is no number of characters"))
}

fn index<'a>(value: &'a Value, key: &Value) -> Result<&'a Value, String> {
    match value {
        Value::Array(items) => {
            let at = key.as_u64().and_then(|at| usize::try_from(at).ok());
            let item = at.and_then(|at| items.get(at));
            item.ok_or_else(|| format!("index {key} is out of range: there are {}", items.len()))
        }
        // As in Go: a key that is not there gives nothing.
        Value::Object(fields) => Ok(fields.get(&shown(key)).unwrap_or(&Value::Null)),
        Value::Null => Ok(&Value::Null),
        other => Err(format!("`{other}` has no index")),
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(_), Some(_)) => order(a, b) == Ok(Ordering::Equal),
        _ => a == b,
    }
}

fn order(a: &Value, b: &Value) -> Result<Ordering, String> {
    let incomparable = || format!("`{a}` and `{b}` cannot be compared");
    match (a, b) {
        (Value::String(a), Value::String(b)) => Ok(a.cmp(b)),
        (Value::Number(one), Value::Number(other)) => {
            if let (Some(one), Some(other)) = (one.as_i64(), other.as_i64()) {
                return Ok(one.cmp(&other));
            }
            let (one, other) = (one.as_f64(), other.as_f64());
            one.zip(other)
                .and_then(|(one, other)| one.partial_cmp(&other))
                .ok_or_else(incomparable)
        }
        _ => Err(incomparable()),
    }
}

/// `%s`, `%v`, `%d`, `%q` and `%%`, with widths: what people line columns up with.
fn printf(format: &str, values: &[&Value]) -> Result<String, String> {
    let mut text = String::new();
    let mut values = values.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        let left = chars.next_if_eq(&'-').is_some();
        let mut digits = String::new();
        while let Some(digit) = chars.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        let width = digits.parse().unwrap_or(0).min(WIDEST);
        let verb = chars.next().unwrap_or('%');
        if verb == '%' {
            text.push('%');
            continue;
        }
        let value = values.next().ok_or("printf has too few values")?;
        let shown = match verb {
            's' | 'v' | 'd' => shown(value),
            'q' => format!("{:?}", shown(value)),
            other => {
                return Err(format!(
                    "printf does not know `%{other}`; there are %s, %v, %d, %q and %%"
                ));
            }
        };
        let _ = if left {
            write!(text, "{shown:<width$}")
        } else {
            write!(text, "{shown:>width$}")
        };
    }
    Ok(text)
}
