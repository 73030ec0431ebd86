//! Truth as docker's programs spell it.

/// What Go's `strconv.ParseBool` makes of a text; `None` if it is neither.
pub fn parse(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        for (text, wanted) in [
            ("T", Some(true)),
            ("True", Some(true)),
            ("tRUE", None),
            ("0", Some(false)),
            ("FALSE", Some(false)),
            ("no", None),
            ("", None),
        ] {
            assert_eq!(parse(text), wanted, "{text}");
        }
    }
}
