//! ENV, LABEL and ARG.

use std::ops::Range;

use super::flags::Flags;
use super::instruction::Arguments;
use super::report::{Parsed, Problem, error, helped};
use super::words::{is_blank, quoted};
use crate::ast::{Declaration, Kind, Pair};
use crate::code;

/// The pairs of ENV and LABEL: all `KEY=value`, or one in the old form with a blank.
pub(super) fn env(arguments: Arguments<'_>) -> Parsed<Vec<Pair>> {
    let text = &arguments.logical.text;
    let words = quoted(text, arguments.rest.clone(), arguments.escape);
    let Some(first) = words.first() else {
        return Err(arguments.at_least_one());
    };
    let pairs = if text[first.clone()].contains('=') {
        words
            .into_iter()
            .map(|word| pair(&arguments, word))
            .collect::<Parsed<Vec<_>>>()?
    } else {
        vec![legacy(&arguments)?]
    };
    Flags::none(arguments.flags)?;
    Ok(pairs)
}

fn pair(arguments: &Arguments<'_>, word: Range<usize>) -> Parsed<Pair> {
    let logical = arguments.logical;
    let text = &logical.text[word.clone()];
    let Some(place) = text.find('=') else {
        let message = format!("Syntax error - can't find = in {text:?}. Must be of the form: name=value");
        let found = error(code::BAD_ARGUMENTS, message, logical.span(word));
        return Err(helped(found, "put values with blanks in quotes"));
    };
    if place == 0 {
        return Err(blank_name(arguments, word));
    }
    let key = logical.word(word.start..word.start + place);
    let value = logical.word(word.start + place + 1..word.end);
    Ok(Pair {
        key,
        value,
        legacy: false,
    })
}

fn blank_name(arguments: &Arguments<'_>, word: Range<usize>) -> Problem {
    let message = format!("{} names can not be blank", arguments.keyword);
    error(code::BAD_ARGUMENTS, message, arguments.logical.span(word))
}

/// `KEY value with blanks`: everything behind the first blanks is the value.
fn legacy(arguments: &Arguments<'_>) -> Parsed<Pair> {
    let text = arguments.text();
    let Some(key_end) = text.find(is_blank) else {
        let found = arguments.wrong(format!("{} must have two arguments", arguments.keyword));
        return Err(helped(found, format!("write `{} {}=value`", arguments.keyword, text)));
    };
    let value_start = key_end + (text[key_end..].len() - text[key_end..].trim_start_matches(is_blank).len());
    let start = arguments.rest.start;
    let key = arguments.logical.word(start..start + key_end);
    let value = arguments.logical.word(start + value_start..arguments.rest.end);
    Ok(Pair {
        key,
        value,
        legacy: true,
    })
}

/// The declarations of ARG. BuildKit drops flags here without a word.
pub(super) fn arg(arguments: &Arguments<'_>) -> Parsed<Kind> {
    let words = quoted(&arguments.logical.text, arguments.rest.clone(), arguments.escape);
    if words.is_empty() {
        return Err(arguments.at_least_one());
    }
    let declarations = words.into_iter().map(|word| declaration(arguments, word));
    declarations.collect::<Parsed<Vec<_>>>().map(Kind::Arg)
}

fn declaration(arguments: &Arguments<'_>, word: Range<usize>) -> Parsed<Declaration> {
    let logical = arguments.logical;
    match logical.text[word.clone()].find('=') {
        Some(0) => Err(blank_name(arguments, word)),
        Some(place) => Ok(Declaration {
            name: logical.word(word.start..word.start + place),
            default: Some(logical.word(word.start + place + 1..word.end)),
        }),
        None => Ok(Declaration {
            name: logical.word(word),
            default: None,
        }),
    }
}
