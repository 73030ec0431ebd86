//! The replacement of `${name//pattern/replacement}`: BuildKit passes it to Go's `ReplaceAllString`, where `$0` is what
//! was found, `$$` a dollar, and every other `$name` a group that a shell pattern does not have.

/// A replacement that is read once and used for every place.
#[derive(Debug)]
pub(super) struct Template {
    /// The texts between which what was found stands: one more than it does.
    texts: Vec<String>,
    /// The bytes of all of them.
    length: usize,
}

impl Template {
    pub(super) fn parse(template: &str) -> Self {
        let mut texts = Vec::new();
        let mut text = String::new();
        let mut rest = template;
        while let Some(place) = rest.find('$') {
            text.push_str(&rest[..place]);
            let after = &rest[place + 1..];
            if let Some(tail) = after.strip_prefix('$') {
                text.push('$');
                rest = tail;
            } else if let Some((name, tail)) = group(after) {
                if is_whole(name) {
                    texts.push(std::mem::take(&mut text));
                }
                rest = tail;
            } else {
                text.push('$');
                rest = after;
            }
        }
        text.push_str(rest);
        texts.push(text);
        let length = texts.iter().map(String::len).sum();
        Self { texts, length }
    }

    /// How many pieces it is put together of.
    pub(super) const fn pieces(&self) -> usize {
        self.texts.len()
    }

    /// How long the replacement for a place is where so many bytes were found.
    pub(super) const fn length(&self, found: usize) -> usize {
        (self.texts.len() - 1).saturating_mul(found).saturating_add(self.length)
    }

    /// Adds the replacement for one place.
    pub(super) fn expand(&self, found: &str, out: &mut String) {
        for (index, text) in self.texts.iter().enumerate() {
            if index > 0 {
                out.push_str(found);
            }
            out.push_str(text);
        }
    }
}

/// The name of a group, and what follows it: `name` or `{name}`.
fn group(text: &str) -> Option<(&str, &str)> {
    let (name, tail) = match text.strip_prefix('{') {
        Some(braced) => {
            let (name, tail) = braced.split_at(word_end(braced));
            (name, tail.strip_prefix('}')?)
        }
        None => text.split_at(word_end(text)),
    };
    (!name.is_empty()).then_some((name, tail))
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
    use super::Template;

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
            ("${0", "${0"),
            ("${}", "${}"),
            ("a$", "a$"),
        ];
        for (template, expected) in cases {
            let mut out = String::new();
            Template::parse(template).expand("ab", &mut out);
            assert_eq!(out, expected, "{template}");
            assert_eq!(Template::parse(template).length(2), expected.len(), "{template}");
        }
    }
}
