//! `COPY --if-exists`: sources that may be missing.
//!
//! Of a pattern that fits nothing, nothing is copied, and that is no error. So a name that may be missing is a pattern
//! that fits it alone: `fil[e]`, with one of its characters in brackets. Other builders read that as well.

use super::flags::Flags;
use super::instruction::Arguments;
use super::report::{Parsed, error, helped, not_enabled};
use crate::ast::{Edit, Instruction, Kind, SourcePath, Word};
use crate::code;
use crate::extensions::IF_EXISTS;

/// Makes patterns of the sources where the flag is given, and says what a plain Dockerfile has in their place and in that
/// of the flag.
pub(super) fn read(arguments: &Arguments<'_>, flags: &Flags, sources: &mut [SourcePath]) -> Parsed<Vec<Edit>> {
    let Some(flag) = flags.span(IF_EXISTS) else {
        return Ok(Vec::new());
    };
    if !arguments.extensions.if_exists {
        let what = format!("--{IF_EXISTS}");
        return Err(not_enabled(arguments.extensions, IF_EXISTS, &what, flag));
    }
    let mut edits = vec![Edit {
        span: flag,
        text: String::new(),
    }];
    if flags.switch(IF_EXISTS) != Some(true) {
        return Ok(edits);
    }
    let is_json = arguments.json()?.is_some();
    for source in sources {
        let SourcePath::Path(word) = source else { continue };
        let Some(pattern) = pattern(word, arguments.escape)? else {
            continue;
        };
        word.raw.clone_from(&pattern);
        edits.push(Edit {
            span: word.span,
            text: if is_json { quoted(&pattern) } else { pattern },
        });
    }
    Ok(edits)
}

/// Triggers are kept in images, for any builder.
pub(super) fn not_in_trigger(instruction: &Instruction) -> Parsed<()> {
    let flag = match &instruction.kind {
        Kind::Copy(copy) => copy.edits.first(),
        _ => None,
    };
    let Some(flag) = flag else { return Ok(()) };
    let message = format!("--{IF_EXISTS} isn't allowed in an ONBUILD trigger");
    let help = "any builder may run a trigger: write a pattern that fits one name, `fil[e]`";
    Err(helped(error(code::BAD_FLAG, message, flag.span), help))
}

/// The word as a pattern that fits what it names and nothing else; `None` where that is the word itself: patterns, and
/// names of the whole tree.
fn pattern(word: &Word, escape: char) -> Parsed<Option<String>> {
    let raw = word.raw.as_str();
    let (before, after) = around_variables(raw);
    let plain = |range: &std::ops::Range<usize>| &raw[range.clone()];
    let sides = [&after, &before];
    if sides.iter().any(|side| plain(side).contains(['*', '?', '['])) || raw.chars().all(|c| matches!(c, '.' | '/')) {
        return Ok(None);
    }
    // What patterns read in another way than names do.
    let plain_name = !raw.contains([escape, '\\', '!']);
    let place = sides.into_iter().find_map(|side| {
        let mut chars = plain(side).char_indices().rev();
        let (at, found) = chars.find(|(_, c)| c.is_alphanumeric() || *c == '_')?;
        Some((side.start + at, found))
    });
    let Some((at, found)) = place.filter(|_| plain_name) else {
        let message = format!("--{IF_EXISTS} cannot be said of `{raw}` in the language of other builders");
        let help = "it becomes a pattern like `fil[e]`: a letter, a digit or `_` must stand before or behind all \
                    variables, and none of the signs ! \\ and the escape character";
        return Err(helped(error(code::BAD_FLAG, message, word.span), help));
    };
    let end = at + found.len_utf8();
    Ok(Some(format!("{}[{found}]{}", &raw[..at], &raw[end..])))
}

/// What stands before all variables, and what behind them.
fn around_variables(raw: &str) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
    let Some(first) = raw.find('$') else {
        return (0..0, 0..raw.len());
    };
    let last = raw.rfind('$').unwrap_or(first) + 1;
    let name = raw[last..].find(|c: char| !c.is_alphanumeric() && c != '_');
    let end = name.map_or(raw.len(), |length| last + length);
    // `${name-word}` may hold others, and ends behind them.
    let end = raw.rfind('}').map_or(end, |brace| end.max(brace + 1));
    (0..first, end..raw.len())
}

/// A string of a JSON array.
fn quoted(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ast::Span;

    #[test]
    fn names_become_patterns() {
        for (raw, expected) in [
            ("a", Some("[a]")),
            ("dir/", Some("di[r]/")),
            ("package-lock.json", Some("package-lock.jso[n]")),
            ("\"my file\"", Some("\"my fil[e]\"")),
            ("$A/b", Some("$A/[b]")),
            ("b/$A", Some("[b]/$A")),
            ("b$A.txt", Some("b$A.tx[t]")),
            ("x${A:-${B}c}/d.-", Some("x${A:-${B}c}/[d].-")),
            ("x${A:-$B}", Some("[x]${A:-$B}")),
            ("ä", Some("[ä]")),
            ("*.txt", None),
            ("$A/?", None),
            ("a[bc]", None),
            (".", None),
            ("./", None),
            ("/", None),
        ] {
            let word = Word {
                raw: raw.to_owned(),
                span: Span::default(),
            };
            assert_eq!(pattern(&word, '\\').unwrap().as_deref(), expected, "{raw}");
        }
        for raw in ["$A", "${A:-b}", "./$A", "a\\b", "!a", "-", "$A-"] {
            let word = Word {
                raw: raw.to_owned(),
                span: Span::default(),
            };
            assert!(pattern(&word, '`').is_err(), "{raw}");
        }
    }
}
