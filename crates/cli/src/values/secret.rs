//! `--secret id=ID[,src=FILE|,env=VARIABLE][,type=file|env]`.

use kiln_build::request::{Secret, SecretSource};

use super::csv;
use crate::settings::Environment;

/// A secret's id and where its value is. As with docker, a secret named by its id alone comes from the variable of
/// that name if there is one, else from the file; and the value of a variable that is not set is empty.
pub(crate) fn parse(text: &str, environment: &Environment) -> Result<(String, SecretSource), String> {
    let (mut id, mut source, mut variable, mut kind) = (None, None, None, None);
    for (key, value) in csv::pairs(text)? {
        let value = value.ok_or_else(|| format!("`{text}`: `{key}` needs a value"))?;
        match key.as_str() {
            "id" => id = Some(value),
            "src" | "source" => source = Some(value),
            "env" => variable = Some(value),
            "type" if value == "file" || value == "env" => kind = Some(value),
            "type" => return Err(format!("`{text}`: type is `file` or `env`")),
            _ => {
                return Err(format!(
                    "`{text}`: there is no `{key}`; there are id, src, env and type"
                ));
            }
        }
    }
    let id = id
        .filter(|id| !id.is_empty())
        .ok_or_else(|| format!("`{text}`: an id is needed"))?;
    if kind.as_deref() == Some("env") && variable.is_none() {
        variable = source.take();
    }
    if variable.is_some() && source.is_some() {
        return Err(format!("`{text}`: src and env exclude each other"));
    }
    let value = |name: &str| {
        environment
            .raw(name)
            .map(|value| Secret(std::os::unix::ffi::OsStringExt::into_vec(value)))
    };
    let place = match (variable, source) {
        (Some(name), _) => SecretSource::Value(value(&name).unwrap_or(Secret(Vec::new()))),
        (None, Some(path)) => SecretSource::File(path.into()),
        (None, None) => match value(&id) {
            Some(secret) if kind.as_deref() != Some("file") => SecretSource::Value(secret),
            _ => SecretSource::File(id.clone().into()),
        },
    };
    Ok((id, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_value() {
        let environment = Environment::of(&[("TOKEN", "t"), ("other", "o")]);
        let file = |path: &str| SecretSource::File(path.into());
        let value = |text: &str| SecretSource::Value(Secret(text.into()));
        for (text, id, source) in [
            ("id=a,src=/x", "a", file("/x")),
            ("id=a,source=x", "a", file("x")),
            ("id=a,env=TOKEN", "a", value("t")),
            ("type=env,id=a,src=TOKEN", "a", value("t")),
            ("id=TOKEN", "TOKEN", value("t")),
            ("id=TOKEN,type=file", "TOKEN", file("TOKEN")),
            ("id=npmrc", "npmrc", file("npmrc")),
            ("id=a,env=UNSET", "a", value("")),
        ] {
            assert_eq!(parse(text, &environment), Ok((id.to_owned(), source)), "{text}");
        }
        for text in [
            "",
            "src=x",
            "id=",
            "id=a,what=b",
            "id=a,src=b,env=c",
            "id=a,type=x",
            "id",
        ] {
            assert!(parse(text, &environment).is_err(), "{text}");
        }
    }

    #[test]
    fn never_shows_the_value() {
        let environment = Environment::of(&[("TOKEN", "hidden")]);
        let parsed = parse("id=TOKEN", &environment).unwrap();
        assert!(!format!("{parsed:?}").contains("hidden"));
    }
}
