//! What `kiln mutate` sets and takes away: `NAME=VALUE`, `NAME-`, `-`; and lists.

use kiln_build::surgery::Setting;

/// `NAME=VALUE`, or what is to go.
pub(crate) fn pair(text: &str) -> Result<Setting, String> {
    match text.split_once('=') {
        Some(("", _)) => Err(format!("`{text}`: a name is needed before the `=`")),
        Some((name, value)) => Ok(Setting::Set(name.to_owned(), value.to_owned())),
        None => match removal(text) {
            Some(setting) => Ok(setting),
            None => Err(format!("`{text}`: wanted NAME=VALUE, or NAME- to take it away")),
        },
    }
}

/// A name that is a value itself, or what is to go.
pub(crate) fn name(text: &str) -> Setting {
    removal(text).unwrap_or_else(|| Setting::Set(text.to_owned(), String::new()))
}

/// Ports, as EXPOSE has them, or those that are to go.
pub(crate) fn ports(text: &str) -> Result<Vec<Setting>, String> {
    let (text, goes) = match text.strip_suffix('-') {
        Some("") => return Ok(vec![Setting::Clear]),
        Some(text) => (text, true),
        None => (text, false),
    };
    let setting = |port: String| {
        if goes {
            Setting::Remove(port)
        } else {
            Setting::Set(port, String::new())
        }
    };
    Ok(kiln_plan::ports::parse(text)?.into_iter().map(setting).collect())
}

/// Words divided by commas, or JSON.
pub(crate) fn list(text: &str) -> Result<Vec<String>, String> {
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).map_err(|error| format!("`{text}`: is no JSON list of texts: {error}"));
    }
    if text.is_empty() {
        return Ok(Vec::new());
    }
    Ok(text.split(',').map(ToOwned::to_owned).collect())
}

fn removal(text: &str) -> Option<Setting> {
    match text.strip_suffix('-')? {
        "" => Some(Setting::Clear),
        name => Some(Setting::Remove(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings() {
        let set = |name: &str, value: &str| Setting::Set(name.to_owned(), value.to_owned());
        let remove = |name: &str| Setting::Remove(name.to_owned());
        for (text, expected) in [
            ("a=b=c", Some(set("a", "b=c"))),
            ("a-=b", Some(set("a-", "b"))),
            ("a=b-", Some(set("a", "b-"))),
            ("a=", Some(set("a", ""))),
            ("a-", Some(remove("a"))),
            ("-", Some(Setting::Clear)),
            ("a", None),
            ("=a", None),
            ("", None),
        ] {
            assert_eq!(pair(text).ok(), expected, "{text}");
        }
        assert_eq!(ports("80"), Ok(vec![set("80/tcp", "")]));
        assert_eq!(ports("80-81/udp"), Ok(vec![set("80/udp", ""), set("81/udp", "")]));
        assert_eq!(ports("80/udp-"), Ok(vec![remove("80/udp")]));
        assert!(ports("x").is_err());
    }

    #[test]
    fn lists() {
        for (text, expected) in [
            ("", Some(&[][..])),
            ("a", Some(&["a"])),
            ("a,b c", Some(&["a", "b c"])),
            (r#"["a, b", "c"]"#, Some(&["a, b", "c"])),
            ("[a]", None),
        ] {
            assert_eq!(
                list(text).ok(),
                expected.map(|words| words.iter().map(|word| (*word).to_owned()).collect()),
                "{text}"
            );
        }
    }
}
