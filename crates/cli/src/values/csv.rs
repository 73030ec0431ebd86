//! `type=oci,dest=x.tar`: one record of RFC 4180 CSV with `key=value` fields, as docker reads its flags.

use kiln_dockerfile::boolean;

/// The fields of one record. A field may be quoted as a whole; `""` in it is one quote.
pub(crate) fn fields(text: &str) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    let mut rest = text;
    loop {
        let (field, next) = field(rest)?;
        all.push(field);
        match next {
            Some(next) => rest = next,
            None => return Ok(all),
        }
    }
}

fn field(text: &str) -> Result<(String, Option<&str>), String> {
    let Some(mut rest) = text.strip_prefix('"') else {
        return Ok(match text.split_once(',') {
            Some((field, next)) => (field.to_owned(), Some(next)),
            None => (text.to_owned(), None),
        });
    };
    let mut field = String::new();
    loop {
        let Some((piece, after)) = rest.split_once('"') else {
            return Err(format!("`{text}`: the quote is not closed"));
        };
        field.push_str(piece);
        rest = after;
        if let Some(after) = rest.strip_prefix('"') {
            field.push('"');
            rest = after;
        } else if rest.is_empty() {
            return Ok((field, None));
        } else if let Some(next) = rest.strip_prefix(',') {
            return Ok((field, Some(next)));
        } else {
            return Err(format!("`{text}`: nothing may follow the closing quote but a comma"));
        }
    }
}

/// The fields as pairs; keys in lower case. A field without `=` has no value.
pub(crate) fn pairs(text: &str) -> Result<Vec<(String, Option<String>)>, String> {
    let fields = fields(text)?;
    Ok(fields.iter().map(|field| pair(field)).collect())
}

fn pair(field: &str) -> (String, Option<String>) {
    match field.split_once('=') {
        Some((key, value)) => (key.trim().to_ascii_lowercase(), Some(value.to_owned())),
        None => (field.trim().to_ascii_lowercase(), None),
    }
}

/// A value that is `true` or `false` in one of Go's spellings (`strconv.ParseBool`); a key alone is `true`.
pub(crate) fn boolean(key: &str, value: Option<&str>) -> Result<bool, String> {
    let value = value.unwrap_or("true");
    boolean::parse(value).ok_or_else(|| format!("`{key}={value}`: wanted true or false"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_as_go_does() {
        for (text, expected) in [
            ("a", &["a"][..]),
            ("type=oci,dest=x.tar", &["type=oci", "dest=x.tar"]),
            (
                r#"type=image,"name=a,b",push=true"#,
                &["type=image", "name=a,b", "push=true"],
            ),
            (r#""a""b""#, &["a\"b"]),
            ("a,", &["a", ""]),
        ] {
            assert_eq!(fields(text).unwrap(), expected, "{text}");
        }
        assert!(fields("\"a").is_err());
        assert!(fields("\"a\"b").is_err());
    }

    #[test]
    fn reads_pairs() {
        let pairs = pairs("TYPE=local,dest=A=B,push").unwrap();
        assert_eq!(pairs[0], ("type".to_owned(), Some("local".to_owned())));
        assert_eq!(pairs[1], ("dest".to_owned(), Some("A=B".to_owned())));
        assert_eq!(pairs[2], ("push".to_owned(), None));
    }
}
