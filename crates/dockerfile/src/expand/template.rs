//! The replacement of `${name//pattern/replacement}`: BuildKit passes it to Go's `ReplaceAllString`, where `$0` is what
//! was found, `$$` a dollar, and every other `$name` a group that a shell pattern does not have.

/// The replacement for one place.
pub(super) fn expand(template: &str, found: &str) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(place) = rest.find('$') {
        out.push_str(&rest[..place]);
        let after = &rest[place + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some((name, tail)) = group(after) {
            if is_whole(name) {
                out.push_str(found);
            }
            rest = tail;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// The name of a group, and what follows it: `name` or `{name}`.
fn group(text: &str) -> Option<(&str, &str)> {
    let (name, tail) = match text.strip_prefix('{') {
        Some(braced) => braced.split_once('}')?,
        None => text.split_at(word_end(text)),
    };
    (!name.is_empty() && word_end(name) == name.len()).then_some((name, tail))
}

fn word_end(text: &str) -> usize {
    text.find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(text.len())
}

/// `0`, however many digits it is written with.
fn is_whole(name: &str) -> bool {
    name == "0"
}

#[cfg(test)]
mod tests {
    #[test]
    fn groups() {
        let cases = [
            ("x", "x"),
            ("[$0]", "[ab]"),
            ("[${0}]", "[ab]"),
            ("$1", ""),
            ("$1x", ""),
            ("${1}x", "x"),
            ("$$", "$"),
            ("$-", "$-"),
            ("${", "${"),
            ("a$", "a$"),
        ];
        for (template, expected) in cases {
            assert_eq!(super::expand(template, "ab"), expected, "{template}");
        }
    }
}
