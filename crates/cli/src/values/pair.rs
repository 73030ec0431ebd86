//! `KEY=VALUE`.

use crate::settings::Environment;

/// `--label`: a key alone has an empty value.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    let key = key.trim();
    if key.is_empty() {
        return Err(format!("`{text}`: a label needs a name before the `=`"));
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// `--build-arg` and `-e`: a key alone takes its value from the environment, and is as if not given where the
/// environment has none.
pub(crate) fn from_environment(text: &str, environment: &Environment) -> Result<Option<(String, String)>, String> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Some(value.to_owned())),
        None => (text, environment.text(text)?),
    };
    if key.is_empty() {
        return Err(format!("`{text}`: a name is needed before the `=`"));
    }
    Ok(value.map(|value| (key.to_owned(), value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        assert_eq!(label("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(label("a"), Ok(("a".to_owned(), String::new())));
        assert!(label("=x").is_err());
    }

    #[test]
    fn arguments_come_from_the_environment() {
        let environment = Environment::of(&[("SET", "1")]);
        let read = |text| from_environment(text, &environment);
        assert_eq!(read("A="), Ok(Some(("A".to_owned(), String::new()))));
        assert_eq!(read("SET"), Ok(Some(("SET".to_owned(), "1".to_owned()))));
        assert_eq!(read("SET=2"), Ok(Some(("SET".to_owned(), "2".to_owned()))));
        assert_eq!(read("UNSET"), Ok(None));
        assert!(read("=a").is_err());
    }
}
