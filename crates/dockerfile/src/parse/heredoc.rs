//! Here-documents: `[n]<<[-]DELIMITER` and the lines up to the delimiter.

use super::lines::Lines;
use super::logical::Logical;
use super::report::{Parsed, error, helped};
use crate::ast::{Heredoc, Span, Word};
use crate::code;
use crate::expand::{self, Effort, ExpandError, Lookup, Mode};

/// A here-document's operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Operator {
    pub(super) name: String,
    descriptor: Option<u32>,
    expand: bool,
    strip_tabs: bool,
}

/// A here-document with the text as written, as ONBUILD keeps it.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) heredoc: Heredoc,
    /// The body before tabs are stripped.
    pub(super) raw: String,
}

/// Reads a word as an operator; `None` if it is none.
pub(super) fn operator(word: &str) -> Result<Option<Operator>, ExpandError> {
    let after_digits = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = &word[..word.len() - after_digits.len()];
    let Some(rest) = after_digits.strip_prefix("<<") else {
        return Ok(None);
    };
    let (strip_tabs, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
    let rest = rest.trim_start();
    if rest.is_empty() || rest.contains('<') {
        return Ok(None);
    }
    // If quotes go away, some part of the delimiter was quoted, and the body is taken as it is.
    let Some(name) = single_word(rest, false)? else {
        return Ok(None);
    };
    let quotes = |text: &str| text.matches(['\'', '"']).count();
    let expand = single_word(rest, true)?.is_some_and(|raw| quotes(&raw) == quotes(&name));
    Ok(Some(Operator {
        name,
        descriptor: digits.parse().ok(),
        expand,
        strip_tabs,
    }))
}

fn single_word(text: &str, raw_quotes: bool) -> Result<Option<String>, ExpandError> {
    let mode = Mode {
        raw_quotes,
        keep_unset: true,
        ..Mode::default()
    };
    let mut words = expand::words_with(text, '\\', &Lookup::new(|_| None), mode, &Effort::default())?.values;
    Ok(if words.len() == 1 { words.pop() } else { None })
}

/// The operators of a logical line, in order, with their words. A line whose quotes do not close has none.
pub(super) fn operators(logical: &Logical) -> Parsed<Vec<(Operator, Word)>> {
    if !logical.text.contains("<<") {
        return Ok(Vec::new());
    }
    let mode = Mode {
        raw_quotes: true,
        raw_escapes: true,
        keep_unset: true,
        skip_quotes: false,
    };
    let Ok(words) = expand::words_with(&logical.text, '\\', &Lookup::new(|_| None), mode, &Effort::default()) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    let mut from = 0;
    for word in words.values.iter().filter(|word| word.contains("<<")) {
        let place = logical.text[from..]
            .find(word.as_str())
            .map(|at| from + at..from + at + word.len());
        let range = place.unwrap_or(from..logical.text.len());
        let operator =
            operator(word).map_err(|cause| error(code::BAD_HEREDOC, cause.to_string(), logical.span(range.clone())))?;
        from = range.end;
        found.extend(operator.map(|operator| (operator, logical.word(range))));
    }
    Ok(found)
}

/// Reads the bodies that follow the line. What is unterminated swallows the rest of the file.
pub(super) fn bodies(source: &str, operators: Vec<(Operator, Word)>, lines: &mut Lines<'_>) -> Parsed<Vec<Document>> {
    operators
        .into_iter()
        .map(|(operator, word)| body(source, operator, word, lines))
        .collect()
}

fn body(source: &str, operator: Operator, word: Word, lines: &mut Lines<'_>) -> Parsed<Document> {
    let mut start = None;
    while let Some(line) = lines.next() {
        let start = *start.get_or_insert(line.start);
        let text = if operator.strip_tabs {
            line.text.trim_start_matches('\t')
        } else {
            line.text
        };
        if text == operator.name {
            let raw = source[start..line.start].to_owned();
            let content = if operator.strip_tabs {
                without_tabs(&raw)
            } else {
                raw.clone()
            };
            let heredoc = Heredoc {
                name: operator.name,
                descriptor: operator.descriptor,
                expand: operator.expand,
                strip_tabs: operator.strip_tabs,
                content,
                operator: word,
                body: Span { start, end: line.end() },
            };
            return Ok(Document { heredoc, raw });
        }
        if line.too_long() {
            let message = super::reader::TOO_LONG;
            return Err(error(
                code::LINE_TOO_LONG,
                message,
                Span {
                    start: line.start,
                    end: line.end(),
                },
            ));
        }
    }
    let help = format!("no line after this one is exactly `{}`", operator.name);
    Err(helped(
        error(code::BAD_HEREDOC, "unterminated heredoc", word.span),
        help,
    ))
}

/// Takes the tabs at the start of every line away.
fn without_tabs(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| line.trim_start_matches('\t'))
        .collect()
}
