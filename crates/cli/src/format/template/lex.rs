//! Words of an action.

use serde_json::{Number, Value};

/// A word of an action.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    /// A function or a keyword.
    Name(String),
    /// `.A.B`; empty for `.` alone. After a blank or not: `(…).A` and `(…) .A` are different.
    Field(Vec<String>, Gap),
    /// `$name.A.B`
    Variable(String, Vec<String>),
    /// A string, a number, `true`, `false`, `nil`.
    Literal(Value),
    /// `(`
    Open,
    /// `)`
    Close,
    /// `|`
    Pipe,
    /// `:=`
    Declare,
    /// `=`
    Assign,
    /// `,`
    Comma,
}

/// Whether blanks come before.
pub(super) type Gap = bool;

/// The words of an action.
pub(super) fn words(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start();
        let gap = trimmed.len() < rest.len() || words.is_empty();
        let Some(first) = trimmed.chars().next() else {
            return Ok(words);
        };
        let (word, after) = match first {
            '(' => (Word::Open, &trimmed[1..]),
            ')' => (Word::Close, &trimmed[1..]),
            '|' => (Word::Pipe, &trimmed[1..]),
            ',' => (Word::Comma, &trimmed[1..]),
            '=' => (Word::Assign, &trimmed[1..]),
            ':' if trimmed.starts_with(":=") => (Word::Declare, &trimmed[2..]),
            '.' => {
                let (path, after) = path(trimmed)?;
                (Word::Field(path, gap), after)
            }
            '$' => {
                let (name, after) = name(&trimmed[1..]);
                let (path, after) = if after.starts_with('.') {
                    path(after)?
                } else {
                    (Vec::new(), after)
                };
                (Word::Variable(name.to_owned(), path), after)
            }
            '"' | '`' => string(trimmed)?,
            '0'..='9' | '-' | '+' => number(trimmed)?,
            _ => named(trimmed)?,
        };
        words.push(word);
        rest = after;
    }
}

fn named(text: &str) -> Result<(Word, &str), String> {
    let (name, after) = name(text);
    let word = match name {
        "" => return Err(format!("`{text}` makes no sense")),
        "true" => Word::Literal(Value::Bool(true)),
        "false" => Word::Literal(Value::Bool(false)),
        "nil" => Word::Literal(Value::Null),
        name => Word::Name(name.to_owned()),
    };
    Ok((word, after))
}

fn name(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    text.split_at(end)
}

/// `.A.B` and what follows.
fn path(text: &str) -> Result<(Vec<String>, &str), String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some(after) = rest.strip_prefix('.') {
        let (name, next) = name(after);
        if name.is_empty() {
            // `.` alone is what is at hand; `.A.` and `..` are nothing.
            if names.is_empty() && !after.starts_with('.') {
                return Ok((names, after));
            }
            return Err(format!("`{text}` is no field"));
        }
        names.push(name.to_owned());
        rest = next;
    }
    Ok((names, rest))
}

fn string(text: &str) -> Result<(Word, &str), String> {
    let open = || format!("{text}: the string does not end");
    if let Some(raw) = text.strip_prefix('`') {
        let (content, after) = raw.split_once('`').ok_or_else(open)?;
        return Ok((Word::Literal(content.into()), after));
    }
    let mut content = String::new();
    let mut chars = text[1..].char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Word::Literal(content.into()), &text[at + 2..])),
            '\\' => content.push(match chars.next().ok_or_else(open)?.1 {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other @ ('"' | '\\' | '\'') => other,
                other => return Err(format!("{text}: `\\{other}` is not known in a string")),
            }),
            c => content.push(c),
        }
    }
    Err(open())
}

fn number(text: &str) -> Result<(Word, &str), String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '_');
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let (digits, after) = text.split_at(end);
    let plain = digits.trim_start_matches('+').replace('_', "");
    let number = match plain.parse::<i64>() {
        Ok(number) => Some(Number::from(number)),
        Err(_) => plain.parse().ok().and_then(Number::from_f64),
    };
    let number = number.ok_or_else(|| format!("`{digits}` is no number"))?;
    Ok((Word::Literal(Value::Number(number)), after))
}
