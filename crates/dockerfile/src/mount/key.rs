//! `key=` of a cache mount: Kiln's own.

use crate::csv;

/// How a pattern of files begins.
const FILE: &str = "file:";

/// What tells one directory of a cache mount from the others with its `id`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CacheKey {
    /// What the step's programs are for, and what it builds for.
    Platform,
    /// The image that the step's tree stands on.
    Base,
    /// The content of files of the build context: a path or pattern, as those of COPY.
    File(String),
    /// A text.
    Text(String),
}

impl CacheKey {
    /// Reads a value; `None` if it says nothing.
    pub fn parse(value: &str) -> Option<Self> {
        let file = value
            .get(..FILE.len())
            .filter(|start| start.eq_ignore_ascii_case(FILE))
            .map(|_| &value[FILE.len()..]);
        match (value, file) {
            ("", _) | (_, Some("")) => None,
            (_, Some(pattern)) => Some(Self::File(pattern.to_owned())),
            (word, _) if word.eq_ignore_ascii_case("platform") => Some(Self::Platform),
            (word, _) if word.eq_ignore_ascii_case("base") => Some(Self::Base),
            (text, _) => Some(Self::Text(text.to_owned())),
        }
    }
}

/// The text behind `--mount=` without its keys, the rest as written; `None` if it has none. An error in Go's words.
pub fn without_keys(csv: &str) -> Result<Option<String>, &'static str> {
    let fields = csv::written_fields(csv)?;
    let is_key = |field: &str| {
        let name = field.split_once('=').map_or(field, |(name, _)| name);
        name.eq_ignore_ascii_case("key")
    };
    let others: Vec<&str> = fields
        .iter()
        .filter(|(field, _)| !is_key(field))
        .map(|(_, written)| *written)
        .collect();
    Ok((others.len() < fields.len()).then(|| others.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let file = |pattern: &str| Some(CacheKey::File(pattern.to_owned()));
        let text = |text: &str| Some(CacheKey::Text(text.to_owned()));
        for (value, expected) in [
            ("platform", Some(CacheKey::Platform)),
            ("Base", Some(CacheKey::Base)),
            ("file:a/*.lock", file("a/*.lock")),
            ("FILE:a", file("a")),
            ("1.22", text("1.22")),
            ("platforms", text("platforms")),
            ("file", text("file")),
            ("äöüß", text("äöüß")),
            ("file:", None),
            ("", None),
        ] {
            assert_eq!(CacheKey::parse(value), expected, "{value}");
        }
    }

    #[test]
    fn what_is_left_stays_as_written() {
        for (csv, expected) in [
            ("type=cache,target=/c", None),
            ("type=cache,key=a,target=/c", Some("type=cache,target=/c")),
            ("key=a,type=cache,KEY=b", Some("type=cache")),
            (
                r#"type=cache,"key=file:a,b","target=/a,b""#,
                Some(r#"type=cache,"target=/a,b""#),
            ),
            ("type=cache,key", Some("type=cache")),
            ("keys=a,id=key=b", None),
            ("key=", Some("")),
        ] {
            assert_eq!(without_keys(csv).unwrap().as_deref(), expected, "{csv}");
        }
        assert!(without_keys("a\"b").is_err());
    }
}
