//! One record of comma-separated values, as strict as Go's reader.

/// The fields of a line, or Go's words for what is wrong.
pub(crate) fn fields(line: &str) -> Result<Vec<String>, &'static str> {
    Ok(written_fields(line)?.into_iter().map(|(field, _)| field).collect())
}

/// The fields of a line, each with its text as written.
pub(crate) fn written_fields(line: &str) -> Result<Vec<(String, &str)>, &'static str> {
    if line.is_empty() {
        return Err("EOF");
    }
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, after) = field(rest)?;
        let length = rest.len() - after.map_or(0, |after| after.len() + 1);
        fields.push((field, &rest[..length]));
        match after {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}

/// The first field, and what is behind its comma.
fn field(text: &str) -> Result<(String, Option<&str>), &'static str> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (field, after) = text
            .split_once(',')
            .map_or((text, None), |(field, after)| (field, Some(after)));
        if field.contains('"') {
            return Err("bare \" in non-quoted-field");
        }
        return Ok((field.to_owned(), after));
    };
    let mut out = String::new();
    let mut rest = quoted;
    loop {
        let Some((part, after)) = rest.split_once('"') else {
            return Err("extraneous or missing \" in quoted-field");
        };
        out.push_str(part);
        if let Some(more) = after.strip_prefix('"') {
            out.push('"');
            rest = more;
        } else if let Some(next) = after.strip_prefix(',') {
            return Ok((out, Some(next)));
        } else if after.is_empty() {
            return Ok((out, None));
        } else {
            return Err("extraneous or missing \" in quoted-field");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{fields, written_fields};

    #[test]
    fn records() {
        let cases: [(&str, &[&str]); 6] = [
            ("a", &["a"]),
            ("a,b=c", &["a", "b=c"]),
            ("a,", &["a", ""]),
            (r#""a,b",c"#, &["a,b", "c"]),
            (r#""a""b""#, &[r#"a"b"#]),
            (",", &["", ""]),
        ];
        for (line, expected) in cases {
            assert_eq!(fields(line).unwrap(), expected, "{line}");
            let written: Vec<_> = written_fields(line)
                .unwrap()
                .into_iter()
                .map(|(_, written)| written)
                .collect();
            assert_eq!(written.join(","), line);
        }
        for line in ["", r#"a"b"#, r#""a"#, r#""a"b"#] {
            assert!(fields(line).is_err(), "{line}");
        }
    }
}
